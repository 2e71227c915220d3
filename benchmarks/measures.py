"""What is measured. Each function takes the stage and its sizes, and returns rows for the report."""

import random
import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import delivery, machine, ours, savers, usual
from benchmarks.stage import Stage

Row = dict[str, Any]
BATCH = 100


def say(text: str) -> None:
    """Print the run's progress."""
    print(f"  {text}", flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def quiet(stage: Stage) -> None:
    """Wait until the warm-up's permits are delivered, and the first round of sweeps and periodic tasks is over."""
    stage.wait_until_none(ours.WAITING, timeout_s=60)
    time.sleep(1.5)


def throughput(
    stage: Stage, *, rows: int, many_rows: int, usual_rows: int, latencies_ms: Sequence[int], repeat: int
) -> list[Row]:
    """Deliver what waits: ours, the usual way with both pools, the limit with one and two processes."""
    found: list[Row] = []

    def keep(measured: delivery.Delivery) -> None:
        found.append(measured.as_dict())
        say(f"{measured.latency_ms:>3} ms  {measured.who:<20} {measured.rows:>7}  {measured.per_s:>9.0f}/s")

    for latency_ms in latencies_ms:
        for _turn in range(repeat):
            for processes in (1, 2):
                stage.new_database("--permits", str(rows))
                keep(delivery.by_limit(stage, rows=rows, latency_ms=latency_ms, processes=processes))
            stage.new_database("--permits", str(rows))
            keep(delivery.by_ours(stage, rows=rows, latency_ms=latency_ms))
            # In every turn: a machine's speed may change from one minute to the next, and must affect all of them equally.
            for pool in usual.POOLS:
                stage.new_database("--permits", str(usual_rows))
                keep(delivery.by_usual(stage, rows=usual_rows, latency_ms=latency_ms, pool=pool))
        if many_rows:
            stage.new_database("--permits", str(many_rows))
            keep(delivery.by_ours(stage, rows=many_rows, latency_ms=latency_ms))
    return found


def end_to_end(stage: Stage, *, rows: int, usual_rows: int, pool: str) -> list[Row]:
    """Four processes save singly, as fast as they can, while the workers deliver: to the last one accepted."""
    found = []
    for way, count in (("ours", rows), ("usual", usual_rows)):
        stage.new_database("--live")
        with ours.workers(stage) if way == "ours" else usual.workers(stage, pool) as pids:
            cpu = machine.cpu_s(pids)
            with savers.savers(stage, way=way, count=count // 4, processes=4) as saving:
                quiet(stage)
                stage.begin()
                began = time.monotonic()
                saving.go()
                saving.results()
                saved_s = time.monotonic() - began
                expected = count // 4 * 4
                stage.wait_for_events(expected, timeout_s=delivery.TIMEOUT_S)
                stage.wait_until_none(ours.WAITING, timeout_s=delivery.TIMEOUT_S)
                took_s = time.monotonic() - began
            cpu = machine.cpu_s(pids) - cpu
        found.append(
            {
                "who": way,
                "rows": expected,
                "saved_per_s": round(expected / saved_s, 1),
                "per_s": round(expected / took_s, 1),
                "after_last_save_s": round(took_s - saved_s, 3),
                "cpu_s_per_1000": round(cpu / expected * 1000, 4),
                "requests": int(stage.state()["requests"]),
            }
        )
        say(
            f"{way:<6} {found[-1]['per_s']:>7.0f}/s, {found[-1]['after_last_save_s']:.2f} s after the last save"
        )
    return found


def light_load(stage: Stage, *, seconds: float, per_second: float, pool: str) -> list[Row]:
    """A steady trickle of single saves: from commit to receipt by the remote."""
    found = []
    for way in ("ours", "usual"):
        stage.new_database("--live")
        with ours.workers(stage) if way == "ours" else usual.workers(stage, pool):
            count = int(seconds * per_second)
            with savers.savers(stage, way=way, count=count, per_second=per_second) as saving:
                quiet(stage)
                stage.begin(record=True)
                saving.go()
                committed = saving.results()[0]["committed"]
            stage.wait_for_events(len(committed), timeout_s=60)
            arrivals = stage.arrivals()
        delays = [(arrivals[plate] - at) * 1000 for plate, at in committed.items()]
        found.append(
            {
                "who": way,
                "saves": len(delays),
                "per_second": per_second,
                "median_ms": round(statistics.median(delays), 1),
                "p90_ms": round(percentile(delays, 0.90), 1),
                "p99_ms": round(percentile(delays, 0.99), 1),
                "worst_ms": round(max(delays), 1),
                "load": round(machine.load(), 1),
            }
        )
        say(f"{way:<6} median {found[-1]['median_ms']} ms, 99th {found[-1]['p99_ms']} ms")
    return found


def save_cost(stage: Stage, *, saves: int) -> list[Row]:
    """What our mark and wake-up, and the usual way's task, add to a save; the three alternate in one process."""
    stage.new_database("--live")
    with savers.savers(stage, way="compare", count=saves * 3) as saving:
        saving.go()
        took = saving.results()[0]["save_ms"]
    base = statistics.median(took["none"])
    usual.broker(stage).flushall()
    found = [
        {
            "who": way,
            "saves": len(values),
            "median_ms": round(statistics.median(values), 3),
            "p99_ms": round(percentile(values, 0.99), 3),
            "extra_ms": round(statistics.median(values) - base, 3),
        }
        for way, values in took.items()
    ]
    for row in found:
        say(f"{row['who']:<6} {row['median_ms']} ms, {row['extra_ms']} ms more than without")
    return found


def growth(stage: Stage, *, rows: int, few: int, many: int, companies: int, repeat: int) -> list[Row]:
    """The same delivery beside few and many delivered rows, and for one and many companies, alternating.

    For companies, batches have equal sizes (100 rows each), and once small ones (10 rows each), with ten times the requests.
    """
    small = max(1, rows // companies // 10)
    cases = {
        f"{few:,} delivered": ["--permits", str(rows), "--delivered", str(few)],
        f"{many:,} delivered": ["--permits", str(rows), "--delivered", str(many)],
        "1 company": ["--permits", str(companies * BATCH)],
        f"{companies:,} companies": ["--permits", str(companies * BATCH), "--companies", str(companies)],
        f"{companies:,} companies, {small} each": [
            "--permits",
            str(companies * small),
            "--companies",
            str(companies),
        ],
    }
    templates = {}
    for name, seed in cases.items():
        templates[name] = stage.new_database(*seed)
    found: list[Row] = []
    for turn in range(repeat):
        order = list(cases)
        random.Random(turn).shuffle(order)
        for name in order:
            stage.copy_database(templates[name])
            waiting = len(stage.query(ours.WAITING))
            measured = delivery.by_ours(stage, rows=waiting, latency_ms=0)
            found.append({"case": name, "place": list(cases).index(name), **measured.as_dict()})
            say(f"{name:<24} {measured.per_s:>8.0f}/s")
            stage.drop_database()
    for name in templates.values():
        stage.admin(f"DROP DATABASE {name}")
    return found


def memory(stage: Stage, *, rows: int, rounds: int) -> list[Row]:
    """A worker's memory after the first round of pushes and after many; each round moves every permit's end."""
    stage.new_database("--permits", str(rows))
    found: list[Row] = []
    with ours.workers(stage) as pids, ours.starter(stage) as go:
        time.sleep(1.0)
        for turn in range(rounds):
            if turn:
                stage.run("benchmarks.extend")
            delivery.timed(stage, "ours", pids, rows=rows, latency_ms=0, go=go, waiting=ours.WAITING)
            found.append(
                {
                    "pushes": rows * (turn + 1),
                    "memory_mb": [round(machine.memory_mb([pid]), 1) for pid in pids],
                }
            )
            say(f"{found[-1]['pushes']:>9,} pushes: {found[-1]['memory_mb']} MB")
    return found
