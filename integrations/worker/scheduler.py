"""The scheduler: a thread in every worker, so that no single process is needed for anything to go on.

Two things happen here. The *sweep* looks each second for connections that have something due, and wakes this worker's own
engine: it needs no broker, and makes up for every hint that was lost. *Periodic tasks* are run by whichever worker moves
their `next_at` forward in the database, so each runs once however many workers there are; a worker that dies during one
costs one round of it.

Those that ask a vendor or a mail server have a thread each (`waits_for_others`), since a round of theirs may last as long as
somebody else takes to answer; the others share two. Look-ups that people ask for (`integrations.reconciliation.check_runs`)
are claimed here, too, and run by threads of their own for the same reason.
"""

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from django.db import close_old_connections, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.utils import Error as DatabaseError

from integrations.delivery import circuit_breaker
from integrations.delivery.claim import LEASE
from integrations.delivery.database_clock import come, database_now, has_come
from integrations.delivery.engine import Engine
from integrations.delivery.record_results import BACKOFF_MAX
from integrations.models import Breaker, CheckRun, Connection, PeriodicTask, PermitSync, WorkerHeartbeat
from integrations.models.delivery import Priority
from integrations.reconciliation import check_runs
from integrations.reconciliation import rounds as comparison_rounds
from integrations.worker.liveness import ENGINE, SWEEP, Pulse

log = structlog.get_logger(__name__)

SWEEP_EVERY_S = 1.0
BEAT_EVERY_S = 5.0
TASK_THREADS = 2
# Look-ups that one worker makes at the same time.
CHECK_THREADS = 3
# A worker that was not heard of for this long is forgotten.
FORGET_WORKERS_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ScheduledTask:
    """A periodic task: its name, how often, and what to do. The function gets the database's time.

    `rests_s` is how much longer than `every_s` it may ask to be left alone, by moving its `next_at` on. One that
    `waits_for_others` asks somebody over the network, and so must not keep a thread that other tasks need.
    """

    name: str
    every_s: float
    work: Callable[[datetime], object]
    rests_s: float = 0
    waits_for_others: bool = False

    def is_due(self, next_at: datetime, now: datetime) -> bool:
        """Whether its time has come; a clock that was a day ahead for a moment does not stop it for a day. Pure."""
        return has_come(next_at, now, at_most=timedelta(seconds=max(self.every_s, self.rests_s)))


_scheduled_tasks: dict[str, ScheduledTask] = {}


def register(
    name: str,
    every_s: float,
    work: Callable[[datetime], object],
    *,
    rests_s: float = 0,
    waits_for_others: bool = False,
) -> None:
    """Have `work` run once every `every_s` seconds by one of the workers; see `ScheduledTask`."""
    _scheduled_tasks[name] = ScheduledTask(name, every_s, work, rests_s, waits_for_others)


def scheduled_tasks() -> Sequence[ScheduledTask]:
    """Return all registered periodic tasks."""
    return list(_scheduled_tasks.values())


def due_connections(now: datetime) -> list[int]:
    """Return the ids of connections that have a row which may be claimed now, or a probe that is due.

    Each connection costs one look into the partial index of due rows. Connections that are not live are looked at for test
    plates alone.
    """
    claimable = PermitSync.objects.filter(
        Q(leased_until=None) | come("leased_until", now, at_most=LEASE),
        connection=OuterRef("pk"),
        state=PermitSync.State.DUE,
    )
    soon = claimable.filter(come("next_attempt_at", now, at_most=BACKOFF_MAX))
    live = Connection.objects.filter(status=Connection.Status.LIVE)
    others = Connection.objects.filter(
        status__in=[Connection.Status.SETUP, Connection.Status.TESTING, Connection.Status.PAUSED]
    )
    found = set(live.filter(Exists(soon)).values_list("pk", flat=True))
    found.update(others.filter(Exists(soon.filter(priority=Priority.TEST))).values_list("pk", flat=True))
    probes = Breaker.objects.filter(circuit_breaker.is_due(now), connection__isnull=False, failures__gt=0)
    found.update(probes.values_list("connection_id", flat=True))
    found.update(_recovered(live, claimable, now))
    return sorted(found)


def _recovered(live: QuerySet[Connection], claimable: QuerySet[PermitSync], now: datetime) -> set[int]:
    """Return connections that came back lately and have rows which failed before and need not wait out their backoff.

    The worker whose probe succeeded continues on its own; this is for when it dies right then.
    """
    found: set[int] = set()
    closed = Breaker.objects.filter(
        recovered_at__gt=now - BACKOFF_MAX, recovered_at__lte=now, open_until=None
    )
    for connection_id, vendor, at in closed.values_list("connection_id", "vendor", "recovered_at"):
        back = live.filter(pk=connection_id) if vendor is None else live.filter(vendor=vendor)
        found.update(back.filter(Exists(claimable.filter(tried_at__lt=at))).values_list("pk", flat=True))
    return found


def take(task: ScheduledTask, now: datetime) -> bool:
    """Take a periodic task for this round; False if it is not due or another worker has it."""
    row, _made = PeriodicTask.objects.get_or_create(name=task.name, defaults={"next_at": now})
    if not task.is_due(row.next_at, now):
        return False
    next_at = now + timedelta(seconds=task.every_s)
    return bool(
        PeriodicTask.objects.filter(name=task.name, next_at=row.next_at).update(
            next_at=next_at, last_began_at=now
        )
    )


def perform(task: ScheduledTask, now: datetime) -> None:
    """Run a periodic task and note how it ended; an error is logged and kept, and the next round tries again."""
    error = ""
    try:
        task.work(now)
    except Exception as raised:
        log.exception("a periodic task failed", task=task.name)
        error = f"{type(raised).__name__}: {raised}"[:500]
    finally:
        try:
            PeriodicTask.objects.filter(name=task.name).update(last_ended_at=database_now(), last_error=error)
        finally:
            close_old_connections()


class Scheduler:
    """See the module's docstring."""

    def __init__(self, engine: Engine, pulse: Pulse | None = None) -> None:
        self._engine = engine
        self._pulse = pulse or Pulse()
        self._pool = ThreadPoolExecutor(max_workers=TASK_THREADS, thread_name_prefix="periodic")
        # Each task that waits for others has a pool of its own with one thread, started when it is first due.
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._check_pool = ThreadPoolExecutor(max_workers=CHECK_THREADS, thread_name_prefix="check")
        self._free_checks = threading.Semaphore(CHECK_THREADS)
        self._running: set[str] = set()
        self._lock = threading.Lock()
        # Monotonic seconds; and whether the log has been told of an engine that hangs.
        self._beaten_at = -BEAT_EVERY_S
        self._engine_hangs = False
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at: datetime | None = None

    def run(self, stop: threading.Event) -> None:
        """Sweep, beat and hand out periodic tasks until `stop` is set; a database that is away is waited for."""
        while not stop.is_set():
            try:
                self.tick()
                self._pulse.beat(SWEEP)
            except DatabaseError as error:
                log.warning("the database did not answer the scheduler", error=type(error).__name__)
            except Exception:
                log.exception("unexpected error in the scheduler; continuing")
            finally:
                close_old_connections()
            stop.wait(SWEEP_EVERY_S * random.uniform(0.8, 1.2))
        comparison_rounds.stop()
        self.stop_tasks()

    def stop_tasks(self) -> None:
        """Begin no task or look-up that waits for a thread."""
        for pool in (self._pool, *self._pools.values(), self._check_pool):
            pool.shutdown(wait=False, cancel_futures=True)

    def tick(self) -> None:
        """Do one round."""
        now = database_now()
        found = due_connections(now)
        if found:
            self._engine.wake(found)
        self._beat(now)
        self._take_checks(now)
        next_at = dict(PeriodicTask.objects.values_list("name", "next_at"))
        for task in scheduled_tasks():
            with self._lock:
                if task.name in self._running:
                    continue
            # One look at all of them; most rounds find nothing that is due.
            if task.is_due(next_at.get(task.name, now), now) and take(task, now):
                with self._lock:
                    self._running.add(task.name)
                self._pool_of(task).submit(self._perform, task, now)

    def _pool_of(self, task: ScheduledTask) -> ThreadPoolExecutor:
        if not task.waits_for_others:
            return self._pool
        if task.name not in self._pools:
            self._pools[task.name] = ThreadPoolExecutor(max_workers=1, thread_name_prefix=task.name)
        return self._pools[task.name]

    def _perform(self, task: ScheduledTask, now: datetime) -> None:
        try:
            perform(task, now)
        finally:
            with self._lock:
                self._running.discard(task.name)

    def _take_checks(self, now: datetime) -> None:
        """Hand out the look-ups that wait, as many as threads are free; the others wait for the next round, or worker."""
        while self._free_checks.acquire(blocking=False):
            run = check_runs.claim(now)
            if run is None:
                self._free_checks.release()
                return
            self._check_pool.submit(self._check, run)

    def _check(self, run: CheckRun) -> None:
        try:
            check_runs.perform(run)
        except DatabaseError as error:
            log.warning("what was looked up could not be kept", check=run.pk, error=type(error).__name__)
        finally:
            self._free_checks.release()

    def _beat(self, now: datetime) -> None:
        """Report this worker, unless its engine hangs: it would deliver nothing, however well this thread does."""
        hangs = not self._pulse.is_steady(ENGINE)
        if hangs and not self._engine_hangs:
            log.error("the engine does not go round; this worker reports itself no longer", worker=self.name)
        self._engine_hangs = hangs
        if hangs or time.monotonic() - self._beaten_at < BEAT_EVERY_S:
            return
        self._started_at = self._started_at or now
        WorkerHeartbeat.objects.update_or_create(
            name=self.name,
            defaults={"seen_at": now},
            create_defaults={"seen_at": now, "started_at": self._started_at},
        )
        longest = FORGET_WORKERS_AFTER
        WorkerHeartbeat.objects.filter(come("seen_at", now - longest, at_most=2 * longest)).delete()
        self._beaten_at = time.monotonic()


def raise_urgency(now: datetime) -> None:
    """Let waiting rows whose window has begun meanwhile move up (periodic task)."""
    begun = PermitSync.objects.filter(state=PermitSync.State.DUE, permit__start__lte=now)
    for soon, current in ((Priority.SOON, Priority.NOW), (Priority.MASS_SOON, Priority.MASS_NOW)):
        with transaction.atomic():
            # Without waiting: whoever holds a row now is about to change it, and the next round finds what is left.
            rows = begun.filter(priority=soon).order_by("permit_id", "connection_id")
            rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
            held = list(rows.values_list("pk", flat=True)[:5_000])
            PermitSync.objects.filter(pk__in=held).update(priority=current)
