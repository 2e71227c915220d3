"""What clients did: counters, the latest requests, and breaches of good manners.

A breach is counted and kept as an example, never answered with an error: Passport would not notice it either, but a
test should. docs/sandbox.md says what counts as one.
"""

from collections import Counter, OrderedDict, deque
from datetime import datetime, timedelta
from typing import Any

GRACE_S = 0.25
_KEPT_TRACE_IDS = 20_000


class Traffic:
    """Counts requests and breaches, and keeps the latest of each."""

    def __init__(self) -> None:
        self.by_status: Counter[tuple[str, int]] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.breaches: Counter[str] = Counter()
        self.examples: deque[dict[str, Any]] = deque(maxlen=100)
        self.requests: deque[dict[str, Any]] = deque(maxlen=500)
        self.peak_per_s = 0
        self.connections_open = 0
        self.connections_peak = 0
        self._last_second: deque[datetime] = deque()
        self._trace_ids: OrderedDict[int, None] = OrderedDict()
        self._hold: dict[tuple[str, str | None], tuple[datetime, datetime]] = {}

    def breach(self, name: str, now: datetime, **facts: Any) -> None:
        """Count one breach and keep its facts as an example."""
        self.breaches[name] += 1
        self.examples.append({"at": now, "breach": name, **facts})

    def arrive(self, now: datetime, path: str, trace_id: str | None) -> int:
        """Record a request's arrival; returns how many arrived in the last second."""
        window = self._last_second
        window.append(now)
        start = now - timedelta(seconds=1)
        while window and window[0] <= start:
            window.popleft()
        self.peak_per_s = max(self.peak_per_s, len(window))
        if not trace_id:
            self.breach("missing_trace_id", now, path=path)
        elif hash(trace_id) in self._trace_ids:
            self.breach("repeated_trace_id", now, path=path, trace_id=trace_id)
        self._trace_ids[hash(trace_id)] = None
        if len(self._trace_ids) > _KEPT_TRACE_IDS:
            self._trace_ids.popitem(last=False)
        return len(window)

    def hold(self, path: str, operator_id: str | None, now: datetime, seconds: float) -> None:
        """Remember that a client was asked to wait."""
        until = now + timedelta(seconds=min(seconds, 1e8))
        self._hold[path, operator_id] = (now + timedelta(seconds=GRACE_S), until)

    def check_hold(self, path: str, operator_id: str | None, now: datetime) -> None:
        """Count a request that comes before the time a client was asked to wait for."""
        grace, until = self._hold.get((path, operator_id), (now, now))
        if now >= until:
            self._hold.pop((path, operator_id), None)
        elif now > grace:
            early_s = round((until - now).total_seconds(), 3)
            self.breach("retry_after_ignored", now, path=path, operator_id=operator_id, early_s=early_s)

    def connected(self, count: int) -> None:
        """Record how many connections are open."""
        self.connections_open = count
        self.connections_peak = max(self.connections_peak, count)

    def summary(self) -> dict[str, Any]:
        """Counters as JSON. A request whose connection was dropped has the status ``dropped``."""
        requests: dict[str, dict[str, int]] = {}
        for (path, status), count in sorted(self.by_status.items()):
            requests.setdefault(path, {})[str(status) if status else "dropped"] = count
        return {
            "requests": requests,
            "token_requests": sum(requests.get("token", {}).values()),
            "faults_met": self.by_fault,
            "outcomes": self.outcomes,
            "breaches": self.breaches,
            "peak_requests_per_s": self.peak_per_s,
            "connections_open": self.connections_open,
            "connections_peak": self.connections_peak,
        }
