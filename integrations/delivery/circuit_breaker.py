"""Breakers: when nothing should be sent for a while, and how it begins again.

One per connection, and one per vendor host for when several connections fail at once. Closed: everything flows. Open:
nothing is sent until `open_until`; then one worker takes the word (`probe_until`, a conditional update) and sends a single
event; an acceptance closes the breaker, a failure opens it again for longer, at most `OPEN_MAX`, so that a remote that comes
back is found within ten seconds. `Retry-After` is obeyed up to `OBEY_MAX`.

A *stopped* breaker is trouble that people must mend (credentials, authorisation). They are told once; meanwhile single
probes go out, ever more rarely, so that a connection that was put right elsewhere comes back by itself.

`after_failure` is pure; the rest are single statements. Rows that failed before `recovered_at` need not wait out their own
backoff.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from integrations.models import Breaker
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater

OPEN_FIRST = timedelta(milliseconds=250)
OPEN_MAX = timedelta(seconds=8)
STOP_FIRST = timedelta(seconds=15)
STOP_MAX = timedelta(minutes=15)
OBEY_MAX = timedelta(minutes=5)
# As long as a row's own lease: when a worker dies over its probe, another one probes as soon as it may take the row.
PROBE_LEASE = timedelta(seconds=12)


def connection_key(connection_id: int) -> str:
    """Return the key of a connection's breaker."""
    return f"c:{connection_id}"


def host_key(vendor: str) -> str:
    """Return the key of the breaker of a vendor's host."""
    return f"h:{vendor}"


@dataclass(frozen=True, slots=True)
class Opening:
    """How long a breaker stays open, and whether it is stopped."""

    open_for: timedelta
    stopped: bool


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
    troubled: bool = False


@dataclass(frozen=True, slots=True)
class BreakerState:
    """A breaker as it was read; see `Breaker`."""

    key: str
    failures: int
    open_until: datetime | None
    recovered_at: datetime | None


def send_permissions(
    breakers: Mapping[int, Sequence[BreakerState]], *, now: datetime, most_probes: int | None = None
) -> dict[int, SendPermission]:
    """Return the gate of each connection, given with its breakers; take the word for a probe where one is due.

    At most `most_probes` get the word (None: all); the others find their gates closed until the next time.
    """
    pairs = list(breakers.items())
    # In no order but this: those first that have not failed themselves, since one that is dead for itself must not get the
    # word for the host time and again.
    random.shuffle(pairs)
    pairs.sort(key=lambda pair: any(row.failures for row in pair[1] if row.key == connection_key(pair[0])))
    left = len(pairs) if most_probes is None else most_probes
    found = {}
    for pk, mine in pairs:
        open_ones = [row for row in mine if row.open_until is not None]
        recovered = max((row.recovered_at for row in mine if row.recovered_at), default=None)
        if not open_ones:
            found[pk] = SendPermission(
                True, recovered_at=recovered, troubled=any(row.failures for row in mine)
            )
        elif left > 0 and acquire_probe(open_ones, now):
            left -= 1
            found[pk] = SendPermission(True, probing=True, recovered_at=recovered, troubled=True)
        else:
            found[pk] = SendPermission(False)
    return found


def acquire_probe(rows: Sequence[BreakerState], now: datetime) -> bool:
    """Take the word of all these breakers, or of none."""
    if any(row.open_until is None or row.open_until > now for row in rows):
        return False
    free = Q(probe_until=None) | Q(probe_until__lt=now)
    taken: list[str] = []
    for row in rows:
        due = Breaker.objects.filter(free, key=row.key, open_until__lte=now)
        if not due.update(probe_until=now + PROBE_LEASE):
            Breaker.objects.filter(key__in=taken, probe_until=now + PROBE_LEASE).update(probe_until=None)
            return False
        taken.append(row.key)
    return True


def is_open(key: str) -> bool:
    """Whether a breaker is open."""
    return Breaker.objects.filter(key=key, open_until__isnull=False).exists()


def release_probe(connection_id: int, vendor: str) -> None:
    """Give the word back where there was nothing to probe with."""
    for key in (connection_key(connection_id), host_key(vendor)):
        Breaker.objects.filter(key=key).update(probe_until=None)


def record_failure(key: str, error: DeliveryError, *, now: datetime, began: datetime) -> Breaker | None:
    """Open a breaker after a failure of a request that was sent at `began`; return the row, or None if it was stale.

    Several requests that were under way together are one failure: one that began before the breaker opened does not
    lengthen it. An answer that asks for more time or stops the connection counts in any case. The pause is counted from
    `began`: a remote that is away often shows it by not answering for seconds, and its return must be found within ten.
    """
    asked = error.retry_after if isinstance(error, TryLater) else None
    with transaction.atomic():
        Breaker.objects.get_or_create(key=key)
        row = Breaker.objects.select_for_update(no_key=True).get(key=key)
        fresh_word = isinstance(error, FixConnection) and not row.stopped
        if row.open_until is not None and row.probe_until is None and not fresh_word:
            if asked is not None:
                row.open_until = max(row.open_until, now + min(asked, OBEY_MAX))
                row.save(update_fields=["open_until"])
            return None
        if row.recovered_at is not None and began < row.recovered_at and asked is None and not fresh_word:
            return None
        row.failures = 1 if fresh_word else row.failures + 1
        verdict = after_failure(row.failures, error)
        row.failing_since = row.failing_since or now
        counted_from = began if asked is None and not verdict.stopped else now
        row.open_until = max(counted_from + verdict.open_for, now + OPEN_FIRST / 2)
        row.probe_until = None
        row.stopped = verdict.stopped
        row.error_code, row.error, row.remedy = error.code[:120], error.sentence, error.remedy
        row.save()
        return row


def record_success(key: str, *, now: datetime) -> bool:
    """Close a breaker after an acceptance; return whether it was open."""
    return bool(
        Breaker.objects.filter(key=key, failures__gt=0).update(
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


def try_now(key: str, *, now: datetime) -> None:
    """Let the next probe go at once (somebody pressed "try now")."""
    Breaker.objects.filter(key=key, open_until__isnull=False).update(open_until=now, probe_until=None)


def free_connections(connection_ids: Iterable[int], *, now: datetime) -> None:
    """After the host came back: let its connections' own breakers probe at once, unless they were told to wait longer."""
    keys = [connection_key(pk) for pk in connection_ids]
    with transaction.atomic():
        # Those that somebody is writing to know better already.
        rows = Breaker.objects.filter(key__in=keys, stopped=False, open_until__lte=now + OPEN_MAX)
        free = list(rows.select_for_update(no_key=True, skip_locked=True).values_list("key", flat=True))
        Breaker.objects.filter(key__in=free).update(open_until=now, probe_until=None)
