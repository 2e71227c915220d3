"""How companies that are dead, and one that changes everything it has, affect the others.

A steady trickle of single saves, over all companies in turn; measured is the time from commit to receipt for the companies
that are not affected. Three cases, each on a new database with new workers: all is well; half of the companies are dead
(the remote takes their requests and never answers); one company marks thousands of permits that need nothing sent, again and
again. The companies die when the trickle begins, so the time until that is noticed is part of the measurement.
"""

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Collection, Iterator

from benchmarks import machine, ours, savers
from benchmarks.measures import Row, percentile, quiet, say
from benchmarks.stage import Stage, until
from offstreet.runtime import commands

OPERATORS = "SELECT c.operator_id FROM integrations_connection c ORDER BY c.id"
CASES = ("calm", "half dead", "mass change")


def isolation(stage: Stage, *, companies: int, seconds: float, per_second: float, rows: int) -> list[Row]:
    """Measure the three cases; `rows` are what the one company marks."""
    found: list[Row] = []
    for case in CASES:
        delivered = ["--delivered", str(rows), "--delivered-over", "1"] if case == "mass change" else []
        stage.new_database("--live", "--companies", str(companies), *delivered)
        operators = [row[0] for row in stage.query(OPERATORS)]
        dead = operators[: companies // 2] if case == "half dead" else []
        # The company that marks is left out of the figures, like a dead one.
        left_out = len(dead) or (1 if case == "mass change" else 0)
        stage.begin()
        with ours.workers(stage), contextlib.ExitStack() as beside:
            count = int(seconds * per_second)
            saving = beside.enter_context(
                savers.savers(stage, way="ours", count=count, per_second=per_second, spread=True)
            )
            quiet(stage)
            stage.begin(record=True, dead=dead)
            if case == "mass change":
                beside.enter_context(_mass_change(stage))
            saving.go()
            committed = saving.results()[0]["committed"]
            of_others = {
                plate: at
                for place, (plate, at) in enumerate(committed.items())
                if place % companies >= left_out
            }
            arrivals = _wait_for(stage, of_others)
        delays = [(arrivals[plate] - at) * 1000 for plate, at in of_others.items()]
        found.append(
            {
                "case": case,
                "saves": len(delays),
                "median_ms": round(statistics.median(delays), 1),
                "p99_ms": round(percentile(delays, 0.99), 1),
                "worst_ms": round(max(delays), 1),
                "load": round(machine.load(), 1),
            }
        )
        say(f"{case:<12} median {found[-1]['median_ms']} ms, 99th {found[-1]['p99_ms']} ms")
    return found


def _wait_for(stage: Stage, plates: Collection[str]) -> dict[str, float]:
    """Wait until all of these have arrived, and return when each did (of the others too)."""
    until(
        lambda: stage.arrivals().keys() >= set(plates), timeout_s=120, every_s=0.5, what="everybody's saves"
    )
    return stage.arrivals()


@contextlib.contextmanager
def _mass_change(stage: Stage) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.mass_change"],
        env=stage.env,
        cwd=commands.ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
        yield
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
