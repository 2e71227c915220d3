"""What a claim must know of a connection, read together with its breakers in one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection as db

from integrations.delivery import bulk_sql
from integrations.delivery.circuit_breaker import BreakerState, connection_scope, host_scope
from integrations.delivery.database_clock import database_now, sql_now
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
    own.key IS NOT NULL, own.failures, own.open_until, own.recovered_at,
    host.key IS NOT NULL, host.failures, host.open_until, host.recovered_at
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
    now = sql_now() if db.vendor == "postgresql" else "NULL"
    with bulk_sql.cursor(rows=len(ids)) as cursor:
        cursor.execute(_CONNECTIONS.format(ids=item, now=now), {"ids": value})
        rows = cursor.fetchall()
    found = {
        row[0]: ConnectionState(row[1], Account(row[0], row[2], row[3]), bool(row[4]), _breakers(row))
        for row in rows
    }
    at: datetime | None = rows[0][5] if rows else None
    return at or database_now(), found


def _breakers(row: Sequence[Any]) -> tuple[BreakerState, ...]:
    both = ((connection_scope(row[0]), *row[6:10]), (host_scope(row[1]), *row[10:14]))
    return tuple(
        BreakerState(
            scope,
            failures,
            open_until and bulk_sql.as_time(open_until),
            recovered_at and bulk_sql.as_time(recovered_at),
        )
        for scope, exists, failures, open_until, recovered_at in both
        if exists
    )
