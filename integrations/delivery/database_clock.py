"""The database's clock. Leases and retries are compared only with it, so workers' clocks may differ.

A statement that needs the time in SQL says `sql_now()`: the time at which the statement began, which is the same wherever
in it and however often that is written. `clock_timestamp()` would be read again for each row and each mention, so that
two parts of one statement could decide differently about a window that begins or ends right now; `now()` is the time at
which the transaction began, and a long one would date its rows back.

Even that clock can be wrong for a moment (a failover to a machine whose clock is a day ahead). A time stored then would delay
something for a day after the clock was corrected. So a stored time further away than the longest wait its writer ever asks
for is not trusted: it counts as having come (`has_come`, `come`).
"""

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.db.models import Q
from django.utils import timezone

# How far a reader's time may lag behind a writer's, since it was read at the start of a turn.
CLOCK_SLACK = timedelta(seconds=10)


def sql_now() -> str:
    """Return the SQL expression for the time at which a statement began; for `execute` with parameters."""
    if connection.vendor == "postgresql":
        return "statement_timestamp()"
    # SQLite reads its clock once per statement anyway.
    return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def database_now() -> datetime:
    """Return the current time by the database (SQLite runs in this process, so there it is this machine's)."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)


def believed_until(now: datetime, at_most: timedelta) -> datetime:
    """Return the latest stored time that is trusted when no wait is longer than `at_most`. Pure."""
    return now + at_most + CLOCK_SLACK


def has_come(at: datetime, now: datetime, *, at_most: timedelta) -> bool:
    """Whether a stored time has come, or is so much further away than `at_most` that a clock was wrong. Pure."""
    return at <= now or at > believed_until(now, at_most)


def come(field: str, now: datetime, *, at_most: timedelta) -> Q:
    """Return the condition that the time in `field` has come; see `has_come`."""
    return Q(**{f"{field}__lte": now}) | Q(**{f"{field}__gt": believed_until(now, at_most)})
