"""Circuit breakers: when sending pauses, and how it resumes.

One per connection, and one per vendor host for when several connections fail at once. Closed: everything is sent. Open:
nothing is sent until `open_until`; then one worker acquires the probe (`probe_until`, a conditional update) and sends a
single event. An acceptance closes the breaker; a failure opens it again for longer, at most `OPEN_MAX`, so that a remote
that comes back is found within ten seconds. `Retry-After` is obeyed up to `OBEY_MAX`.

A *stopped* breaker stands for a problem that people must fix (credentials, authorisation). They are told once; meanwhile
single probes are sent at growing intervals, so that a connection that was fixed elsewhere recovers automatically.

`after_failure` is pure; the rest are single statements. Rows that failed before `recovered_at` need not wait out their own
backoff.

No breaker is believed to be open for longer than it is ever opened (`longest_open`), and none to have recovered in the
future: such times were stored while the database's clock was wrong.
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet

from integrations.delivery.database_clock import come
from integrations.models import Breaker, Connection
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater

OPEN_FIRST = timedelta(milliseconds=250)
OPEN_MAX = timedelta(seconds=8)
STOP_FIRST = timedelta(seconds=15)
STOP_MAX = timedelta(minutes=15)
OBEY_MAX = timedelta(minutes=5)
# As long as a row's own lease: when a worker dies over its probe, another one probes as soon as it may take the row.
PROBE_LEASE = timedelta(seconds=12)


class Scope(NamedTuple):
    """What a breaker is for: a connection or a vendor's host. One of the two is None."""

    connection_id: int | None
    vendor: str | None


def connection_scope(connection_id: int) -> Scope:
    """Return the scope of a connection's own breaker."""
    return Scope(connection_id, None)


def host_scope(vendor: str) -> Scope:
    """Return the scope of the breaker of a vendor's host."""
    return Scope(None, vendor)


def breakers_of(connections: Collection[Connection]) -> QuerySet[Breaker]:
    """Return the breakers that may hold these connections back: their own and their hosts'."""
    own = Q(connection__in={connection.pk for connection in connections})
    return Breaker.objects.filter(own | Q(vendor__in={connection.vendor for connection in connections}))


@dataclass(frozen=True, slots=True)
class Opening:
    """How long a breaker stays open, and whether it is stopped."""

    open_for: timedelta
    stopped: bool


def longest_open(*, stopped: bool) -> timedelta:
    """Return the longest time for which a breaker is ever opened. Pure."""
    return STOP_MAX if stopped else OBEY_MAX


def is_due(now: datetime) -> Q:
    """Return the condition that a breaker is open and its probe is due."""
    return come("open_until", now, at_most=longest_open(stopped=False)) & Q(stopped=False) | come(
        "open_until", now, at_most=longest_open(stopped=True)
    ) & Q(stopped=True)


def after_failure(
    failures: int, error: DeliveryError, *, draw: Callable[[], float] = random.random
) -> Opening:
    """Return what the `failures`-th failure in a row means (counted from 1). `draw` gives jitter in 0…1.

    Full jitter over an exponentially growing span, but never below half of it once it has reached its end, so that a fleet
    neither probes in step nor hammers. A `Retry-After` is the least, capped at `OBEY_MAX` where it is absurd.
    """
    if isinstance(error, FixConnection):
        span = min(STOP_FIRST * 2 ** min(failures - 1, 16), STOP_MAX)
        return Opening(span * (0.75 + 0.25 * draw()), stopped=True)
    span = min(OPEN_FIRST * 2 ** min(failures - 1, 16), OPEN_MAX)
    least = timedelta(0)
    if isinstance(error, TryLater) and error.retry_after is not None:
        least = min(error.retry_after, OBEY_MAX)
    return Opening(max(least, span * (0.5 + 0.5 * draw())), stopped=False)


@dataclass(frozen=True, slots=True)
class SendPermission:
    """Whether a connection may send now: freely, as a single probe, or not at all."""

    may_send: bool
    probing: bool = False
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker as it was read, with implausible times corrected; see `Breaker`."""

    scope: Scope
    failures: int
    open_until: datetime | None
    recovered_at: datetime | None


def send_permissions(
    breakers: Mapping[int, Sequence[BreakerState]], *, now: datetime, most_probes: int | None = None
) -> dict[int, SendPermission]:
    """Return whether each connection, given with its breakers, may send; acquire the probe where one is due.

    At most `most_probes` probes are acquired (None: all that are due); the other connections may not send yet.
    """
    pairs = list(breakers.items())
    # Shuffled, but connections that have not failed themselves come first: one that is dead itself must not get the host's
    # probe time and again.
    random.shuffle(pairs)
    pairs.sort(key=lambda pair: any(row.failures for row in pair[1] if row.scope.connection_id is not None))
    left = len(pairs) if most_probes is None else most_probes
    found = {}
    for pk, mine in pairs:
        open_ones = [row for row in mine if row.open_until is not None]
        recovered = max((row.recovered_at for row in mine if row.recovered_at), default=None)
        if not open_ones:
            found[pk] = SendPermission(True, recovered_at=recovered)
        elif left > 0 and acquire_probe(open_ones, now):
            left -= 1
            found[pk] = SendPermission(True, probing=True, recovered_at=recovered)
        else:
            found[pk] = SendPermission(False)
    return found


def acquire_probe(rows: Sequence[BreakerState], now: datetime) -> bool:
    """Acquire the probe of all these breakers, or of none."""
    if any(row.open_until is None or row.open_until > now for row in rows):
        return False
    free = Q(probe_until=None) | come("probe_until", now, at_most=PROBE_LEASE)
    acquired: list[Scope] = []
    for row in rows:
        due = _breaker(row.scope).filter(free, is_due(now))
        if not due.update(probe_until=now + PROBE_LEASE):
            for scope in acquired:
                _breaker(scope).filter(probe_until=now + PROBE_LEASE).update(probe_until=None)
            return False
        acquired.append(row.scope)
    return True


def is_open(scope: Scope) -> bool:
    """Whether a breaker is open."""
    return _breaker(scope).filter(open_until__isnull=False).exists()


def release_probe(connection_id: int, vendor: str) -> None:
    """Release the probe of a connection and its host where there was nothing to probe with."""
    for scope in (connection_scope(connection_id), host_scope(vendor)):
        _breaker(scope).update(probe_until=None)


def _breaker(scope: Scope) -> QuerySet[Breaker]:
    if scope.connection_id is not None:
        return Breaker.objects.filter(connection=scope.connection_id)
    return Breaker.objects.filter(vendor=scope.vendor)


def record_failure(scope: Scope, error: DeliveryError, *, now: datetime, began: datetime) -> Breaker | None:
    """Open a breaker after a failure of a request that was sent at `began`; return the row, or None if it was stale.

    Several requests that were in flight together are one failure: one that began before the breaker opened does not
    lengthen it. An answer that asks for more time or stops the connection counts in any case. The pause is counted from
    `began`: a remote that is away often shows it by not answering for seconds, and its return must be found within ten.
    """
    asked = error.retry_after if isinstance(error, TryLater) else None
    with transaction.atomic():
        # By the key: a worker from before the columns may just have made the row.
        key = Breaker.key_of(**scope._asdict())
        Breaker.objects.get_or_create(key=key, defaults=scope._asdict())
        row = Breaker.objects.select_for_update(no_key=True).get(key=key)
        row.connection_id, row.vendor = scope
        newly_stopped = isinstance(error, FixConnection) and not row.stopped
        if row.open_until is not None and row.probe_until is None and not newly_stopped:
            if asked is not None:
                row.open_until = max(row.open_until, now + min(asked, OBEY_MAX))
                row.save(update_fields=["open_until"])
            return None
        is_stale = row.recovered_at is not None and began < row.recovered_at <= now
        if is_stale and asked is None and not newly_stopped:
            return None
        row.failures = 1 if newly_stopped else row.failures + 1
        verdict = after_failure(row.failures, error)
        row.failing_since = row.failing_since or now
        counted_from = began if asked is None and not verdict.stopped else now
        row.open_until = max(counted_from + verdict.open_for, now + OPEN_FIRST / 2)
        row.probe_until = None
        row.stopped = verdict.stopped
        row.error_code, row.error, row.remedy = error.code[:120], error.sentence, error.remedy
        row.save()
        return row


def record_success(scope: Scope, *, now: datetime) -> bool:
    """Close a breaker after an acceptance; return whether it was open."""
    return bool(
        _breaker(scope)
        .filter(failures__gt=0)
        .update(
            failures=0,
            failing_since=None,
            open_until=None,
            probe_until=None,
            recovered_at=now,
            stopped=False,
            error_code="",
            error="",
            remedy="",
        )
    )


def free_connections(vendor: str, *, now: datetime) -> None:
    """After a vendor's host came back: let the breakers of its connections probe at once.

    Not those that are stopped or were told to wait longer.
    """
    with transaction.atomic():
        # Rows that another transaction is writing to have newer information than this.
        rows = Breaker.objects.filter(
            connection__vendor=vendor, failures__gt=0, stopped=False, open_until__lte=now + OPEN_MAX
        )
        rows = rows.select_for_update(of=("self",), no_key=True, skip_locked=True)
        free = list(rows.values_list("pk", flat=True))
        Breaker.objects.filter(pk__in=free).update(open_until=now, probe_until=None)
