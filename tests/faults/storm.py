"""A storm: drivers edit while faults are injected; then everything heals and both sides are compared row by row.

    python -m tests.faults.storm --edits 100000 --faults 1000 --seed 1        (`make faults`)

What is injected, drawn from one seed: kill -9 of workers and of the web, workers replaced (SIGTERM) and frozen beyond their
leases, Redis stopped, flushed, frozen and restarted, PostgreSQL restarted, and every fault of the sandbox, for one operator
or for all. The comparison asks the sandbox for the parking rights and the database for the permits: *lost* is wanted and
not listed, *stale* is listed and not wanted; one that is shown as refused counts as lost or stale like any other, since
everything that the drivers save is sound. *Doubled* is read from the sandbox's own log of every session: a session id that
was begun twice or went on after its stop, a third session of one registration while two were open (a change of plate begins
the new one before it ends the old one), or a second one at the end. *Unexplained* is a refusal without a reason.

One company has two connections, and its locations move between the two. A storm that does not come to its end says why: what
was being injected, how a driver ended, and the ends of their logs.
"""

import argparse
import faulthandler
import json
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tests.with_django  # noqa: F401 - first, since what follows imports models
from offstreet.runtime import processes
from tests.faults import companies
from tests.faults.comparing import Report, compare, doubled
from tests.servers import BACKENDS, POSTGRES, Server, Stack, running_stack

OPERATORS = {
    "university": "072e8b73-87ba-52be-ad93-16807143d145",
    "lakeshore": "fd69c211-318f-56a5-836b-8e03dc8897ae",
    "harbor": "f66d1fff-40aa-5bd1-9f3d-c9f4ea8457b5",
}
# A second account of the first company, which the sandbox is told of.
ANNEX = "5d1f5c52-6f0c-5b6e-9d7e-0a4c1f8b7e21"
CONVERGE_LIMIT_S = 180
# A driver that has not come to its end this long after the last fault hangs: most of the edits may come after it.
DRIVERS_LIMIT_S = 3_600
TELL_EVERY_S = 60
# Faults come in bursts of so many, with a calm between two.
BURST = 8
CALM_S = (3.0, 7.0)
# Nobody presses "try again" in a storm: what is refused must come right by itself, here sooner than in production.
ENVIRONMENT = {"REFUSAL_RETRY_FIRST_S": "2", "REFUSAL_RETRY_MAX_S": "20"}
GONE_ZONE = json.dumps({"type": "io.passportlabs:error:zone_not_found", "detail": "There is no such zone."})
# kind → details; `times` keeps each of them short, however the timing falls.
SANDBOX_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("delay", {"delay_s": 2.0, "times": 4}), ("401", {"times": 3}), ("403", {"times": 1}),
    ("429", {"retry_after_s": 1, "times": 3}), ("429", {"retry_after_s": 1, "retry_after_form": "date", "times": 2}),
    ("5xx", {"status": 500, "times": 4}), ("5xx", {"status": 503, "times": 4}),
    ("5xx", {"status": 504, "processed": True, "times": 3}),
    *(("html", {"status": status, "times": 3}) for status in (502, 400, 404, 405, 409, 410, 413, 422, 451)),
    # A zone that is gone for a moment: whatever is sent meanwhile is refused, stops too.
    ("5xx", {"status": 404, "body": GONE_ZONE, "times": 6}), ("5xx", {"status": 404, "body": GONE_ZONE, "times": 2}),
     ("broken_json", {"times": 3}), ("wrong_json", {"times": 2}), ("drop", {"times": 4}),
    ("answer_lost", {"times": 4}), ("truncated", {"times": 3}), ("huge_body", {"times": 1, "size_bytes": 10_000_000}),
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
        """Wait until the next fault: a moment within a burst, and between two so long that much gets through.

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
        """End what has lasted for long enough."""
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
        """What a deploy does: the old one drains, the new one starts."""
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
        import redis

        client = redis.Redis.from_url(self.stack.env["REDIS_URL"], socket_timeout=5)
        client.flushall()
        client.close()

    def restart_database(self) -> None:
        if self.stack.database is not None:
            self.stack.database.restart()

    def remote(self) -> None:
        kind, details = self.random.choice(SANDBOX_FAULTS)
        operator = self.random.choice([None, ANNEX, *OPERATORS.values(), *OPERATORS.values()])
        path = self.random.choice(["events", "events", "all"])
        fault = self.stack.sandbox.add_fault(
            kind, path=path, operator_id=operator, seed=self.random.randrange(10**6), **details
        )
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


def _tell(stack: Stack, report: Report, after_s: float) -> None:
    """Say how far a long storm has come."""
    answers = "SELECT count(*) AS n FROM integrations_push WHERE outcome = 'accepted'"
    edits = stack.query("SELECT sum(revision) AS n FROM locations_permit")[0]["n"]
    accepted = stack.query(answers)[0]["n"]
    said = f"{after_s:.0f} s: {report.faults.total()} faults, {edits} edits, {accepted} requests accepted"
    print(said, file=sys.stderr, flush=True)


class StormEnded(AssertionError):
    """A storm could not go on; the message says why, with the ends of the logs."""


@dataclass
class RunningDriver:
    """A driver that runs, and the file that it writes to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(errors="replace")[-3_000:]

    def how_it_ended(self) -> str:
        """Return how it ended where that was not in order, else an empty text."""
        status = self.process.poll()
        if not status:
            return ""
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"driver {self.name} ended {how}:\n{self.tail()}"


def _start_drivers(
    stack: Stack, *, seed: int, edits: int, drivers: int, pause_ms: float
) -> list[RunningDriver]:
    started = []
    for name in "abcdef"[:drivers]:
        command = [
            sys.executable, "-m", "tests.faults.driver", "--seed", str(seed), "--name", name,
            "--edits", str(edits // drivers), "--pause-ms", f"{pause_ms:.0f}",
        ]  # fmt: skip
        # A file and no pipe: nobody reads while the storm lasts, and what a driver logs would fill a pipe.
        output = stack.home / f"driver-{name}.log"
        with output.open("wb") as log:
            started.append(RunningDriver(name, processes.spawn(command, env=stack.env, output=log), output))
    return started


def look_after(drivers: Sequence[RunningDriver], *, idle_s: float) -> None:
    """Raise `StormEnded` where a driver has died, or hangs `idle_s` seconds after the last fault."""
    if died := [how for driver in drivers if (how := driver.how_it_ended())]:
        raise StormEnded("\n".join(died))
    if idle_s > DRIVERS_LIMIT_S and (hanging := [driver for driver in drivers if driver.runs]):
        for driver in hanging:
            processes.signal_group(driver.process, signal.SIGUSR1)
        time.sleep(1)
        raise StormEnded("\n".join(f"driver {driver.name} hangs:\n{driver.tail()}" for driver in hanging))


def _blow(
    stack: Stack, injector: Injector, drivers: Sequence[RunningDriver], *, faults: int, minutes: float
) -> None:
    """Inject until all faults are injected and the drivers are done, or the time is up."""
    report, began = injector.report, time.monotonic()
    told = last_fault = began
    while any(driver.runs for driver in drivers) or report.faults.total() < faults:
        look_after(drivers, idle_s=time.monotonic() - last_fault)
        if minutes and time.monotonic() - began > minutes * 60:
            for driver in drivers:
                processes.signal_group(driver.process, signal.SIGTERM)
            for driver in drivers:
                driver.process.wait(60)
            break
        if report.faults.total() < faults:
            injector.inject()
            injector.pause()
            last_fault = time.monotonic()
        else:
            injector.expire()
            time.sleep(0.2)
        if time.monotonic() - told > TELL_EVERY_S:
            told = time.monotonic()
            _tell(stack, report, told - began)
    look_after(drivers, idle_s=0)


def run(
    *, edits: int, faults: int, seed: int, backend: str = POSTGRES, drivers: int = 2, minutes: float = 0
) -> Report:
    """Run one storm to its end; with `minutes`, stop editing and injecting then and compare what came of it.

    Raises `StormEnded` where it can't go on.
    """
    report = Report(seed)
    with running_stack(backend, workers=2, web=True, env=ENVIRONMENT) as stack:
        stack.run(companies.make_live, operators=OPERATORS)
        _add_second_site(stack)
        stack.sandbox.settings(event_log_size=500)
        injector = Injector(stack, seed, report)
        # Spread over the faults as well as it can be foreseen: about two permits an edit, and 15 ms of work.
        pause_ms = max(4, 600 * faults / (edits / drivers / 2) - 15)
        began = time.monotonic()
        running = _start_drivers(stack, seed=seed, edits=edits, drivers=drivers, pause_ms=pause_ms)
        try:
            _blow(stack, injector, running, faults=faults, minutes=minutes)
            for driver in running:
                said = json.loads(driver.tail().strip().splitlines()[-1])
                report.edits += said["edits"]
                report.slowest_save_ms = max(report.slowest_save_ms, said["slowest_ms"])
        except BaseException as error:
            raise StormEnded(_why(error, injector, running, time.monotonic() - began)) from error
        finally:
            for driver in running:
                processes.stop(driver.process, timeout_s=0)
        report.storm_s = time.monotonic() - began
        injector.heal()
        stack.run(companies.resume_all)
        healed = time.monotonic()
        while not compare(stack, report) and time.monotonic() - healed < CONVERGE_LIMIT_S:
            time.sleep(0.3)
        report.converge_s = time.monotonic() - healed
        compared = f"compared after {report.converge_s:.1f} s: lost {report.lost}, stale {report.stale}"
        print(compared, file=sys.stderr, flush=True)
        sessions = stack.sandbox.sessions()
        twice = doubled(sessions)
        report.sessions, report.doubled = len(sessions), len(twice)
        state = stack.sandbox.state()
        report.breaches, report.met = state["breaches"], state["faults_met"]
        report.notes += twice[:10]
        if stack.database is not None:
            report.deadlocks = stack.database.log_path.read_bytes().count(b"deadlock detected")
    return report


def _add_second_site(stack: Stack) -> None:
    zones = [
        {"id": str(uuid.uuid5(uuid.UUID(ANNEX), str(number))), "number": f"A{number}", "name": f"Annex {number}",
         "operator_id": ANNEX, "session_type": "vehicle"}
        for number in range(4)
    ]  # fmt: skip
    stack.sandbox.call("POST", "operators", {"operator_id": ANNEX, "name": "Annex", "zones": zones})
    stack.run(companies.add_annex, slug=next(iter(OPERATORS)), operator_id=ANNEX)


def _why(error: BaseException, injector: Injector, drivers: Sequence[RunningDriver], after_s: float) -> str:
    """Return why a storm ended before its time."""
    ends = "\n".join(f"end of driver {driver.name}'s log:\n{driver.tail()[-1_000:]}" for driver in drivers)
    return (
        f"The storm (seed {injector.report.seed}) ended after {after_s:.0f} s and {injector.report.faults.total()} faults, "
        f"while injecting {injector.injecting}: {type(error).__name__}: {error}\n{ends}"
    )


def _end(signum: int, _frame: object) -> None:
    raise SystemExit(f"ended by {signal.Signals(signum).name}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--edits", type=int, default=100_000)
    parser.add_argument("--faults", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drivers", type=int, default=2, choices=range(1, 7), help="how many edit at once")
    parser.add_argument("--minutes", type=float, default=0, help="end earlier, after so many minutes")
    parser.add_argument("--backend", choices=BACKENDS, default=POSTGRES)
    options = parser.parse_args()
    # A storm takes long, and whoever ends it from outside should be told apart from what went wrong in it.
    faulthandler.enable()
    for signum in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, _end)
    try:
        report = run(**vars(options))
    except StormEnded as error:
        print(error, file=sys.stderr, flush=True)
        return 2
    print(report.lines())
    print(json.dumps(vars(report)))
    return int(bool(report.lost or report.stale or report.doubled or report.unexplained))


if __name__ == "__main__":
    sys.exit(main())
