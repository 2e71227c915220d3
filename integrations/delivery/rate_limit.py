"""A limit of requests a second for the whole fleet.

One row holds the next free moment; whoever wants to send moves it on by one interval in one short transaction and waits
until the moment it got. So the fleet can't exceed the limit, whatever the number of workers, and wastes next to none of it.
It is the database's clock that counts. A moment that was written while that clock was ahead of what it says now is not
waited for.

What counts for the remote is any second by its own watch, so the moments use `USED` of the limit, which leaves room for
requests that are a little late on their way.

The token request, one per life time, takes no turn: it would wait behind everything that needs the token.

A wait for one's turn is no sign of a slow remote: `waited_s` tells how much of a thread's time it was, also while it lasts.
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
    """Return (the moment that a request gets, the next free one after it)."""
    slot = max(next_at, now)
    return slot, slot + timedelta(seconds=1 / (USED * per_second))


def take(key: str, per_second: float) -> tuple[datetime, datetime]:
    """Take the next free moment; return it, and the database's time."""
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
    """Return a function that waits for this caller's turn; without a limit (0) it returns at once."""
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
    """How long a thread has waited for its turns, and since when it waits now (monotonic seconds)."""

    ended_s: float = 0.0
    since: float | None = None


# By thread; a thread that follows another under its number goes on with that one's sum, so only differences mean anything.
_waits: dict[int, _Waits] = {}


def waited_s(thread: int | None = None) -> float:
    """Return how many seconds a thread (its `get_ident`; None: this one) has waited for its turns until now.

    Take it before and after, or meanwhile from another thread: the difference is the time that the limit has cost.
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
