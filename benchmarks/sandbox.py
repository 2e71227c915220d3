"""What the sandbox costs: time to start, memory, and CPU for each request.

    python -m benchmarks.sandbox                          this checkout
    python -m benchmarks.sandbox . ../before              two checkouts side by side, in turns

CPU seconds are the process's own, so that other load on the machine matters little.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from offstreet.runtime import processes
from tests.passport.sandbox_partner import CREDENTIALS, UNIVERSITY, Partner

STARTS = 9
TOKEN_PATH, ZONES_PATH, EVENTS_PATH = "/v3/shared/access-tokens", "/v3/shared/zones", "/v3/shared/events"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def running(root: Path) -> Iterator[tuple[int, int, float]]:
    """A sandbox from the checkout at `root`: its process, its port, and the seconds until it was ready."""
    port = processes.free_port()
    command = [sys.executable, "-m", "passport.sandbox", "--port", str(port)]
    begun = time.perf_counter()
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid, port, time.perf_counter() - begun
        finally:
            process.terminate()


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def envelope(name: str, count: int) -> bytes:
    partner = Partner()
    events = [
        partner.event(session_id=f"{name}-{number}", end_time="2099-01-01T00:00:00Z")
        for number in range(count)
    ]
    for number, event in enumerate(events):
        event["vehicle"] = {**event["vehicle"], "vehicle_plate": f"P{name}X{number}"}
    return json.dumps({"type": "parking_session_started", "version": "3.0.0", "data": events}).encode()


def measure(root: Path) -> dict[str, float]:
    with running(root) as (pid, port, _seconds):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Content-Type": "application/json"}

        def ask(method: str, path: str, body: bytes | None = None) -> Any:
            headers["Passport-Labs-Client-Trace-Id"] = str(time.perf_counter_ns())
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status in (200, 202), text
            return text

        token = json.loads(ask("POST", TOKEN_PATH, json.dumps(CREDENTIALS).encode()))["access_token"]
        headers["Authorization"] = f"Bearer {token}"
        idle_mb = memory_mb(pid)
        figures = {"idle, MB": idle_mb}
        singles = [envelope(f"A{number}", 1) for number in range(3000)]
        batches = [envelope(f"B{number}", 100) for number in range(100)]
        kinds: dict[str, list[tuple[str, str, bytes | None]]] = {
            "zones": [("GET", f"{ZONES_PATH}?operator_id={UNIVERSITY}", None)] * 3000,
            "one event": [("POST", EVENTS_PATH, body) for body in singles],
            "100 events": [("POST", EVENTS_PATH, body) for body in batches],
        }
        for name, requests in kinds.items():
            begun, cpu_begun = time.perf_counter(), cpu_s(pid)
            for request in requests:
                ask(*request)
            figures[f"{name}, ms CPU a request"] = (cpu_s(pid) - cpu_begun) / len(requests) * 1000
            figures[f"{name}, requests a second"] = len(requests) / (time.perf_counter() - begun)
        figures["with 13,000 sessions, MB"] = memory_mb(pid)
        connection.close()
        return figures


def main(roots: list[Path]) -> None:
    waits: dict[Path, list[float]] = {root: [] for root in roots}
    costs: dict[Path, list[float]] = {root: [] for root in roots}
    for _ in range(STARTS):
        for root in roots:
            with running(root) as (pid, _port, seconds):
                waits[root].append(seconds)
                costs[root].append(cpu_s(pid))
    for root in roots:
        print(root)
        print(f"  until it is ready, ms: least {min(waits[root]) * 1000:.0f}")
        print(f"  until it is ready, ms CPU: median {statistics.median(costs[root]) * 1000:.0f}")
        for name, value in measure(root).items():
            print(f"  {name}: {value:,.2f}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [Path()])
