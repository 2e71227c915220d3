"""One statement for a thousand rows, on both databases.

PostgreSQL gets all rows as one JSON document (`json_to_recordset`): orjson writes it in a few hundred nanoseconds a row,
while arrays of JSON texts took psycopg a third of a millisecond each to quote, and the ORM's `bulk_update` as long. The
document's size is unknown to the planner, so a plan looks rows up by their primary key, however many there are. SQLite
takes the rows one by one inside the one transaction, which is quick enough there.

Table and column names come from this package's code alone, never from outside.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
from django.db import connection as db
from psycopg.types.datetime import TimestamptzLoader

# Keeps `IN (…)` below SQLite's limit of variables and PostgreSQL's plans small.
MAX_PARAMETERS = 5_000
# Column name → PostgreSQL type.
Columns = Mapping[str, str]
Row = Mapping[str, Any]


@contextmanager
def fast_cursor() -> Iterator[psycopg.Cursor[Any]]:
    """Give a psycopg cursor on PostgreSQL: it binds on the server and reads times without Django's detour.

    Its errors are Django's all the same, so that whoever waits for a database that is away knows them.
    """
    db.ensure_connection()
    with db.wrap_database_errors, psycopg.Cursor(db.connection) as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        yield cursor


@contextmanager
def cursor() -> Iterator[Any]:
    """Give the fast cursor on PostgreSQL, Django's own on SQLite."""
    with fast_cursor() if db.vendor == "postgresql" else db.cursor() as opened:
        yield opened


def adapted(value: Any) -> Any:
    """Return a value as SQLite keeps it: times as text in UTC without a zone, documents as JSON text."""
    if isinstance(value, datetime):
        return db.ops.adapt_datetimefield_value(value)
    if isinstance(value, dict | list):
        return orjson.dumps(value).decode()
    return value


def as_time(value: datetime | str) -> datetime:
    """Return a time that was read without the ORM as an aware one: SQLite gives it in UTC, without a zone or as text."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def id_list(ids: Iterable[int]) -> tuple[str, str]:
    """Return a FROM item `a(id, place)` that gives ids in their order, and the value of its parameter `ids`."""
    if db.vendor == "postgresql":
        item = "unnest(%(ids)s::bigint[]) WITH ORDINALITY AS a(id, place)"
        return item, f"{{{','.join(map(str, ids))}}}"
    return "(SELECT value AS id, key AS place FROM json_each(%(ids)s)) AS a", orjson.dumps(list(ids)).decode()


def update(
    table: str,
    columns: Columns,
    rows: Sequence[Row],
    *,
    assignments: str,
    fence: str = "true",
    parameters: Row | None = None,
    returning: Sequence[str] = (),
) -> list[tuple[Any, ...]]:
    """Update each of `rows` (found by its `id`) by `assignments`, which call the table `r` and the row's values `d`.

    A value that a row lacks is NULL. `fence` is one more condition; `parameters` are the same for all rows. Returns the
    columns `returning` of each row that was updated.
    """
    same = dict(parameters or {})
    if db.vendor == "postgresql":
        tail = f" RETURNING {', '.join(f'r.{name}' for name in returning)}" if returning else ""
        sql = f"UPDATE {table} AS r SET {assignments} FROM {_records(columns)} WHERE r.id = d.id AND {fence}{tail}"
        with fast_cursor() as cursor:
            cursor.execute(sql, {**same, "rows": orjson.dumps(rows).decode()})
            return cursor.fetchall() if returning else []
    named = ", ".join(f"%({name})s AS {name}" for name in columns)
    tail = f" RETURNING {', '.join(returning)}" if returning else ""
    sql = f"UPDATE {table} AS r SET {assignments} FROM (SELECT {named}) AS d WHERE r.id = d.id AND {fence}{tail}"
    same = {name: adapted(value) for name, value in same.items()}
    found: list[tuple[Any, ...]] = []
    with db.cursor() as cursor:
        for row in rows:
            cursor.execute(sql, {name: adapted(row.get(name)) for name in columns} | same)
            found += cursor.fetchall() if returning else []
    return found


def insert(table: str, columns: Columns, rows: Sequence[Row]) -> None:
    """Insert `rows`, each with a value for every column."""
    names = ", ".join(columns)
    if db.vendor == "postgresql":
        with fast_cursor() as cursor:
            sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {_records(columns)}"
            cursor.execute(sql, {"rows": orjson.dumps(rows).decode()})
        return
    sql = f"INSERT INTO {table} ({names}) VALUES ({', '.join('%s' for _ in columns)})"
    with db.cursor() as cursor:
        cursor.executemany(sql, [[adapted(row[name]) for name in columns] for row in rows])


def _records(columns: Columns) -> str:
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    return f"json_to_recordset(%(rows)s::json) AS d({typed})"
