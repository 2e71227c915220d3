"""What the client did: counters, the last requests, and breaches of good manners.

A breach is counted and kept with an example, never answered with an error: Passport would not notice either, but a
test wants to. What counts as one:

``missing_trace_id``, ``repeated_trace_id``
    one unique id a request (docs/passport-api.md, H3).
``too_many_events``
    a request held more events than are allowed.
``retry_after_ignored``
    a request came for the same resource and operator before the time that a 429 or 503 had asked for. Requests that
    were already under way (``GRACE_S``) are not counted.
``stale_token``
    a token was used that had expired or was never issued.
``occurred_in_future``
    an event claims to have happened more than a minute from now.
``same_occurred_at``
    two different events of one session claim the same instant, so that their order can't be told.
``outdated_event``
    an event came after a newer one of its session.
``doubled_session``
    a second running session for the same plate, zone and start.
"""

from collections import Counter, OrderedDict, deque
from datetime import datetime, timedelta
from typing import Any

GRACE_S = 0.25
_KEPT_TRACE_IDS = 20_000


class Traffic:
    """Counts requests and breaches; `kept` requests and breaches are remembered word for word."""

    def __init__(self, *, kept: int = 500) -> None:
        self.by_status: Counter[tuple[str, int]] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.breaches: Counter[str] = Counter()
        self.examples: deque[dict[str, Any]] = deque(maxlen=100)
        self.requests: deque[dict[str, Any]] = deque(maxlen=kept)
        self.peak_per_s = 0
        self.connections_open = 0
        self.connections_peak = 0
        self._last_second: deque[datetime] = deque()
        self._trace_ids: OrderedDict[int, None] = OrderedDict()
        self._hold: dict[tuple[str, str | None], tuple[datetime, datetime]] = {}

    def breach(self, name: str, now: datetime, **facts: Any) -> None:
        """Count one breach and keep its facts as an example."""
        self.breaches[name] += 1
        self.examples.append({"at": now.isoformat(), "breach": name, **facts})

    def arrive(self, now: datetime, path: str, trace_id: str | None) -> int:
        """Note a request's arrival; says how many arrived in the second that ends with it."""
        window = self._last_second
        window.append(now)
        start = now - timedelta(seconds=1)
        while window and window[0] <= start:
            window.popleft()
        self.peak_per_s = max(self.peak_per_s, len(window))
        if not trace_id:
            self.breach("missing_trace_id", now, path=path)
        else:
            key = hash(trace_id)
            if key in self._trace_ids:
                self.breach("repeated_trace_id", now, path=path, trace_id=trace_id)
            self._trace_ids[key] = None
            if len(self._trace_ids) > _KEPT_TRACE_IDS:
                self._trace_ids.popitem(last=False)
        return len(window)

    def hold(self, path: str, operator_id: str | None, now: datetime, seconds: float) -> None:
        """Remember that a client was asked to wait."""
        self._hold[path, operator_id] = (
            now + timedelta(seconds=GRACE_S),
            now + timedelta(seconds=min(seconds, 1e8)),
        )

    def check_hold(self, path: str, operator_id: str | None, now: datetime) -> None:
        """Count a request that comes before the time a client was asked to wait for."""
        held = self._hold.get((path, operator_id))
        if held is None:
            return
        grace, until = held
        if now >= until:
            del self._hold[path, operator_id]
        elif now > grace:
            early_s = (until - now).total_seconds()
            self.breach(
                "retry_after_ignored", now, path=path, operator_id=operator_id, early_s=round(early_s, 3)
            )

    def connected(self, count: int) -> None:
        """Note how many connections there are."""
        self.connections_open = count
        self.connections_peak = max(self.connections_peak, count)

    def finish(self, path: str, status: int, request: dict[str, Any]) -> None:
        """Count a request by its answer (0: the connection was dropped) and remember it."""
        self.by_status[path, status] += 1
        self.requests.append(request)

    @property
    def watches_holds(self) -> bool:
        return bool(self._hold)

    def summary(self) -> dict[str, Any]:
        """Counters as JSON."""
        requests: dict[str, dict[str, int]] = {}
        for (path, status), count in sorted(self.by_status.items()):
            requests.setdefault(path, {})[str(status) if status else "dropped"] = count
        return {
            "requests": requests,
            "token_requests": sum(count for (path, _), count in self.by_status.items() if path == "token"),
            "faults_met": dict(self.by_fault),
            "outcomes": dict(self.outcomes),
            "breaches": dict(self.breaches),
            "peak_requests_per_s": self.peak_per_s,
            "connections_open": self.connections_open,
            "connections_peak": self.connections_peak,
        }
