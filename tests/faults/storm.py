"""A storm: drivers edit while faults are injected; then all faults end and both sides are compared row by row.

    python -m tests.faults.storm --edits 100000 --faults 1000 --seed 1        (`make faults`)

What is injected, drawn from one seed: kill -9 of workers and of the web, workers replaced (SIGTERM) and frozen beyond their
leases, Redis stopped, flushed, frozen and restarted, PostgreSQL restarted, and every fault of the sandbox, for one operator
or for all. The comparison asks the sandbox for the parking rights and the database for the permits: *lost* is wanted but
not listed, *stale* is listed but not wanted; one that is shown as refused counts as lost or stale like any other, since
everything that the drivers save is sound. *Doubled* is read from the sandbox's own log of every session: a session id that
was started twice or continued after its stop, a third session of a permit sync while two were open (a change of plate begins
the new one before it ends the old one), or a second one at the end. *Unexplained* is a refusal without a reason.

One company has two connections, and its locations move between the two. A storm that doesn't finish says why: what was
being injected, how a driver ended, and the ends of their logs.
"""

import argparse
import faulthandler
import json
import signal
import sys
import time
import uuid
from collections.abc import Sequence

import tests.with_django  # noqa: F401 - first, since what follows imports models
from offstreet.runtime import processes
from tests.faults import companies
from tests.faults.comparing import Report, compare, doubled
from tests.faults.drivers import RunningDriver, StormEnded, look_after, start_drivers
from tests.faults.injector import ANNEX, OPERATORS, Injector
from tests.servers import BACKENDS, POSTGRES, Stack, running_stack

CONVERGE_LIMIT_S = 180
TELL_EVERY_S = 60
# No one presses "Try again" in a storm: what is refused must recover automatically, here sooner than in production.
# Comparisons find what was accepted and forgotten; they come sooner too.
ENVIRONMENT = {"REFUSAL_RETRY_FIRST_S": "2", "REFUSAL_RETRY_MAX_S": "20", "COMPARISON_EVERY_S": "5"}
# Rights that are not ours, of every operator: residents' permits, and drivers' own sessions with a reference.
FOREIGN_RIGHTS = 200


def _tell(stack: Stack, report: Report, after_s: float) -> None:
    """Print the progress of a long storm."""
    answers = "SELECT count(*) AS n FROM integrations_push WHERE outcome = 'accepted'"
    edits = stack.query("SELECT sum(revision) AS n FROM locations_permit")[0]["n"]
    accepted = stack.query(answers)[0]["n"]
    said = f"{after_s:.0f} s: {report.faults.total()} faults, {edits} edits, {accepted} requests accepted"
    print(said, file=sys.stderr, flush=True)


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
    """Run one storm to its end; with `minutes`, stop editing and injecting then, and compare the result.

    Raises `StormEnded` if it can't continue.
    """
    report = Report(seed)
    with running_stack(backend, workers=2, web=True, env=ENVIRONMENT) as stack:
        stack.run(companies.make_live, operators=OPERATORS)
        _add_second_site(stack)
        stack.sandbox.settings(event_log_size=500)
        _add_foreign_rights(stack)
        injector = Injector(stack, seed, report)
        # Spread over the faults as well as can be estimated: about two permits an edit, and 15 ms of work.
        pause_ms = max(4, 600 * faults / (edits / drivers / 2) - 15)
        began = time.monotonic()
        running = start_drivers(stack, seed=seed, edits=edits, drivers=drivers, pause_ms=pause_ms)
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


def _add_foreign_rights(stack: Stack) -> None:
    for operator in OPERATORS.values():
        zone = stack.sandbox.call("GET", f"operators/{operator}/zones")["data"][0]
        right = {"operator_id": operator, "zone_id": zone["id"], "count": FOREIGN_RIGHTS // 2,
                 "start_time": "2026-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z"}  # fmt: skip
        resident = {"vehicle_plate": "RES", "vehicle_state": "NC"}
        stack.sandbox.call(
            "POST", "rights", {**right, "vehicle": resident, "type": "residential_permit",
                               "session_id": f"foreign-resident-{operator}"},
        )  # fmt: skip
        driver = {"vehicle_plate": "DRV", "vehicle_state": "US-NC"}
        reference = f"foreign-driver-{operator}"
        stack.sandbox.call("POST", "rights", {**right, "vehicle": driver, "reference_id": reference})


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
    # A storm takes long, and being ended from outside should be distinguished from a failure in it.
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
