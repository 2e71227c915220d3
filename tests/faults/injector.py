"""What a storm injects: processes killed, frozen and restarted, and faults at Passport, drawn from one seed."""

import json
import random
import time
from collections.abc import Callable
from typing import Any

import redis

from tests.faults.comparing import Report
from tests.servers import Server, Stack

OPERATORS = {
    "university": "072e8b73-87ba-52be-ad93-16807143d145",
    "lakeshore": "fd69c211-318f-56a5-836b-8e03dc8897ae",
    "harbor": "f66d1fff-40aa-5bd1-9f3d-c9f4ea8457b5",
}
# A second account of the first company, which is added to the sandbox.
ANNEX = "5d1f5c52-6f0c-5b6e-9d7e-0a4c1f8b7e21"
# Faults come in bursts of this size, with a calm between two bursts.
BURST = 8
CALM_S = (3.0, 7.0)
GONE_ZONE = json.dumps({"type": "io.passportlabs:error:zone_not_found", "detail": "There is no such zone."})
# kind → details; `times` keeps each of them short, whatever the timing.
SANDBOX_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("delay", {"delay_s": 2.0, "times": 4}), ("401", {"times": 3}), ("403", {"times": 1}),
    ("429", {"retry_after_s": 1, "times": 3}), ("429", {"retry_after_s": 1, "retry_after_form": "date", "times": 2}),
    ("5xx", {"status": 500, "times": 4}), ("5xx", {"status": 503, "times": 4}),
    ("5xx", {"status": 504, "processed": True, "times": 3}),
    *(("html", {"status": status, "times": 3}) for status in (502, 400, 404, 405, 409, 410, 413, 422, 451)),
    # A zone that is missing for a moment: everything sent in that time is refused, stops too.
    ("5xx", {"status": 404, "body": GONE_ZONE, "times": 6}), ("5xx", {"status": 404, "body": GONE_ZONE, "times": 2}),
     ("broken_json", {"times": 3}), ("wrong_json", {"times": 2}), ("drop", {"times": 4}),
    ("answer_lost", {"times": 4}), ("truncated", {"times": 3}), ("huge_body", {"times": 1, "size_bytes": 10_000_000}),
    # Accepted, then forgotten or applied wrongly: comparisons find it and put it right.
    ("forget", {"times": 1, "event_type": "started"}), ("forget", {"times": 1, "event_type": "extended"}),
    ("forget", {"times": 1, "event_type": "stopped"}),
    ("wrong_plate", {"times": 1, "path": "events"}), ("wrong_zone", {"times": 1, "path": "events"}),
    ("partial", {"times": 3, "retry_after_s": 1}), ("html", {"status": 413, "times": 6, "above_events": 5}),
    ("missing_fields", {"times": 3, "path": "zones"}),
    ("missing_fields", {"times": 3, "path": "zones", "fields": "session_type,spaces", "as_null": True}),
    ("other_forms", {"times": 6, "path": "rights"}),
    ("late", {"delay_s": 3.0, "times": 5}), ("endless_body", {"times": 1}),
]  # fmt: skip


class Injector:
    """Draws faults from a seed and injects them; `heal` ends all of them."""

    def __init__(self, stack: Stack, seed: int, report: Report) -> None:
        self.stack, self.report = stack, report
        self.random = random.Random(seed)
        self.frozen: list[tuple[float, Server]] = []
        self.ending: list[tuple[float, int]] = []
        self.burst = BURST
        self.injecting = "nothing"
        self.kinds: list[tuple[str, Callable[[], None], int]] = [
            ("worker killed", self.kill_worker, 14),
            ("worker replaced", self.replace_worker, 3),
            ("worker frozen", self.freeze_worker, 3),
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
        self.injecting = name
        call()
        self.injecting = "nothing"
        if name != "remote":
            self.report.faults[name] += 1

    def pause(self) -> None:
        """Wait until the next fault: a moment within a burst; between two bursts long enough that much gets through.

        Without the calm a storm would be one long outage: breakers let a single probe through every few seconds.
        """
        self.burst -= 1
        if self.burst > 0:
            time.sleep(self.random.uniform(0.1, 0.6))
        else:
            self.burst = BURST
            self.stack.sandbox.clear_faults()
            self.ending.clear()
            time.sleep(self.random.uniform(*CALM_S))
        self.expire()

    def expire(self) -> None:
        """End what has lasted long enough."""
        now = time.monotonic()
        for until, server in [one for one in self.frozen if now > one[0]]:
            server.thaw()
            self.frozen.remove((until, server))
        for until, fault in [one for one in self.ending if now > one[0]]:
            self.stack.sandbox.end_fault(fault)
            self.ending.remove((until, fault))

    def kill_worker(self) -> None:
        worker = self.random.choice(self.stack.workers)
        worker.kill()
        worker.start(wait=False)

    def replace_worker(self) -> None:
        """What a deploy does: the old worker drains, the new one starts."""
        worker = self.random.choice(self.stack.workers)
        worker.stop(timeout_s=30)
        worker.start(wait=False)

    def freeze_worker(self) -> None:
        worker = self.random.choice(self.stack.workers)
        if worker.alive:
            worker.freeze()
            self.frozen.append((time.monotonic() + self.random.uniform(1, 16), worker))

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
        client = redis.Redis.from_url(self.stack.env["REDIS_URL"], socket_timeout=5)
        client.flushall()
        client.close()

    def restart_database(self) -> None:
        if self.stack.database is not None:
            self.stack.database.restart()

    def remote(self) -> None:
        kind, details = self.random.choice(SANDBOX_FAULTS)
        operator = self.random.choice([None, ANNEX, *OPERATORS.values(), *OPERATORS.values()])
        about = {"path": self.random.choice(["events", "events", "all"]), **details}
        seed = self.random.randrange(10**6)
        fault = self.stack.sandbox.add_fault(kind, operator_id=operator, seed=seed, **about)
        self.ending.append((time.monotonic() + self.random.uniform(0.5, 4), fault["id"]))
        self.report.faults[f"remote: {kind}"] += 1

    def heal(self) -> None:
        """End all faults and see that everything runs."""
        self.stack.sandbox.clear_faults()
        for server in self.stack.servers:
            server.thaw()
            if not server.alive:
                server.start(wait=False)
        for server in self.stack.servers:
            server.wait_ready()
