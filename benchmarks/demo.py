"""From save to arrival at the sandbox on the demo: SQLite, the embedded broker, everything under one process manager.

Starts the demo itself (`offstreet.runtime.demo`, on a state directory and a port of its own), saves permits singly in a
process beside it, as `manage.py permit add` does, and reads from the sandbox when each request came in.
"""

import json
import statistics
import subprocess
import sys
import urllib.request
from datetime import datetime
from typing import Any

from benchmarks.measures import percentile, say
from offstreet.runtime import commands, envfile, processes
from tests import servers

READY_TIMEOUT_S = 120.0


def save_to_arrival(*, saves: int, per_second: float) -> list[dict[str, Any]]:
    """Return one row: median and 99th of commit → arrival in milliseconds."""
    with servers.scratch_directory() as home:
        port = _two_free_ports()
        env = {
            name: value for name, value in servers.product_environment(home).items() if name != "ENVIRONMENT"
        }
        demo = servers.Server(
            name="demo",
            command=[sys.executable, "-m", "offstreet.runtime.demo"],
            log_path=home / "demo.log",
            ready=(home / "demo.env").exists,
            env={**env, "PORT": str(port)},
        )
        try:
            demo.start(timeout_s=READY_TIMEOUT_S)
            committed = _save({**env, **envfile.read(home / "demo.env")}, saves=saves, per_second=per_second)
            url = f"http://127.0.0.1:{port + 1}"
            servers.eventually(
                lambda: committed.keys() <= _arrivals(url).keys(), timeout_s=30, what="the last event"
            )
            arrivals = _arrivals(url)
        finally:
            demo.stop()
    delays = [(arrivals[plate] - at) * 1000 for plate, at in committed.items()]
    row = {
        "who": "demo",
        "saves": saves,
        "per_second": per_second,
        "median_ms": round(statistics.median(delays), 1),
        "p99_ms": round(percentile(delays, 0.99), 1),
        "worst_ms": round(max(delays), 1),
    }
    say(f"demo: median {row['median_ms']} ms, 99th {row['p99_ms']} ms")
    return [row]


def _save(env: dict[str, str], *, saves: int, per_second: float) -> dict[str, float]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.saving", "--way", "ours", "--prefix", "DEMO"),
            *("--count", str(saves), "--per-second", str(per_second)),
        ],
        env=env,
        cwd=commands.ROOT,
        input="go\n",
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    committed: dict[str, float] = json.loads(done.stdout.splitlines()[-1])["committed"]
    return committed


def _arrivals(url: str) -> dict[str, float]:
    """Return when the sandbox took each plate's first event, in Unix seconds."""
    with urllib.request.urlopen(f"{url}/sandbox/sessions", timeout=30) as answer:
        sessions = json.load(answer)["data"]
    return {session["vehicle_plate"]: _received(session) for session in sessions if session.get("events")}


def _received(session: dict[str, Any]) -> float:
    return datetime.fromisoformat(session["events"][0]["received_at"]).timestamp()


def _two_free_ports() -> int:
    """Return a free port whose successor is free as well: the sandbox listens there."""
    while True:
        port = processes.free_port()
        if processes.port_is_free(port + 1):
            return port
