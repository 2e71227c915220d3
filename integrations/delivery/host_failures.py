"""From the results of units to breakers, and to people.

One connection's failures open its own breaker. Only when at least `HOST_CONNECTIONS` different connections have *begun* to
fail since anything last succeeded is it the vendor's host that is away, and its breaker opens. Those that go on failing say
nothing new. And a failure says nothing of the host where somebody else was answered after its request had left, or a moment
ago (`HOST_QUIET`): so companies that die, one or half of them, do not stop the others that are answered meanwhile.
Credentials belong to the whole account, so their refusal stops the host at once.

A request of a single event that something on the way answers in the vendor's place may be about that event (a firewall). It
opens the breaker only once `sending.STRIKES` different rows in a row were answered so.

When a connection stops for a reason that people must mend, they are told once (`integrations.notifications.notices`), and
again that it is over.
"""

from collections import defaultdict
from datetime import datetime, timedelta

from django.utils import timezone

from integrations.delivery import circuit_breaker
from integrations.delivery.batch import STRIKES, Batch
from integrations.delivery.circuit_breaker import connection_key, host_key
from integrations.models import Breaker, Connection
from integrations.notifications import notices
from integrations.vendors.errors import DeliveryError, FixConnection, Intercepted

HOST_CONNECTIONS = 3
HOST_QUIET = timedelta(seconds=1)


class HostFailureDetector:
    """What one engine has seen of its vendors lately; the breakers themselves are in the database."""

    def __init__(self) -> None:
        self._failing: dict[str, set[int]] = defaultdict(set)
        # Rows whose events were intercepted alone since the vendor itself last answered, by connection.
        self._intercepted: dict[int, set[int]] = defaultdict(set)
        self._answered_at: dict[str, datetime] = {}

    def note(self, unit: Batch, *, now: datetime) -> None:
        """Take in one settled unit."""
        if not unit.pushes:
            return
        pk, vendor = unit.account.connection_id, unit.vendor.slug
        error = unit.trouble or self._way_closed(unit)
        if error is None:
            if not unit.answered and isinstance(unit.pushes[-1][2].error, Intercepted):
                return  # nobody knows yet whether that was about the event or about the way
            self._failing[vendor].clear()
            self._answered_at[vendor] = now
            if unit.probing:
                _close(pk, vendor, now)
            return
        # Both read from this process's clock, which may differ from the database's.
        began = now - (timezone.now() - unit.pushes[-1][2].sent_at)
        whole_host = isinstance(error, FixConnection) and error.scope == "host"
        row = (
            None
            if whole_host
            else circuit_breaker.record_failure(connection_key(pk), error, now=now, began=began)
        )
        if row is not None and row.stopped and row.failures == 1:
            _tell_stopped(pk, row)
        if row is not None and row.failures == 1 and not row.stopped:
            self._failing[vendor].add(pk)
        is_hosts = not isinstance(error, FixConnection) and self._is_hosts(vendor, unit, began, now)
        if whole_host or is_hosts:
            host = circuit_breaker.record_failure(host_key(vendor), error, now=now, began=began)
            if host is not None and host.stopped and host.failures == 1:
                _tell_host_stopped(vendor, host)
        if unit.probing:
            circuit_breaker.release_probe(pk, vendor)

    def _way_closed(self, unit: Batch) -> DeliveryError | None:
        """Return the trouble that intercepted events amount to by now, if they do."""
        pk = unit.account.connection_id
        if unit.answered:
            self._intercepted.pop(pk, None)
            return None
        if not unit.intercepted:
            return None
        rows = self._intercepted[pk]
        rows.update(unit.intercepted)
        if len(rows) < STRIKES:
            return None
        del self._intercepted[pk]
        return unit.pushes[-1][2].error

    def _is_hosts(self, vendor: str, unit: Batch, began: datetime, now: datetime) -> bool:
        """Whether a failure counts for the host: many failed and nobody was answered, or a host that is away was probed."""
        if host_looks_away(
            len(self._failing[vendor]), began=began, answered_at=self._answered_at.get(vendor), now=now
        ):
            return True
        return unit.probing and circuit_breaker.is_open(host_key(vendor))


def host_looks_away(failing: int, *, began: datetime, answered_at: datetime | None, now: datetime) -> bool:
    """Whether a failure of a request that left at `began` speaks of the whole host. Pure.

    `failing` connections have begun to fail since somebody was last answered, at `answered_at` (None: not yet).
    """
    if failing < HOST_CONNECTIONS:
        return False
    return answered_at is None or (began > answered_at and now - answered_at >= HOST_QUIET)


def _close(pk: int, vendor: str, now: datetime) -> None:
    """Close the breakers after a probe was accepted.

    No other success may: its request left before the breaker opened, so it says nothing of what the remote has asked for
    since (to wait, or to send no more).
    """
    if circuit_breaker.record_success(connection_key(pk), now=now):
        notices.resolve(f"stopped:{pk}")
    if circuit_breaker.record_success(host_key(vendor), now=now):
        notices.resolve(f"stopped:{vendor}")
        circuit_breaker.free_connections(_connections_in_trouble(), now=now)


def _connections_in_trouble() -> list[int]:
    keys = Breaker.objects.filter(key__startswith="c:", failures__gt=0).values_list("key", flat=True)
    return [int(key.removeprefix("c:")) for key in keys]


def _tell_stopped(connection_id: int, row: Breaker) -> None:
    connection = Connection.objects.select_related("company").get(pk=connection_id)
    notices.tell(
        company=connection.company,
        kind="connection_stopped",
        level="danger",
        text=f"{connection.name}: {row.error} {row.remedy}".strip(),
        dedupe_key=f"stopped:{connection_id}",
    )


def _tell_host_stopped(vendor: str, row: Breaker) -> None:
    notices.tell(
        company=None,
        kind="host_stopped",
        level="danger",
        text=f"{row.error} {row.remedy}".strip(),
        dedupe_key=f"stopped:{vendor}",
    )
