"""What a claim needs to know about a connection, read together with its breakers in one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection as db

from integrations.delivery import bulk_sql
from integrations.delivery.circuit_breaker import BreakerState, connection_scope, host_scope, longest_open
from integrations.delivery.database_clock import database_now, has_come, sql_now
from integrations.vendors.protocol import Account


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection that may send, as it was just read; `breakers` are its own and its host's, where they exist."""

    vendor: str
    account: Account
    is_live: bool
    breakers: tuple[BreakerState, ...] = ()


_CONNECTIONS = """
SELECT c.id, c.vendor, c.operator_id, c.key, c.status = 'live', {now},
    own.key IS NOT NULL, own.failures, own.open_until, own.recovered_at, own.stopped,
    host.key IS NOT NULL, host.failures, host.open_until, host.recovered_at, host.stopped
FROM {ids} JOIN integrations_connection c ON c.id = a.id
LEFT JOIN integrations_breaker own ON own.connection_id = c.id
LEFT JOIN integrations_breaker host ON host.vendor = c.vendor
WHERE c.status <> 'ended' AND c.operator_id <> '' AND c.operator_confirmed_at IS NOT NULL
"""


def read_connections(ids: Sequence[int]) -> tuple[datetime, dict[int, ConnectionState]]:
    """Return the database's time, and those of the connections that may send at all, by id.

    Plain SQL, since this is the first thing that happens between a save and its request.
    """
    item, value = bulk_sql.id_list(ids)
    clock = sql_now() if db.vendor == "postgresql" else "NULL"
    with bulk_sql.cursor(rows=len(ids)) as cursor:
        cursor.execute(_CONNECTIONS.format(ids=item, now=clock), {"ids": value})
        rows = cursor.fetchall()
    now: datetime = rows[0][5] if rows and rows[0][5] is not None else database_now()
    return now, {
        row[0]: ConnectionState(row[1], Account(row[0], row[2], row[3]), bool(row[4]), _breakers(row, now))
        for row in rows
    }


def _breakers(row: Sequence[Any], now: datetime) -> tuple[BreakerState, ...]:
    both = ((connection_scope(row[0]), *row[6:11]), (host_scope(row[1]), *row[11:16]))
    return tuple(
        BreakerState(
            scope, failures, _opened(open_until, now, stopped=bool(stopped)), _recovered(recovered_at, now)
        )
        for scope, exists, failures, open_until, recovered_at, stopped in both
        if exists
    )


def _opened(value: Any, now: datetime, *, stopped: bool) -> datetime | None:
    """Return until when a breaker is open; now, where that time can't be believed."""
    if not value:
        return None
    at = bulk_sql.as_time(value)
    return now if has_come(at, now, at_most=longest_open(stopped=stopped)) else at


def _recovered(value: Any, now: datetime) -> datetime | None:
    """Return when a breaker last closed; None where that is yet to come."""
    at = bulk_sql.as_time(value) if value else None
    return at if at is not None and at <= now else None
