"""The limit: a straight-line script without Django that does the least that can be called delivery.

Claims 2,000 rows by SKIP LOCKED, builds the events with orjson, sends them in batches of 100 on 8 threads of one httpx
client, records them with one UPDATE FROM unnest; on our tables, in plain SQL, but with no lease, no stored steps, no
evidence, no retry, no second kind of event, and a transaction that stays open while it sends.
`workers` runs it in as many processes as asked; each waits for a line on its standard input before it begins.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import psycopg

from benchmarks.stage import Stage
from offstreet.runtime import commands

CLAIM_ROWS = 2_000
BATCH = 100
THREADS = 8
CLAIM = """
SELECT r.id, r.connection_id, p.plate, p.start, p."end", p.type, z.remote_id
FROM integrations_registration r JOIN locations_permit p ON p.id = r.permit_id
JOIN integrations_zonemapping m ON m.location_id = p.location_id JOIN integrations_zone z ON z.id = m.zone_id
WHERE r.state = 'due' ORDER BY r.priority, r.marked_at LIMIT %s FOR UPDATE OF r SKIP LOCKED
"""
SETTLE = """
UPDATE integrations_registration r SET state = 'done', sessions = 1, observed = d.observed, observed_until = d.until,
    accepted_at = %s, accepted_revision = 1
FROM unnest(%s::bigint[], %s::jsonb[], %s::timestamptz[]) AS d(id, observed, until) WHERE r.id = d.id
"""
WAITING = "SELECT 1 FROM integrations_registration WHERE state = 'due'"


def timestamp(at: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def event(row: tuple[Any, ...], occurred_at: str) -> dict[str, Any]:
    """Return a started event of the same shape and size as ours."""
    pk, _connection, plate, starts, ends, rate, zone = row
    return {
        "occurred_at": occurred_at,
        "session_id": f"os-BENCHKEY-{pk}-1",
        "operator_id": "00000000-0000-0000-0000-000000000001",
        "passport_zone_id": zone,
        "start_time": timestamp(starts),
        "end_time": timestamp(ends),
        "vehicle": {"vehicle_plate": plate, "vehicle_state": "US-NC", "vehicle_country": "US"},
        "event_fees": {
            "parking_fee": "0.00",
            "convenience_fee": "0.00",
            "tax": "0.00",
            "currency_code": "USD",
        },
        "rate_name": rate,
    }


def run(database_url: str, remote_url: str, *, threads: int = THREADS) -> int:
    """Deliver until nothing is left; return how many rows that were."""
    rows_done = 0
    limits = httpx.Limits(max_connections=threads, max_keepalive_connections=threads)
    with (
        httpx.Client(base_url=remote_url, limits=limits, trust_env=False) as http,
        ThreadPoolExecutor(threads) as pool,
        psycopg.connect(database_url) as database,
    ):
        now = timestamp(datetime.now(UTC))

        def send(batch: list[tuple[Any, ...]]) -> None:
            body = {
                "type": "parking_session_started",
                "version": "3.0.0",
                "data": [event(r, now) for r in batch],
            }
            http.post("/v3/shared/events", content=orjson.dumps(body)).raise_for_status()

        http.get("/v3/warm")
        print("ready", flush=True)
        if not sys.stdin.readline():
            return 0  # the process that started this has gone
        while rows := database.execute(CLAIM, [CLAIM_ROWS]).fetchall():
            list(pool.map(send, [rows[begin : begin + BATCH] for begin in range(0, len(rows), BATCH)]))
            ids = [row[0] for row in rows]
            remote_state = [orjson.dumps(event(row, now)).decode() for row in rows]
            database.execute(SETTLE, [datetime.now(UTC), ids, remote_state, [row[4] for row in rows]])
            database.commit()
            rows_done += len(rows)
    return rows_done


@contextlib.contextmanager
def workers(
    stage: Stage, *, count: int = 1, threads: int = THREADS
) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start the script `count` times, each waiting for the start."""
    asked = json.dumps(
        {"database": stage.url(stage.database), "remote": stage.remote_url, "threads": threads}
    )
    made = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.limit", asked],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=commands.ROOT,
        )
        for _ in range(count)
    ]
    try:
        for process in made:
            assert process.stdout is not None
            process.stdout.readline()
        yield made
    finally:
        for process in made:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def let_go(processes: list["subprocess.Popen[str]"]) -> None:
    """Begin."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    run(given["database"], given["remote"], threads=given["threads"])
