"""A whole fleet on real processes: one token for all workers, and one limit of requests for all."""

import json
import subprocess
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path

import pytest

from offstreet.runtime import processes
from offstreet.runtime.commands import ROOT
from tests import run_function
from tests.faults import fleet as fleet_process
from tests.faults.conftest import running_product
from tests.faults.injector import OPERATORS
from tests.servers import BACKENDS, Stack, eventually, running_stack

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
PROCESSES = 4
# A hundred workers: each thread has a client and a token store of its own.
THREADS = 25
# The clocks of the database and of its clients are one on this machine; reading and rounding the time takes this long.
CLOCK_S = 0.002


@pytest.fixture(params=BACKENDS)
def bare(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A database, a broker and a sandbox, without workers."""
    with running_stack(request.param, workers=0, web=False) as stack:
        yield stack


def start(stack: Stack, command: list[str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return processes.spawn(command, env=stack.env, cwd=ROOT, output=output)


def wait_files(home: Path, name: str, fleet: "list[subprocess.Popen[bytes]]") -> None:
    def look() -> bool:
        assert all(process.poll() in (None, 0) for process in fleet), "one of the fleet has failed"
        return all((home / f"{name}-{number}").exists() for number in range(len(fleet)))

    eventually(look, timeout_s=90, what=f"{name} of all")


def test_a_fleet_of_a_hundred_workers_asks_for_one_token_per_life_time(bare: Stack) -> None:
    home, fleet = bare.home, []
    try:
        for number in range(PROCESSES):
            command = run_function.command(
                fleet_process.ask_for_tokens,
                home=str(home), number=number, threads=THREADS, operator=OPERATORS["university"],
            )  # fmt: skip
            fleet.append(start(bare, command, home / f"fleet{number}.log"))
        wait_files(home, "up", fleet)
        (home / "go-1").touch()
        wait_files(home, "had", fleet)
        assert bare.sandbox.state()["token_requests"] == 1
        bare.sandbox.expire_tokens()
        (home / "go-2").touch()
        for number, process in enumerate(fleet):
            assert process.wait(60) == 0, (home / f"fleet{number}.log").read_text()[-2000:]
        assert bare.sandbox.state()["token_requests"] == 2
    finally:
        for process in fleet:
            processes.stop(process, timeout_s=0)


def most_in_a_second(moments: list[float]) -> int:
    """The largest number of these (sorted) times within any one second."""
    return max(bisect_left(moments, at + 1) - place for place, at in enumerate(moments))


def test_the_limit_of_requests_holds_for_the_whole_fleet_and_is_used() -> None:
    limit, seconds, used = 40, 3, []
    with running_stack("postgres+redis", workers=0, web=False, sandbox=False) as stack:
        for attempt in range(3):
            home, fleet = stack.home / f"round{attempt}", []
            home.mkdir()
            try:
                for number in range(3):
                    command = run_function.command(
                        fleet_process.take_turns,
                        home=str(home), number=number, bucket=f"fleet-{attempt}", limit=limit, seconds=seconds,
                    )  # fmt: skip
                    fleet.append(start(stack, command, home / f"fleet{number}.log"))
                wait_files(home, "up", fleet)
                (home / "go-1").touch()
                wait_files(home, "times", fleet)
            finally:
                for process in fleet:
                    processes.stop(process, timeout_s=5)
            turns = [
                turn for number in range(3) for turn in json.loads((home / f"times-{number}").read_text())
            ]
            slots, times = sorted(slot for slot, _ in turns), sorted(at for _, at in turns)
            # The slots are exact: never one more in any second than the limit.
            assert most_in_a_second(slots) <= limit
            # No thread continues before its slot; one that wakes up late on a busy machine crowds a later second, by as
            # many as fit into its delay and no more.
            late_s = [at - slot for slot, at in turns]
            assert min(late_s) > -CLOCK_S
            assert most_in_a_second(times) <= limit * (1 + max(late_s)) + 1
            assert len(times) <= limit * (times[-1] - slots[0]) + 1
            used.append((len(times) - 1) / (times[-1] - times[0]) / limit)
            if used[-1] >= 0.95:
                return
    # A busy machine wakes threads up late; three times in a row is no accident.
    raise AssertionError(f"used {used}")


def test_workers_that_deliver_keep_to_the_limit_by_the_remotes_own_watch() -> None:
    limit, permits = 10, 40
    env = {"PASSPORT_REQUESTS_PER_SECOND": str(limit), "PASSPORT_EVENT_BATCH_SIZE": "1"}
    with running_product(env=env) as product:
        for number in range(permits):
            product.save.add(f"P{number}")
        eventually(lambda: len(product.plates("university")) == permits, timeout_s=60, what="all to be seen")
        state = product.sandbox.state()
        assert state["requests"]["events"] == {"202": permits}
        # One for the token, which needs no slot, and up to two that were delayed on a busy machine.
        assert state["peak_requests_per_s"] <= limit + 3
