"""Limits the requests per second of all workers together.

One row holds the next free slot. Whoever wants to send moves it forward by one interval, in one short transaction, and
waits for the slot it got. So the workers together can't exceed the limit, however many there are, and use nearly all of
it. The database's clock counts. A slot that was written while that clock was ahead is not waited for.

The remote counts requests per second by its own clock, so the slots use only `USED` of the limit, which leaves room for
requests that arrive a little late.

The token request, one per lifetime of a token, takes no slot: it would wait behind everything that needs the token.

Waiting for a slot is no sign of a slow remote: `waited_s` says how long a thread has waited, even while it is still
waiting.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import close_old_connections, transaction

from integrations.delivery.database_clock import database_now
from integrations.models import RateBucket

USED = 0.97


def next_slot(next_at: datetime, now: datetime, per_second: float) -> tuple[datetime, datetime]:
    """Return (the slot that a request gets, the next free one after it)."""
    slot = max(next_at, now)
    return slot, slot + timedelta(seconds=1 / (USED * per_second))


def take(key: str, per_second: float) -> tuple[datetime, datetime]:
    """Take the next free slot; return it, and the database's time."""
    now = database_now()
    with transaction.atomic():
        RateBucket.objects.get_or_create(key=key, defaults={"next_at": now})
        row = RateBucket.objects.select_for_update(no_key=True).get(key=key)
        now = database_now()
        is_believed = row.taken_at is None or row.taken_at <= now
        slot, row.next_at = next_slot(row.next_at if is_believed else now, now, per_second)
        row.taken_at = now
        row.save(update_fields=["next_at", "taken_at"])
    return slot, now


def waiter(key: str, per_second: float) -> Callable[[], None]:
    """Return a function that waits for its caller's slot; without a limit (0) it returns at once."""
    if per_second <= 0:
        return lambda: None

    def wait() -> None:
        with _waiting():
            try:
                slot, now = take(key, per_second)
            finally:
                close_old_connections()
            time.sleep(max((slot - now).total_seconds(), 0))

    return wait


@dataclass(slots=True)
class _Waits:
    """How long a thread has waited for its slots, and since when it is waiting now (monotonic seconds)."""

    ended_s: float = 0.0
    since: float | None = None


# By thread; a thread that follows another under its number goes on with that one's sum, so only differences mean anything.
_waits: dict[int, _Waits] = {}


def waited_s(thread: int | None = None) -> float:
    """Return how many seconds a thread (its `get_ident`; None: this one) has waited for its slots so far.

    Read it before and after, or in between from another thread: the difference is the time that the limit has cost.
    """
    waits = _waits.get(threading.get_ident() if thread is None else thread)
    if waits is None:
        return 0.0
    # The sum first: a wait that ends in between is then missed for a moment rather than counted twice.
    ended_s, since = waits.ended_s, waits.since
    return ended_s if since is None else ended_s + time.monotonic() - since


@contextmanager
def _waiting() -> Iterator[None]:
    waits = _waits.setdefault(threading.get_ident(), _Waits())
    began = waits.since = time.monotonic()
    try:
        yield
    finally:
        waits.since = None
        waits.ended_s += time.monotonic() - began
