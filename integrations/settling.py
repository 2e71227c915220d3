"""Settling: writing what became of a unit's rows, and the evidence, in one transaction and one statement for all rows.

Fenced by the lease: a row whose lease has passed to another worker is left alone. A row becomes *done* or *refused* only if
nothing changed it while it was under way (`generation`); otherwise it stays due, and the next look decides.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection as db
from django.db import transaction

from integrations import bulk
from integrations.claims import Work
from integrations.clock import database_now
from integrations.errors import DeliveryError, FixConnection, TryLater
from integrations.models import Push, PushEvent
from integrations.sending import Unit
from integrations.vendors import Vendor

BACKOFF_FIRST = timedelta(milliseconds=500)
BACKOFF_MAX = timedelta(minutes=2)


def backoff(attempts: int, *, draw: Callable[[], float] = random.random) -> timedelta:
    """Return how long a row waits after its `attempts`-th failure: full jitter up to a doubling span."""
    span = BACKOFF_FIRST * (1 << min(attempts, 12))
    return min(span, BACKOFF_MAX) * draw()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written to one row."""

    state: str
    next_attempt_at: datetime
    intent: str | None
    error: DeliveryError | None
    attempts: int
    accepted: bool


def settlement(work: Work, *, now: datetime) -> Settlement:
    """Decide what a row becomes. Pure but for the jitter.

    | what happened | state | intent | next |
    |---|---|---|---|
    | trouble on the way | due | what is left | after a backoff (the breaker's time where it is open) |
    | refused, from a fresh plan | refused | stops that were refused | when somebody changes or retries it |
    | an earlier plan came to its end | due | stops that were refused | at once: the rest is planned now |
    | all accepted, or nothing to do | done | none | – |
    """
    left = work.kept + work.steps
    if work.later is not None:
        # Trouble of the whole connection is the breaker's to time; a row's own waits by itself.
        wait = backoff(work.attempts + 1)
        return Settlement("due", now + wait, _document(left), work.later, work.attempts + 1, accepted=False)
    if work.replay:
        return Settlement("due", now, _document(work.kept), work.refusal, 0, accepted=False)
    if work.refusal is not None:
        return Settlement("refused", now, _document(work.kept), work.refusal, 0, accepted=False)
    return Settlement("done", now, None, None, 0, accepted=True)


def _document(steps: Sequence[Any]) -> str | None:
    return orjson.dumps(steps).decode() if steps else None


_TYPES = {
    "id": "bigint",
    "generation": "int",
    "lease": "text",
    "state": "text",
    "observed": "jsonb",
    "observed_until": "timestamptz",
    "intent": "jsonb",
    "next_attempt_at": "timestamptz",
    "attempts": "int",
    "accepted_at": "timestamptz",
    "revision": "int",
    "error_kind": "text",
    "error_code": "text",
    "error": "text",
    "remedy": "text",
}
_SET = """
    state = CASE WHEN {r}.generation <> d.generation THEN 'due' ELSE d.state END,
    observed = d.observed, observed_until = d.observed_until, intent = d.intent,
    next_attempt_at = CASE WHEN {r}.generation <> d.generation THEN {r}.marked_at ELSE d.next_attempt_at END,
    attempts = CASE WHEN {r}.generation <> d.generation THEN 0 ELSE d.attempts END,
    accepted_at = COALESCE(d.accepted_at, {r}.accepted_at),
    accepted_revision = CASE WHEN d.accepted_at IS NULL THEN {r}.accepted_revision ELSE d.revision END,
    error_since = CASE WHEN d.error_kind = '' THEN NULL ELSE COALESCE({r}.error_since, {now}) END,
    error_kind = d.error_kind, error_code = d.error_code, error = d.error, remedy = d.remedy,
    lease = NULL, leased_until = NULL
"""


def settle(units: Sequence[Unit]) -> datetime:
    """Write the results of finished units; return the database's time at which it was done."""
    with transaction.atomic():
        now = database_now()
        pushes = _write_pushes(units)
        _write_events(units, pushes)
        write_rows(
            [(work, settlement(work, now=now), unit.vendor) for unit in units for work in unit.works], now=now
        )
    return now


def write_rows(rows: Sequence[tuple[Work, Settlement, Vendor]], *, now: datetime) -> None:
    """Write the settlements of claimed rows in one statement."""
    if not rows:
        return
    values: dict[str, list[Any]] = {name: [] for name in _TYPES}
    for work, what, vendor in rows:
        error = what.error
        values["id"].append(work.id)
        values["generation"].append(work.generation)
        values["lease"].append(work.lease)
        values["state"].append(what.state)
        values["observed"].append(None if work.observed is None else orjson.dumps(work.observed).decode())
        values["observed_until"].append(vendor.until(work.observed))
        values["intent"].append(what.intent)
        values["next_attempt_at"].append(what.next_attempt_at)
        values["attempts"].append(what.attempts)
        values["accepted_at"].append(now if what.accepted else None)
        values["revision"].append(work.revision)
        values["error_kind"].append(error.kind if error else "")
        values["error_code"].append(error.code[:120] if error else "")
        values["error"].append(error.sentence if error else "")
        values["remedy"].append(error.remedy if error else "")
    table = "integrations_registration"
    if db.vendor == "postgresql":
        arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in _TYPES.items())
        # The rows are locked in the order of their ids, as `mark` does, so that the two never wait in a circle.
        sql = (
            f"WITH held AS MATERIALIZED (SELECT id FROM {table} WHERE id = ANY(%(id)s) ORDER BY id FOR UPDATE)"
            f" UPDATE {table} SET {_SET.format(r=table, now='%(now)s')}"
            f" FROM unnest({arrays}) AS d({', '.join(_TYPES)}) JOIN held ON held.id = d.id"
            f" WHERE {table}.id = d.id AND {table}.lease = d.lease"
        )
        with bulk.fast_cursor() as cursor:
            cursor.execute(sql, {**values, "now": now})
        return
    named = ", ".join(f"%s AS {name}" for name in _TYPES)
    sql = (
        f"UPDATE {table} SET {_SET.format(r=table, now='d.now')}"
        f" FROM (SELECT {named}, %s AS now) AS d WHERE {table}.id = d.id AND {table}.lease = d.lease"
    )
    with db.cursor() as cursor:
        cursor.executemany(
            sql, [(*map(bulk.adapted, row), bulk.adapted(now)) for row in zip(*values.values(), strict=True)]
        )


def _outcome(sent_error: DeliveryError | None, accepted: int, count: int) -> str:
    if isinstance(sent_error, TryLater):
        return Push.Outcome.NOT_REACHED
    if isinstance(sent_error, FixConnection):
        return Push.Outcome.STOPPED
    if accepted == count:
        return Push.Outcome.ACCEPTED
    return Push.Outcome.PARTLY if accepted else Push.Outcome.REFUSED


def _write_pushes(units: Sequence[Unit]) -> list[list[Push]]:
    made: list[list[Push]] = []
    for unit in units:
        rows = []
        for kind, count, sent in unit.pushes:
            accepted = sum(result is None for result in sent.results)
            first_error = sent.error or next((result for result in sent.results if result is not None), None)
            rows.append(
                Push(
                    connection_id=unit.account.connection_id,
                    kind=kind,
                    events=count,
                    accepted=accepted,
                    sent_at=sent.sent_at,
                    answered_at=sent.answered_at,
                    trace_id=sent.trace_id,
                    status=sent.status,
                    outcome=_outcome(sent.error, accepted, count),
                    error_code=first_error.code[:120] if first_error else "",
                    error=first_error.sentence if first_error else "",
                )
            )
        made.append(rows)
    Push.objects.bulk_create([push for rows in made for push in rows])
    return made


_EVENT_TYPES = {
    "registration_id": "bigint",
    "push_id": "bigint",
    "kind": "text",
    "session_id": "text",
    "marked_at": "timestamptz",
    "result": "text",
    "error_code": "text",
    "error": "text",
}


def _write_events(units: Sequence[Unit], pushes: Sequence[Sequence[Push]]) -> None:
    values: dict[str, list[Any]] = {name: [] for name in _EVENT_TYPES}
    for unit, rows in zip(units, pushes, strict=True):
        for work in unit.works:
            for place, kind, session_id, error in work.evidence:
                values["registration_id"].append(work.id)
                values["push_id"].append(rows[place].pk)
                values["kind"].append(kind)
                values["session_id"].append(session_id)
                values["marked_at"].append(work.marked_at)
                values["result"].append(_result(error))
                values["error_code"].append(error.code[:120] if error else "")
                values["error"].append(error.sentence if error else "")
    if not values["push_id"]:
        return
    if db.vendor == "postgresql":
        arrays = ", ".join(f"%({name})s::{kind}[]" for name, kind in _EVENT_TYPES.items())
        with bulk.fast_cursor() as cursor:
            cursor.execute(
                f"INSERT INTO integrations_pushevent ({', '.join(_EVENT_TYPES)}) SELECT * FROM unnest({arrays})",
                values,
            )
        return
    PushEvent.objects.bulk_create(
        [PushEvent(**dict(zip(_EVENT_TYPES, row, strict=True))) for row in zip(*values.values(), strict=True)]
    )


def _result(error: DeliveryError | None) -> str:
    if error is None:
        return PushEvent.Result.ACCEPTED
    return PushEvent.Result.LATER if isinstance(error, TryLater | FixConnection) else PushEvent.Result.REFUSED
