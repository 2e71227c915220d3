"""A storm: drivers edit while faults are injected; then everything heals and both sides are compared row by row.

    python -m tests.faults.storm --edits 100000 --faults 1000 --seed 1        (`make faults`)

What is injected, drawn from one seed: kill -9 of workers and of the web, Redis stopped, flushed, frozen and restarted,
PostgreSQL restarted, and every fault of the sandbox, for one operator or for all. The comparison asks the sandbox for the
parking rights and the database for the permits: *lost* is wanted and not listed, *stale* is listed and not wanted, *doubled*
is one registration with two sessions at a time or a session id that was started twice.
"""

import argparse
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from offstreet.runtime import processes
from tests.servers import POSTGRES, Stack, running_stack

OPERATORS = {
    "university": "072e8b73-87ba-52be-ad93-16807143d145",
    "lakeshore": "fd69c211-318f-56a5-836b-8e03dc8897ae",
    "harbor": "f66d1fff-40aa-5bd1-9f3d-c9f4ea8457b5",
}
CONVERGE_LIMIT_S = 180
PREPARE = """
from integrations import connections, mapping, zones
from locations.models import Company, Location
for slug, operator_id in {operators!r}.items():
    company = Company.objects.create(name=slug.title(), slug=slug, offstreet_id=slug)
    connection = connections.connect(company=company, operator_id=operator_id)
    refresh = zones.refresh_zones(connection=connection)
    assert refresh.outcome == "done", refresh.error
    listed = connection.zones.filter(session_type="vehicle").order_by("pk")
    for number in range(3):
        place = Location.objects.create(company=company, name=f"Place {{number}}")
        mapping.map_location(location=place, zone=listed[number])
    connections.go_live(connection=connection, reason="storm")
"""
WANTED = """
SELECT z.remote_id AS zone, p.plate AS plate, p.subdivision AS state, p.start AS start, p."end" AS until,
       r.id AS registration, r.state AS registration_state, r.error AS error
FROM locations_permit p
JOIN integrations_zonemapping m ON m.location_id = p.location_id JOIN integrations_zone z ON z.id = m.zone_id
LEFT JOIN integrations_registration r ON r.permit_id = p.id AND r.connection_id = z.connection_id
WHERE p.status = 'active' AND p."end" > %s
"""
# kind → details; `times` keeps each of them short, however the timing falls.
SANDBOX_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("delay", {"delay_s": 2.0, "times": 4}), ("401", {"times": 3}), ("403", {"times": 1}),
    ("429", {"retry_after_s": 1, "times": 3}), ("429", {"retry_after_s": 1, "retry_after_form": "date", "times": 2}),
    ("5xx", {"status": 500, "times": 4}), ("5xx", {"status": 503, "times": 4}),
    ("5xx", {"status": 504, "processed": True, "times": 3}),
    ("html", {"times": 3}), ("broken_json", {"times": 3}), ("wrong_json", {"times": 2}), ("drop", {"times": 4}),
    ("answer_lost", {"times": 4}), ("truncated", {"times": 3}), ("huge_body", {"times": 1, "size_bytes": 10_000_000}),
    ("late", {"delay_s": 3.0, "times": 5}), ("endless_body", {"times": 1}),
]  # fmt: skip


@dataclass
class Report:
    """What a storm was and what came of it."""

    seed: int
    edits: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    stale: int = 0
    doubled: int = 0
    refused: int = 0
    converge_s: float = 0.0
    storm_s: float = 0.0
    rights: int = 0
    notes: list[str] = field(default_factory=list)

    def lines(self) -> str:
        """Return the report as a person reads it."""
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items()))
        return (
            f"edits made       {self.edits}\nfaults injected  {self.faults.total()} ({faults})\n"
            f"rights listed    {self.rights}\nlost             {self.lost}\nstale            {self.stale}\n"
            f"doubled          {self.doubled}\nrefused, shown   {self.refused}\nstorm            {self.storm_s:.0f} s\n"
            f"time to converge {self.converge_s:.1f} s\nseed             {self.seed}\n"
            + "\n".join(self.notes)
        )


class Injector:
    """Draws faults from a seed and injects them; `heal` ends all of them."""

    def __init__(self, stack: Stack, seed: int, report: Report) -> None:
        self.stack, self.report = stack, report
        self.random = random.Random(seed)
        self.kinds: list[tuple[str, Callable[[], None], int]] = [
            ("worker killed", self.kill_worker, 14),
            ("web killed", self.kill_web, 2),
            ("broker stopped", lambda: self.broker(self.stack.broker.stop), 4),
            ("broker killed", lambda: self.broker(self.stack.broker.kill), 4),
            ("broker frozen", self.freeze_broker, 4),
            ("broker flushed", self.flush_broker, 4),
            ("database restarted", self.restart_database, 3),
            ("remote", self.remote, 65),
        ]

    def inject(self) -> None:
        """Inject one fault."""
        name, call, _weight = self.random.choices(self.kinds, [kind[2] for kind in self.kinds])[0]
        call()
        if name != "remote":
            self.report.faults[name] += 1

    def kill_worker(self) -> None:
        worker = self.random.choice(self.stack.workers)
        worker.kill()
        worker.start(wait=False)

    def kill_web(self) -> None:
        if self.stack.web.alive:
            self.stack.web.kill()
            self.stack.web.start(wait=False)

    def broker(self, end: Callable[[], None]) -> None:
        end()
        time.sleep(self.random.uniform(0.2, 2))
        self.stack.broker.start()

    def freeze_broker(self) -> None:
        self.stack.broker.freeze()
        time.sleep(self.random.uniform(0.5, 3))
        self.stack.broker.thaw()

    def flush_broker(self) -> None:
        import redis

        client = redis.Redis.from_url(self.stack.env["REDIS_URL"], socket_timeout=5)
        client.flushall()
        client.close()

    def restart_database(self) -> None:
        if self.stack.database is not None:
            self.stack.database.restart()

    def remote(self) -> None:
        kind, details = self.random.choice(SANDBOX_FAULTS)
        operator = self.random.choice([None, *OPERATORS.values()])
        path = self.random.choice(["events", "events", "all"])
        self.stack.sandbox.add_fault(
            kind, path=path, operator_id=operator, seed=self.random.randrange(10**6), **details
        )
        self.report.faults[f"remote: {kind}"] += 1

    def heal(self) -> None:
        """End all faults and see that everything runs."""
        self.stack.sandbox.clear_faults()
        self.stack.broker.thaw()
        for server in self.stack.servers:
            if not server.alive:
                server.start(wait=False)
        for server in self.stack.servers:
            server.wait_ready()


def compare(stack: Stack, report: Report) -> bool:
    """Compare both sides into `report`; return whether they are equal and nothing is under way any more."""
    now = datetime.now(UTC)
    at: Any = now if stack.database is not None else now.replace(tzinfo=None).isoformat(" ")
    rows = stack.query(WANTED if stack.database is not None else WANTED.replace("%s", "?"), [at])
    wanted = Counter(
        (row["zone"], row["plate"], row["state"], _ms(row["start"]), _ms(row["until"]))
        for row in rows
        if row["registration_state"] != "refused"
    )
    listed: Counter[tuple[str, str, str, str, str]] = Counter()
    for right in stack.sandbox.rights():
        vehicle = right["vehicle"]
        key = (
            right["zone_id"],
            vehicle["vehicle_plate"],
            vehicle["vehicle_state"],
            _ms(right["start_time"]),
            _ms(right["end_time"]),
        )
        listed[key] += 1
    refused = [row for row in rows if row["registration_state"] == "refused"]
    report.rights, report.refused = listed.total(), len(refused)
    lost, stale = wanted - listed, listed - wanted
    report.lost, report.stale = lost.total(), stale.total()
    report.doubled = _doubled(stack)
    report.notes = [f"lost: {key}" for key in list(lost)[:5]] + [f"stale: {key}" for key in list(stale)[:5]]
    report.notes += [f"refused: {row['error']}" for row in refused[:5]]
    unsettled = stack.query(
        "SELECT count(*) AS n FROM integrations_registration WHERE state = 'due' OR lease IS NOT NULL OR intent IS NOT NULL"
    )[0]["n"]
    if unsettled:
        report.notes.append(f"not settled: {unsettled}")
    return not (lost or stale or unsettled)


def _ms(value: Any) -> str:
    at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def _doubled(stack: Stack) -> int:
    """Sessions beyond one that are open for one registration at a time (`os-<connection>-<registration>-<number>`)."""
    open_ones = Counter(
        str(right["reference_id"]).rpartition("-")[0]
        for right in stack.sandbox.rights()
        if right.get("reference_id")
    )
    return sum(count - 1 for count in open_ones.values())


def run(*, edits: int, faults: int, seed: int, backend: str = POSTGRES, drivers: int = 2) -> Report:
    """Run one storm to its end."""
    report = Report(seed)
    with running_stack(backend, workers=2, web=True) as stack:
        stack.shell(PREPARE.format(operators=OPERATORS))
        injector = Injector(stack, seed, report)
        began = time.monotonic()
        running = []
        for number in range(drivers):
            command = [
                sys.executable, "-m", "tests.faults.driver", "--seed", str(seed), "--name", "abcdef"[number],
                "--edits", str(edits // drivers), "--pause-ms", "8",
            ]  # fmt: skip
            running.append(processes.spawn(command, env=stack.env, output=subprocess.PIPE))
        try:
            while any(process.poll() is None for process in running) or report.faults.total() < faults:
                if report.faults.total() < faults:
                    injector.inject()
                time.sleep(injector.random.uniform(0.1, 0.6))
            for process in running:
                output = process.communicate()[0].decode(errors="replace")
                assert process.returncode == 0, output[-3000:]
                report.edits += json.loads(output.strip().splitlines()[-1])["edits"]
        finally:
            for process in running:
                processes.stop(process, timeout_s=0)
        report.storm_s = time.monotonic() - began
        injector.heal()
        healed = time.monotonic()
        while not compare(stack, report) and time.monotonic() - healed < CONVERGE_LIMIT_S:
            time.sleep(0.3)
        report.converge_s = time.monotonic() - healed
    return report


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--faults", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    report = run(edits=options.edits, faults=options.faults, seed=options.seed)
    print(report.lines())
    print(json.dumps(asdict(report)))
    return int(bool(report.lost or report.stale or report.doubled))


if __name__ == "__main__":
    sys.exit(main())
