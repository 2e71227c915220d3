"""One measured delivery: permits wait, workers are up but paused; then *go*, until the last permit is accepted.

For every contestant the clock starts when loaded and connected processes are released, and stops when the remote has taken
the last event and no row is left waiting. Loading (seconds, once per deployment) is left out.
Go means: for our engine the connections become live and one hint is sent, as after a commit; for the usual way the
queue of its tasks is renamed to the one that its worker listens on; for the limit, a line on its standard input.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import limit, machine, ours, usual
from benchmarks.stage import Stage

# The slowest measurement is the usual way at 200 ms: below 200 a second.
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class Delivery:
    """What one delivery took. CPU seconds and times are per 1,000 permits where the name says so."""

    who: str
    latency_ms: int
    rows: int
    seconds: float
    per_s: float
    cpu_s_per_1000: float
    postgres_cpu_s_per_1000: float
    peak_mb: float
    requests: int
    load: float

    def as_dict(self) -> dict[str, Any]:
        """Return the row for the report."""
        return asdict(self)


def timed(
    stage: Stage,
    who: str,
    pids: Sequence[int],
    *,
    rows: int,
    latency_ms: int,
    go: Callable[[], None],
    waiting: str,
) -> Delivery:
    """Release the workers, wait until everything is accepted, and return what it took."""
    stage.begin(latency_ms=latency_ms)
    postgres = [stage.postgres.pid]
    cpu, postgres_cpu = machine.cpu_s(pids), machine.cpu_s(postgres)
    began = time.monotonic()
    go()
    stage.wait_for_events(rows, timeout_s=TIMEOUT_S)
    stage.wait_until_none(waiting, timeout_s=TIMEOUT_S)
    seconds = time.monotonic() - began
    return Delivery(
        who=who,
        latency_ms=latency_ms,
        rows=rows,
        seconds=round(seconds, 3),
        per_s=round(rows / seconds, 1),
        cpu_s_per_1000=round((machine.cpu_s(pids) - cpu) / rows * 1000, 4),
        postgres_cpu_s_per_1000=round((machine.cpu_s(postgres) - postgres_cpu) / rows * 1000, 4),
        peak_mb=round(machine.peak_mb(pids), 1),
        requests=int(stage.state()["requests"]),
        load=round(machine.load(), 1),
    )


def by_ours(stage: Stage, *, rows: int, latency_ms: int, processes: int = ours.PROCESSES) -> Delivery:
    """Measure our engine on the stage's database, where `rows` wait on paused connections."""
    with ours.workers(stage, count=processes) as pids, ours.starter(stage) as go:
        time.sleep(1.0)  # after the first round of sweeps and periodic tasks
        return timed(stage, "ours", pids, rows=rows, latency_ms=latency_ms, go=go, waiting=ours.WAITING)


def by_usual(stage: Stage, *, rows: int, latency_ms: int, pool: str) -> Delivery:
    """Measure the usual way with one of its pools."""
    ids = [
        row[0]
        for row in stage.query(
            "SELECT permit_id FROM integrations_registration WHERE state = 'due' ORDER BY id"
        )
    ]
    usual.queue(stage, ids)
    with usual.workers(stage, pool) as pids:
        return timed(
            stage,
            f"usual, {pool}",
            pids,
            rows=rows,
            latency_ms=latency_ms,
            go=lambda: usual.let_go(stage),
            waiting=usual.WAITING,
        )


def by_limit(stage: Stage, *, rows: int, latency_ms: int, processes: int) -> Delivery:
    """Measure the limit with this many processes."""
    with limit.workers(stage, count=processes) as made:
        return timed(
            stage,
            f"limit, {processes} process{'es' if processes > 1 else ''}",
            [process.pid for process in made],
            rows=rows,
            latency_ms=latency_ms,
            go=lambda: limit.let_go(made),
            waiting=limit.WAITING,
        )
