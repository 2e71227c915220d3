"""The database's clock: leases and retries are compared with it alone, so that workers' clocks may differ.

A statement that needs the time in SQL says `sql_now()`: the time at which the statement began, which is the same wherever
in it and however often that is written. `clock_timestamp()` would be read anew for each row and each mention, so that two
parts of one statement could decide differently about a window that begins or ends right now; `now()` is the time at which
the transaction began, and a long one would date its rows back.
"""

from datetime import UTC, datetime

from django.db import connection
from django.utils import timezone


def sql_now() -> str:
    """Return the SQL expression for the time at which a statement began; for `execute` with parameters."""
    if connection.vendor == "postgresql":
        return "statement_timestamp()"
    # SQLite reads its clock once for each statement by itself.
    return "strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now')"


def database_now() -> datetime:
    """Return the current time by the database (SQLite runs in this process, so there it is this machine's)."""
    if connection.vendor != "postgresql":
        return timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        now: datetime = cursor.fetchone()[0]
    return now.astimezone(UTC)
