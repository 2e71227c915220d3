"""The short form of `make faults`."""

import os
from typing import Any

import pytest

from tests.faults import comparing, storm

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


def test_after_a_storm_of_faults_nothing_is_lost_stale_or_doubled() -> None:
    report = storm.run(edits=2_000, faults=40, seed=int(os.environ.get("FAULTS_SEED", "20261122")))
    print(report.lines())
    assert report.edits >= 2_000
    assert report.faults.total() >= 40
    assert (report.lost, report.stale, report.doubled) == (0, 0, 0), report.lines()
    # Nothing that the drivers save is anything that Passport refuses.
    assert (report.refused, report.unexplained) == (0, 0), report.lines()
    assert "doubled_session" not in report.breaches
    assert report.rights > 100


AT = "2026-11-22T17:00:0{}.000000+00:00"


def session(number: int, *events: tuple[int, str]) -> dict[str, Any]:
    log = [{"received_at": AT.format(second), "outcome": outcome} for second, outcome in events]
    return {"session_id": f"os-K-1-{number}", "events": log}


@pytest.mark.parametrize(
    ("sessions", "count"),
    [
        ([session(1, (1, "created"), (2, "repeated"), (3, "stopped"), (4, "repeated"))], 0),
        ([session(1, (1, "created"), (5, "stopped")), session(2, (3, "created"))], 0),
        ([session(1, (1, "created")), session(2, (3, "created"))], 1),
        ([session(1, (1, "created"), (2, "stopped"), (3, "created"))], 2),
        ([session(1, (1, "created"), (9, "stopped")), session(2, (2, "created"), (9, "stopped")),
          session(3, (3, "created"))], 1),
    ],
    ids=["repeats", "replaced", "open twice", "begun anew", "three at a time"],
)  # fmt: skip
def test_the_storms_own_check_sees_what_is_doubled(sessions: list[dict[str, Any]], count: int) -> None:
    assert len(comparing.doubled(sessions)) == count
