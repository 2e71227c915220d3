"""Updates and inserts thousands of rows with one statement, on both databases.

PostgreSQL gets each column as one value: numbers, times and short words as an array, texts and documents as one JSON array.
Measured for the two documents of a registration: a JSON array that is parsed once takes 8 µs a row, `json_to_recordset` 17
(it parses a nested document twice), an array of JSON texts 9 and psycopg another 30 to quote it, the ORM's `bulk_update`
365. SQLite takes the rows one by one inside the one transaction, which is quick enough there.

Table and column names come from this package's code alone, never from outside.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.db import connection as db
from psycopg.types.datetime import TimestamptzLoader

# Keeps `IN (…)` below SQLite's limit of variables and PostgreSQL's plans small.
MAX_PARAMETERS = 5_000
# Column name → type, one of `_TRAVELS_AS`; a "word" is a short text of letters, digits, hyphens and underscores alone.
Columns = Mapping[str, str]
Row = Mapping[str, Any]


# Statements about at most so many rows are prepared: planning them takes longer than running them. A plan made for any
# number of rows would not do for a thousand, so those are planned each time.
PREPARED_ROWS = 20


@contextmanager
def fast_cursor(*, rows: int) -> Iterator[psycopg.Cursor[Any]]:
    """Give a psycopg cursor on PostgreSQL, which binds parameters on the server and reads times without Django's
    converters.

    `rows` is how many the statement is about; for a few it is prepared once for each database connection. Its errors are
    Django's all the same, so that callers that wait for an unreachable database recognise them.
    """
    db.ensure_connection()
    raw = db.connection
    with db.wrap_database_errors, psycopg.Cursor(raw) as cursor:
        cursor.adapters.register_loader("timestamptz", TimestamptzLoader)
        raw.prepare_threshold = 0 if rows <= PREPARED_ROWS and settings.DATABASE_PREPARED_STATEMENTS else None
        try:
            yield cursor
        finally:
            raw.prepare_threshold = None


@contextmanager
def cursor(*, rows: int) -> Iterator[Any]:
    """Give the fast cursor on PostgreSQL, Django's own on SQLite."""
    with fast_cursor(rows=rows) if db.vendor == "postgresql" else db.cursor() as opened:
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
        with fast_cursor(rows=len(rows)) as cursor:
            cursor.execute(sql, {**same, **_arrays(columns, rows)})
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


def insert(table: str, columns: Columns, rows: Sequence[Row], *, with_ids: bool = False) -> list[int]:
    """Insert `rows`, each with a value for every column; return their ids in the order of the rows where they are wanted."""
    if not rows:
        return []
    names, tail = ", ".join(columns), " RETURNING id" if with_ids else ""
    if db.vendor == "postgresql":
        sql = f"INSERT INTO {table} ({names}) SELECT {names} FROM {_records(columns)}{tail}"
        with fast_cursor(rows=len(rows)) as cursor:
            cursor.execute(sql, _arrays(columns, rows))
            return [row[0] for row in cursor.fetchall()] if with_ids else []
    sql = f"INSERT INTO {table} ({names}) VALUES ({', '.join('%s' for _ in columns)}){tail}"
    values = [[adapted(row[name]) for name in columns] for row in rows]
    made: list[int] = []
    with db.cursor() as cursor:
        if not with_ids:
            cursor.executemany(sql, values)
            return []
        for one in values:
            cursor.execute(sql, one)
            made += [pk for (pk,) in cursor.fetchall()]
    return made


# How each type of column travels. A column is padded with NULL where its list is shorter, so an empty one costs nothing.
_TRAVELS_AS = {
    "jsonb": "jsonb_array_elements(%(d_{name})s::jsonb)",
    "text": "jsonb_array_elements_text(%(d_{name})s::jsonb)",
    "word": "unnest(%(d_{name})s::text[])",
    "int": "unnest(%(d_{name})s::int[])",
    "bigint": "unnest(%(d_{name})s::bigint[])",
    "timestamptz": "unnest(%(d_{name})s::timestamptz[])",
}


def _records(columns: Columns) -> str:
    """Return the FROM item `d` that gives the rows of `_arrays`."""
    lists = ", ".join(_TRAVELS_AS[kind].format(name=name) for name, kind in columns.items())
    # A document that is missing arrives as JSON's null.
    chosen = ", ".join(
        f"NULLIF({name}, 'null'::jsonb) AS {name}" if kind == "jsonb" else name
        for name, kind in columns.items()
    )
    return f"(SELECT {chosen} FROM ROWS FROM ({lists}) AS a({', '.join(columns)})) AS d"


def _arrays(columns: Columns, rows: Sequence[Row]) -> dict[str, str]:
    """Return the value of each column for all rows, as PostgreSQL reads it."""
    return {f"d_{name}": _array(kind, [row.get(name) for row in rows]) for name, kind in columns.items()}


# Rows of one import share most of their moments.
_isoformat = lru_cache(maxsize=2_048)(datetime.isoformat)


def _array(kind: str, values: Sequence[Any]) -> str:
    has_null = None in values
    if has_null and all(value is None for value in values):
        return "[]" if kind in ("jsonb", "text") else "{}"
    if kind in ("jsonb", "text"):
        return orjson.dumps(values).decode()
    write: Callable[[Any], str] = _isoformat if kind == "timestamptz" else str
    # Written for speed: this is most of what a thousand rows cost in Python.
    texts = (
        ["NULL" if value is None else write(value) for value in values] if has_null else map(write, values)
    )
    return "{" + ",".join(texts) + "}"
