"""A limit of requests a second for the whole fleet.

One row holds the next free moment; whoever wants to send moves it on by one interval in one statement and waits until
the moment it got. So the fleet can't exceed the limit, whatever the number of workers, and wastes next to none of it. It is
the database's clock that counts.

What counts for the remote is any second by its own watch, so the moments use `USED` of the limit, which leaves room for
requests that are a little late on their way.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import close_old_connections, transaction

from integrations.clock import database_now
from integrations.models import RateBucket

USED = 0.97


def next_slot(next_at: datetime, now: datetime, per_second: float) -> tuple[datetime, datetime]:
    """Return (the moment that a request gets, the next free one after it)."""
    slot = max(next_at, now)
    return slot, slot + timedelta(seconds=1 / (USED * per_second))


def reserve(key: str, per_second: float) -> float:
    """Take the next free moment and return how many seconds away it is."""
    now = database_now()
    with transaction.atomic():
        RateBucket.objects.get_or_create(key=key, defaults={"next_at": now})
        row = RateBucket.objects.select_for_update().get(key=key)
        now = database_now()
        slot, row.next_at = next_slot(row.next_at, now, per_second)
        row.save(update_fields=["next_at"])
    return (slot - now).total_seconds()


def waiter(key: str, per_second: float) -> Callable[[], None]:
    """Return a function that waits for this caller's turn; without a limit (0) it returns at once."""
    if per_second <= 0:
        return lambda: None

    def wait() -> None:
        try:
            delay_s = reserve(key, per_second)
        finally:
            close_old_connections()
        time.sleep(max(delay_s, 0))

    return wait
