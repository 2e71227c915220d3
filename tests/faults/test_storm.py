"""The short form of `make faults`."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from offstreet.runtime import processes
from offstreet.runtime.commands import ROOT
from tests.faults import comparing, drivers, injector, storm
from tests.servers import eventually

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_after_a_storm_of_faults_nothing_is_lost_stale_or_doubled() -> None:
    report = storm.run(edits=2_000, faults=40, seed=int(os.environ.get("FAULTS_SEED", "20261122")))
    print(report.lines())
    assert report.edits >= 2_000
    assert report.faults.total() >= 40
    assert (report.lost, report.stale, report.doubled) == (0, 0, 0), report.lines()
    # The drivers save nothing that Passport would refuse.
    assert (report.refused, report.unexplained) == (0, 0), report.lines()
    assert "doubled_session" not in report.breaches
    assert report.deadlocks == 0
    assert report.rights > 100
    assert report.foreign == storm.FOREIGN_RIGHTS * len(injector.OPERATORS), (
        "others' rights are never touched"
    )


AT = "2026-11-22T17:00:0{}.000000+00:00"


def session(number: int, *events: tuple[int, str]) -> dict[str, Any]:
    log = [{"received_at": AT.format(second), "outcome": outcome} for second, outcome in events]
    return {"session_id": f"os-K-1-{number}-{events[0][0]:08x}", "events": log}


@pytest.mark.parametrize(
    ("sessions", "count"),
    [
        ([session(1, (1, "created"), (2, "repeated"), (3, "stopped"), (4, "repeated"))], 0),
        ([session(1, (1, "created"), (5, "stopped")), session(2, (3, "created"))], 0),
        ([session(1, (1, "created")), session(2, (3, "created"))], 1),
        ([session(1, (1, "created"), (2, "stopped"), (3, "created"))], 2),
        ([session(1, (1, "created"), (9, "stopped")), session(1, (2, "created"), (9, "stopped"))], 1),
        ([session(1, (1, "created"), (9, "stopped")), session(2, (2, "created"), (9, "stopped")),
          session(3, (3, "created"))], 1),
        ([session(1, (1, "created"), (9, "stopped")) | {"misapplied_at": AT.format(1)},
          session(2, (2, "created"), (9, "stopped")), session(3, (3, "created"))], 0),
        ([session(1, (1, "created"), (9, "stopped")) | {"misapplied_at": AT.format(4)},
          session(2, (2, "created"), (9, "stopped")), session(3, (3, "created"))], 1),
        ([session(1, (1, "created")) | {"misapplied_at": AT.format(1)}, session(2, (3, "created"))], 1),
        ([session(1, (1, "created"), (5, "stopped")), session(3, (4, "created"))], 0),
        ([session(1, (1, "created"), (5, "stopped")), session(2, (2, "created"), (3, "stopped")),
          session(3, (4, "created"))], 1),
    ],
    ids=["repeats", "replaced", "open twice", "started again", "one number twice", "three at a time",
         "beside one that refuses its stop", "before its stop was forgotten", "misapplied and never ended",
         "after a start that was forgotten", "beside one that an earlier one replaced"],
)  # fmt: skip
def test_the_storms_own_check_sees_what_is_doubled(sessions: list[dict[str, Any]], count: int) -> None:
    assert len(comparing.doubled(sessions)) == count


def start_driver(end: str, log: Path) -> "subprocess.Popen[bytes]":
    """Start a process in place of a driver; it ends in this way (`tests/faults/ending.py`)."""
    with log.open("wb") as output:
        return processes.spawn([sys.executable, "-m", "tests.faults.ending", end], cwd=ROOT, output=output)


@pytest.mark.parametrize(("end", "how"), [("exits", "with status 3"), ("killed", "by SIGKILL")])
def test_a_storm_whose_driver_dies_says_how_with_the_end_of_its_log(
    tmp_path: Path, end: str, how: str
) -> None:
    log = tmp_path / "driver.log"
    process = start_driver(end, log)
    process.wait(30)
    with pytest.raises(drivers.StormEnded, match=f"driver a ended {how}:\nits last words"):
        drivers.look_after([drivers.RunningDriver("a", process, log)], idle_s=0)


def test_a_storm_whose_driver_hangs_says_where(tmp_path: Path) -> None:
    log = tmp_path / "driver.log"
    process = start_driver("hangs", log)
    try:
        eventually(lambda: "last words" in log.read_text(), what="the driver")
        with pytest.raises(drivers.StormEnded, match="driver a hangs:\nits last words\nCurrent thread"):
            drivers.look_after([drivers.RunningDriver("a", process, log)], idle_s=drivers.DRIVERS_LIMIT_S + 1)
    finally:
        processes.stop(process, timeout_s=0)
