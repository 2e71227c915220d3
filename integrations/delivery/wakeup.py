"""Wakes the workers: a hint, sent after a commit, that something is due.

A hint is deduplicated, carries only connection ids, and is never waited for: a thread of the saving process hands it to
the broker. Each round sends one message for all connections named since the last one and then pauses briefly, so a
thousand saves a second cause at most `1 / REST_S` messages a second. If the broker is away, slow or frozen, the hint is
dropped after one quick retry; the sweeper in every worker finds what is due in any case.
"""

import atexit
import os
import threading
import time
from collections.abc import Iterable

import structlog
from celery import current_app

log = structlog.get_logger(__name__)

REST_S = 0.02
# A process that ends (a command) waits this long for its last hints to be sent.
EXIT_WAIT_S = 1.0


class Waker:
    """Hands hints to the broker from a thread of its own."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pending: set[int] = set()
        self._busy = False
        self._thread: threading.Thread | None = None

    def wake(self, connection_ids: Iterable[int]) -> None:
        """Note that these connections have something due; returns at once."""
        with self._changed:
            self._pending.update(connection_ids)
            if not self._pending:
                return
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, timeout_s: float = EXIT_WAIT_S) -> bool:
        """Wait until all hints have left; return whether they did in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._pending and not self._busy, timeout_s)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._pending))
                ids, self._pending, self._busy = sorted(self._pending), set(), True
            try:
                publish(ids)
            except Exception as error:  # noqa: BLE001
                # Whatever the broker's client raises: the sweeper finds what a lost hint was about.
                log.warning("wake-up not sent; the sweeper will find it", error=type(error).__name__)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
            time.sleep(REST_S)


def publish(connection_ids: list[int]) -> None:
    """Send one message that names these connections; raises what the broker's client raises."""
    current_app.send_task("integrations.wake", args=[connection_ids], ignore_result=True)


_waker = Waker()


def wake(connection_ids: Iterable[int]) -> None:
    """Hint that these connections have something due; call it after the commit."""
    _waker.wake(connection_ids)


def flush(timeout_s: float = EXIT_WAIT_S) -> bool:
    """Wait until this process's hints have left; return whether they did in time."""
    return _waker.flush(timeout_s)


def _after_fork() -> None:
    """A forked child has none of its parent's threads and must not send its parent's hints."""
    global _waker
    _waker = Waker()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(flush)
