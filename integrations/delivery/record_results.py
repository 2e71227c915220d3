"""Records the results of batches and the evidence: one transaction, and one statement for all rows.

Fenced by the lease: a row whose lease has passed to another worker is left alone. A row becomes *done* or *refused* only if
nothing changed it while it was in flight (`version`); if something did, it stays due, and the next claim decides.
"""

import random
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

import psycopg
from django.db import connection as db
from django.db import transaction
from django.db.utils import OperationalError
from django.utils import timezone
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled

from integrations.delivery import bulk_sql, refusals
from integrations.delivery.batch import Batch
from integrations.delivery.database_clock import database_now, sql_now
from integrations.delivery.desired_state import desired_key
from integrations.delivery.row_outcome import Disposition, RowOutcome
from integrations.models import Push, PushEvent
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from integrations.vendors.protocol import Sent, Step, Vendor

# About as long as a single save holds its rows, because the engine records for every company. Far shorter than
# PostgreSQL's own `deadlock_timeout`, so that it is never a person's save that is cancelled.
LOCK_WAIT_MS = 30
BACKOFF_FIRST = timedelta(milliseconds=500)
BACKOFF_MAX = timedelta(minutes=2)


def backoff(attempts: int, *, draw: Callable[[], float] = random.random) -> timedelta:
    """Return how long a row waits after its `attempts`-th failure: full jitter up to a doubling span."""
    span = BACKOFF_FIRST * (1 << min(attempts, 12))
    return min(span, BACKOFF_MAX) * draw()


class RowResult(NamedTuple):
    """What is written to one row."""

    state: str
    next_attempt_at: datetime
    pending_steps: list[Step] | None
    error: DeliveryError | None
    attempts: int
    accepted: bool
    refusals: int = 0
    retry_at: datetime | None = None


def row_result(outcome: RowOutcome, *, now: datetime) -> RowResult:
    """Decide what a row becomes. Pure but for the jitter.

    | what happened | state | pending steps | next attempt |
    |---|---|---|---|
    | trouble with the remote | due | what was not sent | after a backoff (or when the breaker allows it) |
    | an earlier plan is complete, or a belief was wrong | due | stops that were refused | at once, with a new plan |
    | refused, from a fresh plan | refused | stops that were refused | slowly (`refusals`), or after an edit |
    | set aside | refused | all | slowly, or after an edit |
    | all accepted, or nothing to do | done | none | – |
    """
    row, error = outcome.row, outcome.error
    if outcome.disposition is Disposition.RETRY:
        # If the whole connection fails, its breaker decides when to try again; if only a row fails, its own backoff
        # does.
        attempts = row.attempts + 1
        wait = backoff(attempts)
        return RowResult(
            "due", now + wait, outcome.unsent_steps or None, error, attempts, outcome.accepted, row.refusals
        )
    retained = outcome.retained_steps or None
    if outcome.needs_replan:
        return RowResult("due", now, retained, error, 0, outcome.accepted, row.refusals)
    if error is not None:
        since_edit = row.refusals_since_edit + 1
        retry_at = now + refusals.wait(since_edit) if refusals.retries(outcome) else None
        return RowResult("refused", now, retained, error, 0, outcome.accepted, since_edit, retry_at)
    return RowResult("done", now, None, None, 0, outcome.accepted)


_TABLE = "integrations_registration"
_COLUMNS = {
    "id": "bigint",
    "generation": "int",
    "lease": "word",
    "state": "word",
    "observed": "jsonb",
    "observed_until": "timestamptz",
    "intent": "jsonb",
    "next_attempt_at": "timestamptz",
    "attempts": "int",
    "revision": "int",
    "accepted_at": "timestamptz",
    "error_kind": "word",
    "error_code": "text",
    "error": "text",
    "remedy": "text",
    "refusals": "int",
    "retry_at": "timestamptz",
    "refused_key": "word",
}
# `revision` is set for a row that is done, and `accepted_at` if the vendor has just accepted one of its events.
_SET = """
    state = CASE WHEN r.generation <> d.generation THEN 'due' ELSE d.state END,
    observed = d.observed, observed_until = d.observed_until, intent = d.intent,
    next_attempt_at = CASE WHEN r.generation <> d.generation THEN r.marked_at ELSE d.next_attempt_at END,
    attempts = CASE WHEN r.generation <> d.generation THEN 0 ELSE d.attempts END,
    accepted_at = COALESCE(d.accepted_at, r.accepted_at),
    accepted_revision = COALESCE(d.revision, r.accepted_revision),
    error_since = CASE WHEN d.error_kind IS NULL THEN NULL ELSE COALESCE(r.error_since, %(now)s) END,
    error_kind = COALESCE(d.error_kind, ''), error_code = COALESCE(d.error_code, ''),
    error = COALESCE(d.error, ''), remedy = COALESCE(d.remedy, ''),
    refusals = COALESCE(d.refusals, 0), retry_at = d.retry_at, refused_key = COALESCE(d.refused_key, ''),
    lease = NULL, leased_until = NULL
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """When results were recorded (the database's time), and the connections with rows that are due again at once."""

    at: datetime
    due_again: frozenset[int]


class Blocked(Exception):
    """The database has refused this one transaction, mostly because another holds its rows; try again in a moment."""


# The database answers, and has undone this transaction alone: a lock, a deadlock, the deadline of a statement.
_BLOCKED = (LockNotAvailable, DeadlockDetected, QueryCanceled)


def is_blocked(error: OperationalError) -> bool:
    """Whether an error only means that this transaction can't be done right now. Pure."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        # The lowest byte is the primary error code; the others refine it.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(cause, _BLOCKED)


def record(batches: Sequence[Batch]) -> Recorded:
    """Write the results of finished batches. Raises `Blocked`, or Django's database error if the database fails."""
    try:
        with transaction.atomic():
            now, ahead = _begin()
            _lock([outcome.row.id for batch in batches for outcome in batch.outcomes])
            _write_events(batches, _write_pushes(batches, ahead))
            return Recorded(now, _write_rows(batches, now))
    except OperationalError as error:
        if is_blocked(error):
            raise Blocked from error
        raise


def _begin() -> tuple[datetime, timedelta]:
    """Limit how long this transaction waits for a lock; return the database's time, and by how much our clock is ahead of it.

    One round trip. A mass change may hold its rows for seconds; waiting for it here would keep every company waiting.
    """
    if db.vendor != "postgresql":
        return database_now(), timedelta(0)
    db.ensure_connection()
    with db.wrap_database_errors, psycopg.ClientCursor(db.connection) as cursor:
        # Read before, since the database reads its clock when the statement arrives: its work and the way back don't count.
        own = timezone.now()
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS}; SELECT {sql_now()}".encode())
        cursor.nextset()
        row = cursor.fetchone()
    assert row is not None
    now: datetime = row[0].astimezone(UTC)
    return now, own - now


def _lock(ids: Sequence[int]) -> None:
    """Lock rows in the order in which `mark` does, by permit, so that the two can't deadlock."""
    if db.vendor != "postgresql" or len(ids) < 2:
        return
    item, value = bulk_sql.id_list(ids)
    with bulk_sql.fast_cursor(rows=len(ids)) as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT r.id FROM {item} JOIN {_TABLE} r ON r.id = a.id"
            " ORDER BY r.permit_id, r.connection_id FOR NO KEY UPDATE OF r) AS held",
            {"ids": value},
        )


def _write_rows(batches: Sequence[Batch], now: datetime) -> frozenset[int]:
    """Write what the rows become, in one statement; the fence leaves out those that another worker has by now.

    Returns the connections of rows that are due again at once: they changed in flight, or only an earlier attempt's plan is
    complete. No other hint follows, since the hint of the change came while they were leased.
    """
    rows = [
        _columns(outcome, row_result(outcome, now=now), batch.vendor, now)
        for batch in batches
        for outcome in batch.outcomes
    ]
    written = bulk_sql.update(
        _TABLE,
        _COLUMNS,
        rows,
        assignments=_SET,
        fence="r.lease = d.lease",
        parameters={"now": now},
        returning=("connection_id", "state", "next_attempt_at"),
    )
    return frozenset(pk for pk, state, at in written if state == "due" and bulk_sql.as_time(at) <= now)


def _columns(outcome: RowOutcome, result: RowResult, vendor: Vendor, now: datetime) -> dict[str, Any]:
    claimed = outcome.row
    row: dict[str, Any] = {
        "id": claimed.id,
        "generation": claimed.version,
        "lease": claimed.lease,
        "state": result.state,
        "observed": outcome.remote_state,
        "observed_until": vendor.until(outcome.remote_state),
        "intent": result.pending_steps,
        "next_attempt_at": result.next_attempt_at,
        "attempts": result.attempts,
    }
    if result.accepted:
        row["accepted_at"] = now
    if result.state == "done" and (result.accepted or outcome.remote_state is not None):
        row["revision"] = claimed.revision
    if result.refusals:
        row["refusals"] = result.refusals
    if result.state == "refused":
        row["retry_at"] = result.retry_at
        # What an earlier attempt's steps were for is unknown here; they are retried in any case.
        row["refused_key"] = desired_key(claimed.desired) if claimed.was_planned else ""
    if result.error is not None:
        error = result.error
        row |= {
            "error_kind": error.kind,
            "error_code": error.code[:120],
            "error": error.sentence,
            "remedy": error.remedy,
        }
    return row


def _outcome(sent_error: DeliveryError | None, accepted: int, count: int) -> str:
    if isinstance(sent_error, TryLater):
        return Push.Outcome.NOT_REACHED
    if isinstance(sent_error, FixConnection):
        return Push.Outcome.STOPPED
    if accepted == count:
        return Push.Outcome.ACCEPTED
    return Push.Outcome.PARTLY if accepted else Push.Outcome.REFUSED


_PUSH_COLUMNS = {
    "connection_id": "bigint",
    "kind": "text",
    "events": "int",
    "accepted": "int",
    "sent_at": "timestamptz",
    "answered_at": "timestamptz",
    "trace_id": "text",
    "status": "int",
    "outcome": "word",
    "error_code": "text",
    "error": "text",
}


def _write_pushes(batches: Sequence[Batch], ahead: timedelta) -> list[list[int]]:
    """Write the requests that each batch took, and return their ids; our clock is `ahead` of the database's."""
    rows = [
        _push(batch.account.connection_id, kind, count, sent, ahead)
        for batch in batches
        for kind, count, sent in batch.pushes
    ]
    ids = iter(bulk_sql.insert("integrations_push", _PUSH_COLUMNS, rows, with_ids=True))
    return [list(islice(ids, len(batch.pushes))) for batch in batches]


def _push(connection_id: int, kind: str, count: int, sent: Sent, ahead: timedelta) -> dict[str, Any]:
    accepted = sum(result is None for result in sent.results)
    first_error = sent.error or next((result for result in sent.results if result is not None), None)
    return {
        "connection_id": connection_id,
        "kind": kind,
        "events": count,
        "accepted": accepted,
        # By the one clock that all workers share: their own may be minutes apart, and evidence must be in order.
        "sent_at": sent.sent_at - ahead,
        "answered_at": sent.answered_at - ahead,
        "trace_id": sent.trace_id,
        "status": sent.status,
        "outcome": _outcome(sent.error, accepted, count),
        "error_code": first_error.code[:120] if first_error else "",
        "error": first_error.sentence if first_error else "",
    }


_EVENT_COLUMNS = {
    "registration_id": "bigint",
    "push_id": "bigint",
    "kind": "word",
    "session_id": "text",
    "marked_at": "timestamptz",
    "result": "word",
    "error_code": "text",
    "error": "text",
    "plate": "text",
    "subdivision": "text",
    "zone": "text",
    "since": "timestamptz",
    "until": "timestamptz",
}


def _write_events(batches: Sequence[Batch], pushes: Sequence[Sequence[int]]) -> None:
    rows = [
        {
            "registration_id": outcome.row.id,
            "push_id": made[place],
            "kind": kind,
            "session_id": session_id,
            "marked_at": outcome.row.due_since,
            "result": _result(error),
            "error_code": error.code[:120] if error else "",
            "error": error.sentence if error else "",
            "plate": state.get("plate", ""),
            "subdivision": state.get("subdivision", ""),
            "zone": state.get("zone_id", ""),
            "since": _moment(state.get("start")),
            "until": _moment(state.get("end")),
        }
        for batch, made in zip(batches, pushes, strict=True)
        for outcome in batch.outcomes
        for place, kind, session_id, error, state in outcome.evidence
    ]
    bulk_sql.insert("integrations_pushevent", _EVENT_COLUMNS, rows)


@lru_cache(maxsize=2_048)
def _moment(text: str | None) -> datetime | None:
    """Return the time that a session has as RFC 3339 text; None where a refused one holds something else."""
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None


def _result(error: DeliveryError | None) -> str:
    if error is None:
        return PushEvent.Result.ACCEPTED
    return PushEvent.Result.LATER if isinstance(error, TryLater | FixConnection) else PushEvent.Result.REFUSED
