"""Turns the results of batches into breakers, and into notices for people.

A connection's failures open its own breaker. The vendor's host counts as away, and its breaker opens, only when at least
`HOST_CONNECTIONS` different connections have *begun* to fail since anything last succeeded; those that keep failing add
nothing. A failure says nothing about the host where another connection was answered after the failed request had left, or
a moment ago (`HOST_QUIET`): so companies whose remote is dead, one or half of them, do not stop the others. Credentials
belong to the whole account, so their refusal stops the host at once.

A request of a single event that is intercepted may be about that event (a firewall). It opens the breaker only once the
events of `batch.STRIKES` different rows in a row were intercepted.

When a connection stops for a reason that people must fix, they are told once (`integrations.notifications.notices`), and
the notice is resolved when it is over.
"""

from collections import defaultdict
from datetime import datetime, timedelta

from django.utils import timezone

from integrations.delivery import circuit_breaker
from integrations.delivery.batch import STRIKES, Batch
from integrations.delivery.circuit_breaker import connection_scope, host_scope
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

    def note(self, batch: Batch, *, now: datetime) -> None:
        """Take in a batch whose results were recorded."""
        if not batch.pushes:
            return
        pk, vendor = batch.connection_id, batch.vendor.slug
        error = batch.trouble or self._path_closed(batch)
        if error is None:
            if not batch.answered and isinstance(batch.pushes[-1][2].error, Intercepted):
                return  # not known yet whether that was about the event or about the path
            self._failing[vendor].clear()
            self._answered_at[vendor] = now
            if batch.probing:
                _close(pk, vendor, now)
            return
        # Both read from this process's clock, which may differ from the database's.
        began = now - (timezone.now() - batch.pushes[-1][2].sent_at)
        whole_host = isinstance(error, FixConnection) and error.scope == "host"
        row = (
            None
            if whole_host
            else circuit_breaker.record_failure(connection_scope(pk), error, now=now, began=began)
        )
        if row is not None and row.stopped and row.failures == 1:
            _tell_stopped(pk, row)
        if row is not None and row.failures == 1 and not row.stopped:
            self._failing[vendor].add(pk)
        is_hosts = not isinstance(error, FixConnection) and self._is_hosts(vendor, batch, began, now)
        if whole_host or is_hosts:
            host = circuit_breaker.record_failure(host_scope(vendor), error, now=now, began=began)
            if host is not None and host.stopped and host.failures == 1:
                _tell_host_stopped(vendor, host)
        if batch.probing:
            circuit_breaker.release_probe(pk, vendor)

    def _path_closed(self, batch: Batch) -> DeliveryError | None:
        """Return the error that the intercepted events amount to by now, if they do."""
        pk = batch.connection_id
        if batch.answered:
            self._intercepted.pop(pk, None)
            return None
        if not batch.intercepted:
            return None
        rows = self._intercepted[pk]
        rows.update(batch.intercepted)
        if len(rows) < STRIKES:
            return None
        del self._intercepted[pk]
        return batch.pushes[-1][2].error

    def _is_hosts(self, vendor: str, batch: Batch, began: datetime, now: datetime) -> bool:
        """Whether a failure counts for the host: many failed and none was answered, or a host that is away was probed."""
        if host_looks_away(
            len(self._failing[vendor]), began=began, answered_at=self._answered_at.get(vendor), now=now
        ):
            return True
        return batch.probing and circuit_breaker.is_open(host_scope(vendor))


def host_looks_away(failing: int, *, began: datetime, answered_at: datetime | None, now: datetime) -> bool:
    """Whether a failure of a request that left at `began` counts for the whole host. Pure.

    `failing` connections have begun to fail since any was last answered, at `answered_at` (None: not yet; a time that is yet
    to come is of a clock that was wrong).
    """
    if failing < HOST_CONNECTIONS:
        return False
    return (
        answered_at is None or answered_at > now or (began > answered_at and now - answered_at >= HOST_QUIET)
    )


def end_stopped(connection_id: int) -> None:
    """Say no more that nothing is sent on a connection."""
    notices.resolve(f"stopped:{connection_id}")


def _close(pk: int, vendor: str, now: datetime) -> None:
    """Close the breakers after a probe was accepted.

    No other success may: its request left before the breaker opened, so it says nothing about what the remote has asked for
    since (to wait, or to stop sending).
    """
    if circuit_breaker.record_success(connection_scope(pk), now=now):
        end_stopped(pk)
    if circuit_breaker.record_success(host_scope(vendor), now=now):
        notices.resolve(f"stopped:{vendor}")
        circuit_breaker.free_connections(vendor, now=now)


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
