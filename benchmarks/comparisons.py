"""Measures the comparison with enforcement's list and the audit of permits: time, CPU, memory and what is written."""

import json

from benchmarks.measures import say
from benchmarks.report import Row
from benchmarks.stage import Stage


def comparison(stage: Stage, *, rights: int, connections: int) -> list[Row]:
    """One connection with all rights, many with a thousandth of them each, and the audit of as many permits.

    Each connection is compared twice: first nothing was seen yet, so that each permit sync is written once; then nothing
    has changed. One process, with the threads that one worker has for it.
    """
    cases = [
        (f"{rights:,} rights, 1 connection", "comparison", 1),
        (f"{rights:,} rights, {connections:,} connections", "comparison", connections),
        (f"audit of {rights:,} permits", "audit", 1),
    ]
    found: list[Row] = []
    for name, what, companies in cases:
        stage.new_database("--live", "--companies", str(companies), "--delivered", str(rights))
        lines = stage.run("benchmarks.comparing", "--what", what, timeout_s=3_600).splitlines()
        for place, line in enumerate(lines):
            row = {"who": name, "what": what, "round": "unchanged" if place else "first", **json.loads(line)}
            found.append(row)
            say(
                f"{row['who']}, {row['round']}: {row['seconds']} s, {row['cpu_s']} s of CPU, {row['grown_mb']} MB more, "
                f"{row['wal_bytes'] / 1_000_000:.1f} MB of WAL, {row['updated']:,} rows written"
            )
        stage.drop_database()
    return found
