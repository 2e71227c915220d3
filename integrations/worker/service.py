"""A worker process's engine and scheduler: two threads that begin with the Celery worker and end with it.

They begin before the broker is reached and do not need it: a worker that has lost its broker goes on delivering by the
sweep. On SIGTERM the engine claims nothing more, finishes the requests under way and settles them.
"""

import sys
import threading
from typing import Any

import structlog
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from django.conf import settings

from integrations.delivery import wakeup
from integrations.delivery.engine import Engine
from integrations.vendors.protocol import get_vendor
from integrations.worker import periodic_tasks
from integrations.worker.gc_tuning import freeze
from integrations.worker.scheduler import Scheduler

log = structlog.get_logger(__name__)

JOIN_S = 12.0
SWITCH_S = 0.001


class Worker:
    """The two threads."""

    def __init__(self) -> None:
        self.engine = Engine(pass_on=wakeup.wake)
        self._stop = threading.Event()
        scheduler = Scheduler(self.engine)
        self._threads = [
            threading.Thread(target=self.engine.run, args=(self._stop,), name="engine", daemon=True),
            threading.Thread(target=scheduler.run, args=(self._stop,), name="scheduler", daemon=True),
        ]

    def start(self) -> None:
        """Begin."""
        # A chore that computes would otherwise keep the engine waiting for 5 ms after each of its statements.
        sys.setswitchinterval(SWITCH_S)
        periodic_tasks.register_all()
        _load_vendors()
        freeze()
        for thread in self._threads:
            thread.start()

    def begin_to_stop(self) -> None:
        """Claim nothing more."""
        self._stop.set()
        self.engine.wake([])

    def join(self) -> None:
        """Wait until what was under way is settled."""
        for thread in self._threads:
            thread.join(JOIN_S)


def _load_vendors() -> None:
    """Load what the first delivery would otherwise wait for: a client with its certificates takes 50 ms."""
    for slug in settings.INTEGRATION_VENDORS:
        try:
            get_vendor(slug)
        except Exception:
            # The others go on; the engine says the same at each delivery of this one.
            log.exception("a vendor could not be loaded", vendor=slug)


_worker: Worker | None = None


def engine() -> Engine:
    """Return this process's engine; only a worker has one."""
    if _worker is None:
        raise RuntimeError("This process is not a worker.")
    return _worker.engine


@worker_init.connect
def _begin(**_: Any) -> None:
    global _worker
    _worker = Worker()
    _worker.start()
    log.info("engine and scheduler are running")


@worker_shutting_down.connect
def _shutting_down(**_: Any) -> None:
    if _worker is not None:
        _worker.begin_to_stop()


@worker_shutdown.connect
def _shutdown(**_: Any) -> None:
    if _worker is not None:
        _worker.begin_to_stop()
        _worker.join()
        log.info("engine and scheduler have ended")
