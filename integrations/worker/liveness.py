"""Lets whoever runs a worker see that it works: a file that is touched for as long as the engine and the sweep go round.

The file (`WORKER_HEARTBEAT_FILE`; nothing is written when it is empty) is touched after a turn of either, if the other has
gone round lately as well. So its age tells of whatever keeps rows from being delivered: an engine that hangs, a sweep that
hangs, a database that does not answer. A broker that is away does not make it old: rows are found by the sweep then.

A worker whose engine hangs does not report itself in the database either (`WorkerHeartbeat`), so the diagnostics show it
as gone.
"""

import time
from collections.abc import Callable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

ENGINE, SWEEP = "engine", "sweep"
TOUCH_EVERY_S = 2.0
# Both go round about once a second, and wait for no more than a lock of somebody's in between.
STEADY_S = 10.0


class Pulse:
    """When each part of a worker last went round. Each part beats from its own thread."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        # A part that has not begun yet is not late.
        began = clock()
        self._beaten = {ENGINE: began, SWEEP: began}
        self._touched = -TOUCH_EVERY_S

    def beat(self, part: str) -> None:
        """Note that a part has gone round; touch the file if all of them have lately."""
        now = self._clock()
        self._beaten[part] = now
        if self._path is None or now - self._touched < TOUCH_EVERY_S or not self.is_steady():
            return
        self._touched = now
        try:
            self._path.touch()
        except OSError as error:
            # A full disk must not stop deliveries; that the file grows old tells of it.
            log.warning("the heartbeat file could not be touched", error=type(error).__name__)

    def is_steady(self, part: str | None = None) -> bool:
        """Whether a part (None: each of them) has gone round lately."""
        parts = self._beaten.values() if part is None else [self._beaten[part]]
        return self._clock() - min(parts) <= STEADY_S
