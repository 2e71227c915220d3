"""How many events go into one request: learned from requests that were too large, and forgotten slowly.

Passport documents no maximum, and a proxy on the way may have its own (413). Kept for the whole process, since the limit
applies to the requests of all connections.
"""

import threading
import time
from collections.abc import Callable

# After this long without a request that was too large, twice as many are tried.
DOUBLE_AFTER_S = 600.0


class BatchSize:
    """Safe to share between threads."""

    def __init__(self, most: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._learned = most
        self._since = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def now(self) -> int:
        """Return how many events one request may carry now."""
        learned = self._learned
        if learned >= self._most:
            return self._most
        doublings = int((self._clock() - self._since) / DOUBLE_AFTER_S)
        return min(self._most, learned << min(doublings, 30))

    def was_too_large(self, count: int) -> None:
        """A request with `count` events was too large."""
        with self._lock:
            half = max(1, count // 2)
            if half < self.now():
                self._learned, self._since = half, self._clock()
