"""The engine and the scheduler inside a Celery worker: two threads that a bootstep starts and stops with the worker.

`offstreet.celery` adds the step to the worker's blueprint. It starts after the pool, so that no child process is forked
while our threads run, and before the consumer. It does not need the broker: a worker that has lost its broker goes on
delivering by the scheduler's sweep. On SIGTERM the engine claims nothing more, finishes the requests in flight and records
their results.

Deliveries run in the engine's own threads, whatever Celery's pool is; the pool only runs tasks such as zone refreshes. So
the worker starts under any pool, and says so in the log where one is a poor choice.
"""

import sys
import threading
from pathlib import Path
from typing import Any

import structlog
from celery import bootsteps
from django.conf import settings

from integrations.delivery import wakeup
from integrations.delivery.engine import Engine
from integrations.vendors.protocol import get_vendor
from integrations.worker import periodic_tasks
from integrations.worker.gc_tuning import freeze
from integrations.worker.liveness import ENGINE, Pulse
from integrations.worker.scheduler import Scheduler

log = structlog.get_logger(__name__)

JOIN_S = 12.0
SWITCH_S = 0.001

# What is wrong with a pool for this worker; by the last part of the module that Celery keeps it in.
_POOL_WARNINGS = {
    "prefork": "Its child processes run zone refreshes alone and take memory for each; deliveries run in the main process. "
    "Use --pool threads.",
    "solo": "A zone refresh keeps the worker from hearing wake-ups while it runs; deliveries then wait for the sweep, up "
    "to a second. Use --pool threads.",
    "gevent": "It replaces the threads that deliver; this worker was never tested with it. Use --pool threads.",
    "eventlet": "It replaces the threads that deliver; this worker was never tested with it. Use --pool threads.",
}


def pool_warning(pool_module: str) -> str | None:
    """Return what is wrong with the pool of this module ("celery.concurrency.prefork") for a worker; None: nothing."""
    return _POOL_WARNINGS.get(pool_module.rpartition(".")[2])


class DeliveryThreads:
    """The two threads."""

    def __init__(self) -> None:
        path = settings.WORKER_HEARTBEAT_FILE
        pulse = Pulse(Path(path) if path else None)
        self.engine = Engine(pass_on=wakeup.wake, on_turn=lambda: pulse.beat(ENGINE))
        self._stop = threading.Event()
        scheduler = Scheduler(self.engine, pulse)
        self._threads = [
            threading.Thread(target=self.engine.run, args=(self._stop,), name="engine", daemon=True),
            threading.Thread(target=scheduler.run, args=(self._stop,), name="scheduler", daemon=True),
        ]

    def start(self) -> None:
        """Start both."""
        # A periodic task that computes would otherwise keep the engine waiting for 5 ms after each of its statements.
        sys.setswitchinterval(SWITCH_S)
        periodic_tasks.register_all()
        _load_vendors()
        freeze()
        for thread in self._threads:
            thread.start()
        log.info("engine and scheduler are running")

    def begin_to_stop(self) -> None:
        """Claim nothing more."""
        self._stop.set()
        self.engine.wake([])

    def stop(self) -> None:
        """Stop both, and wait until what was in flight is recorded."""
        self.begin_to_stop()
        for thread in self._threads:
            thread.join(JOIN_S)
        log.info("engine and scheduler have stopped")


def _load_vendors() -> None:
    """Load what the first delivery would otherwise wait for: a client with its certificates takes 50 ms."""
    for slug in settings.INTEGRATION_VENDORS:
        try:
            get_vendor(slug)
        except Exception:
            # The others go on; the engine logs the same at each delivery of this one.
            log.exception("a vendor could not be loaded", vendor=slug)


_running: DeliveryThreads | None = None


def engine() -> Engine:
    """Return this process's engine; raise `RuntimeError` where there is none (not a worker, or a child of its pool)."""
    if _running is None:
        raise RuntimeError("This process has no delivery engine: it is no worker's main process.")
    return _running.engine


class DeliveryStep(bootsteps.StartStopStep):  # type: ignore[misc]
    """The step of the worker's blueprint that runs the engine and the scheduler."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> DeliveryThreads:
        """Return the threads, not yet started; say so where the pool is a poor choice."""
        global _running
        pool_module = worker.pool_cls.__module__
        if (warning := pool_warning(pool_module)) is not None:
            log.warning("this pool is a poor choice for this worker", pool=pool_module, why=warning)
        _running = DeliveryThreads()
        return _running

    def close(self, worker: Any) -> None:
        """Claim nothing more; called before any part of the worker is stopped."""
        self.obj.begin_to_stop()
