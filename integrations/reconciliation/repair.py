"""Repairs rights that enforcement lists differently from what was accepted, through steps that the engine sends.

A permit sync is locked in `mark`'s order and only briefly. It becomes due with the steps that go out first, and is planned as
usual after that. A right that is listed differently is planned from *what enforcement shows* to what is wanted: an end that
was not applied is sent again as a new end, and a plate that can't be changed as a new session, with a stop of the old one
after it. A right is never removed before its successor was sent.

A refused row is repaired like an accepted one: if the vendor registered a zone other than the one it was sent, for example,
it refuses every later event of the session, and the stop has to name what is listed. Refused stops of the row's other
sessions stay.

The repairs are counted on the row (`drift_since`, `drift_tries`, `drift_retry_at`) until a comparison finds it correct.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from integrations.delivery import bulk_sql, outbox
from integrations.delivery.database_clock import database_now
from integrations.delivery.desired_state import FACT_LOOKUPS, PermitFacts, desired_of
from integrations.delivery.session_id import UNUSED, new_session_id, read_session_id
from integrations.models import Connection, PermitSync, PushEvent
from integrations.models.delivery import DIFFERS, NOT_APPLIED, NOT_LISTED, STILL_LISTED, PermitSyncQuerySet
from integrations.reconciliation.compare import (
    SETTLING_TIME,
    Drift,
    Listed,
    Remedy,
    is_settled,
    remedy_for,
    wait_after,
)
from integrations.vendors.protocol import (
    Account,
    Desired,
    RemoteState,
    RightSeen,
    Step,
    Vendor,
    get_vendor,
)
from integrations.vendors.right_keys import SAME_MOMENT
from locations.models import Permit
from locations.services import lock_locations
from locations.times import say_utc

PORTION = 500
# The states of rows that can be repaired; see `integrations.reconciliation.compare.is_settled`.
SETTLED = (PermitSync.State.DONE, PermitSync.State.REFUSED)
# Keys of a session that a stop may leave out, and should where we and the vendor disagree about them.
_OF_THE_VEHICLE = ("plate", "subdivision", "country")
# The columns of a row besides the permit's facts.
_COLUMNS = (
    "pk",
    "session_count",
    "remote_state",
    "drift_since",
    "drift_tries",
    "drift_retry_at",
    "error_code",
    "state",
    "pending_steps",
    "kept_since",
)


class _Row(NamedTuple):
    pk: int
    session_count: int
    remote_state: RemoteState | None
    drift: Drift
    error_code: str
    desired: Desired | None
    state: str
    pending_steps: list[Step] | None
    kept_since: datetime | None

    @property
    def stop_refused(self) -> bool:
        """Whether the right is no longer wanted and the vendor refused to end it."""
        return self.desired is None and self.state == PermitSync.State.REFUSED and self.kept_since is None


class DriftReason(NamedTuple):
    """Why a row counts as drifting: a code, a sentence, and what happens next."""

    code: str
    error: str
    remedy: str


def portions(ids: Sequence[int]) -> Iterator[list[int]]:
    """Yield the ids in portions that are locked together."""
    for begin in range(0, len(ids), PORTION):
        yield list(ids[begin : begin + PORTION])


@contextmanager
def locked(ids: Sequence[int], **filters: Any) -> Iterator[PermitSyncQuerySet]:
    """Lock these rows and all others of the same permits, in `mark`'s order; yield those that match `filters`.

    The permits and their locations are locked first, as a save does. Marking may add a row on another connection, and a
    concurrent save or remap may add the same row; in another order the two would deadlock.
    """
    with transaction.atomic():
        permits = PermitSync.objects.filter(pk__in=ids).values("permit_id")
        saved = Permit.objects.filter(pk__in=permits).order_by("pk").select_for_update(no_key=True)
        lock_locations(saved.values_list("location_id", flat=True))
        PermitSync.objects.filter(permit_id__in=permits).hold()
        yield PermitSync.objects.filter(pk__in=ids, **filters)


def account_of(connection: Connection) -> Account:
    """Return the connection's account, as a vendor's client takes it."""
    return Account(connection.pk, connection.operator_id, connection.key)


def repair(
    connection: Connection,
    ids: Sequence[int],
    listed: Mapping[int, Listed],
    *,
    at: datetime,
    is_certain: bool,
    label: str,
) -> None:
    """Store that these permit syncs drift, and send the repairs that are due.

    Those in `listed` are listed differently from what was accepted; the others are missing from the list read at `at`.
    """
    vendor, account = get_vendor(connection.vendor), account_of(connection)

    def decide(row: _Row, now: datetime) -> tuple[list[Step], int, DriftReason]:
        other = listed.get(row.pk)
        reason = _drift_reason(row, other, label)
        remedy = remedy_for(row.drift, is_missing=other is None, now=now, is_certain=is_certain)
        if remedy in (Remedy.NOTE, Remedy.WAIT):
            return [], row.session_count, reason
        if row.desired is None:
            seen = _seen_as(vendor, row.remote_state or {}, other) if other and row.stop_refused else None
            return vendor.plan(account, seen, None, now=now, session_id=UNUSED), row.session_count, reason
        if vendor.preflight_error(row.desired) is not None:
            return [], row.session_count, reason  # the next plan reports what to do
        number = row.session_count + 1
        fresh_id = new_session_id(account.key, row.pk, number)
        seen = _seen_as(vendor, row.remote_state or {}, other) if other else row.remote_state
        if other is None or remedy is Remedy.NEW_SESSION:
            steps = _new_session(vendor, account, seen, row.desired, now=now, fresh_id=fresh_id)
        else:
            steps = vendor.plan(account, seen, row.desired, now=now, session_id=fresh_id)
        return steps, number if _begins(steps, fresh_id) else row.session_count, reason

    _apply(ids, decide, at)


def end_surplus(
    connection: Connection, surplus: Mapping[int, Sequence[RightSeen]], *, at: datetime, label: str
) -> None:
    """End the rights that are listed and should not be, each by a step of its permit sync.

    The steps name the start that was sent if the listed one matches it: the list may have rounded it, and a vendor may want
    the exact one.
    """
    reason = DriftReason(
        STILL_LISTED,
        _("%(vendor)s still lists a parking right of this permit that was ended here.") % {"vendor": label},
        _("It is ended again and checked in the next comparison."),
    )

    begun = dict(
        PushEvent.objects.filter(
            permit_sync__in=surplus,
            session_id__in={right.reference for rights in surplus.values() for right in rights},
            kind="started",
            result=PushEvent.Result.ACCEPTED,
            since__isnull=False,
        ).values_list("session_id", "since")
    )

    def decide(row: _Row, now: datetime) -> tuple[list[Step], int, DriftReason]:
        rights = [_with_exact_start(right, begun.get(right.reference)) for right in surplus[row.pk]]
        owns = [read_session_id(connection.key, right.reference) for right in rights]
        # A restored backup may lack the sessions that were started later.
        number = max([row.session_count, *(own.number for own in owns if own is not None)])
        return (ending(connection, rights, now) if row.drift.may_try(now) else []), number, reason

    _apply(list(surplus), decide, at)


def ending(connection: Connection, rights: Sequence[RightSeen], now: datetime) -> list[Step]:
    """Return the steps that end these rights."""
    vendor = get_vendor(connection.vendor)
    account, seen = account_of(connection), [vendor.observe(right) for right in rights]
    return [step for one in seen for step in vendor.plan(account, one, None, now=now, session_id=UNUSED)]


# --- How ------------------------------------------------------------------------------------------------------------


def _with_exact_start(right: RightSeen, sent: datetime | None) -> RightSeen:
    is_same = right.start is None or (sent is not None and abs(right.start - sent) < SAME_MOMENT)
    return replace(right, start=sent) if sent is not None and is_same else right


def _begins(steps: Sequence[Step], fresh_id: str) -> bool:
    return any(step["session"] == fresh_id for step in steps)


def _new_session(
    vendor: Vendor,
    account: Account,
    seen: RemoteState | None,
    desired: Desired,
    *,
    now: datetime,
    fresh_id: str,
) -> list[Step]:
    """Return the steps that start a new session and then stop the current one, which is listed as `seen`."""
    started = vendor.plan(account, None, desired, now=now, session_id=fresh_id)
    stopped = vendor.plan(account, seen, None, now=now, session_id=UNUSED)
    return started + stopped if started else []


def _seen_as(vendor: Vendor, known: RemoteState, other: Listed) -> RemoteState:
    """Return the known state with the values that enforcement shows."""
    observed = vendor.observe(other.right) or {}
    seen = known | {name: observed[name] for name in other.names if name in observed}
    if "plate" in other.names or "subdivision" in other.names:
        seen |= {name: "" for name in _OF_THE_VEHICLE if name in seen}
    return seen


def _apply(
    ids: Sequence[int], decide: Callable[[_Row, datetime], tuple[list[Step], int, DriftReason]], at: datetime
) -> None:
    """Store the drift of the rows that have not changed since `at`, and mark those that get steps."""
    unchanged = {"state__in": SETTLED, "lease": None, "accepted_at__lt": at - SETTLING_TIME}
    with locked(ids, **unchanged) as rows:
        now = database_now()
        marked: list[int] = []
        steps: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        for permit_id, row in _read(rows, now):
            if not is_settled(row.state, None, row.pending_steps):
                continue
            decided, number, reason = decide(row, now)
            tries = row.drift.tries + bool(decided)
            if decided:
                ended = {step["session"] for step in decided}
                decided += [step for step in row.pending_steps or () if step["session"] not in ended]
                marked.append(permit_id)
                steps.append({"id": row.pk, "intent": decided, "sessions": number})
            if decided or row.drift.since is None or row.error_code != reason.code:
                notes.append(_note(row, reason, tries, now, is_tried=bool(decided)))
        if marked:
            outbox.mark(permit_ids=sorted(marked), bulk=True)
            columns = {"id": "bigint", "intent": "jsonb", "sessions": "int"}
            bulk_sql.update(
                "integrations_registration",
                columns,
                steps,
                assignments="intent = d.intent, sessions = d.sessions",
            )
        if notes:
            bulk_sql.update("integrations_registration", _NOTE_COLUMNS, notes, assignments=_NOTE)


_NOTE_COLUMNS = {
    "id": "bigint",
    "since": "timestamptz",
    "tries": "int",
    "retry_at": "timestamptz",
    "code": "text",
    "error": "text",
    "remedy": "text",
    "error_since": "timestamptz",
}
# A row that stays refused keeps the reason for the refusal.
_NOTE = "drift_since = d.since, drift_tries = d.tries, drift_retry_at = d.retry_at, " + ", ".join(
    f"{name} = CASE WHEN r.state = 'refused' THEN r.{name} ELSE {value} END"
    for name, value in (
        ("error_kind", "'drift'"),
        ("error_code", "d.code"),
        ("error", "d.error"),
        ("remedy", "d.remedy"),
        ("error_since", "d.error_since"),
    )
)


def _note(row: _Row, reason: DriftReason, tries: int, now: datetime, *, is_tried: bool) -> dict[str, Any]:
    since = row.drift.since or now
    retry_at = now + wait_after(tries) if is_tried else row.drift.retry_at
    return {
        "id": row.pk,
        "since": since,
        "tries": tries,
        "retry_at": retry_at,
        "code": reason.code,
        "error": reason.error,
        "remedy": reason.remedy,
        "error_since": since,
    }


def _read(rows: PermitSyncQuerySet, now: datetime) -> Iterator[tuple[int, _Row]]:
    """Yield each row with its permit's id and the state that is wanted now."""
    for permit_id, *values in rows.values_list("permit_id", *_COLUMNS, *FACT_LOOKUPS):
        pk, session_count, remote_state, since, tries, retry_at, error_code, *rest = values[: len(_COLUMNS)]
        desired = desired_of(PermitFacts(*values[len(_COLUMNS) :]), now=now)
        yield (
            permit_id,
            _Row(
                pk,
                session_count,
                remote_state,
                Drift(since, tries, retry_at),
                error_code,
                desired,
                *rest,
            ),
        )


def _drift_reason(row: _Row, other: Listed | None, label: str) -> DriftReason:
    """Return why a permit sync that was accepted counts as drifting."""
    words = {"vendor": label, "times": row.drift.tries + 1}
    if other is not None:
        words["what"] = _what_differs(row.remote_state or {}, other)
        error = _("%(vendor)s accepted this permit, but lists it with %(what)s.") % words
        if row.drift.tries < 2:
            return DriftReason(
                DIFFERS, error, _("What differs is sent again, and compared in a few minutes.")
            )
        return DriftReason(NOT_APPLIED, error, _anew_remedy(label))
    if row.drift.tries == 0:
        error = _("%(vendor)s accepted this permit, but doesn't list it among the parking rights.")
        remedy = _("It is compared again in a few minutes, then sent again.")
        return DriftReason(NOT_LISTED, error % words, remedy)
    error = _(
        "%(vendor)s accepted this permit %(times)d times, but doesn't list it among the parking rights."
    )
    return DriftReason(NOT_APPLIED, error % words, _anew_remedy(label))


def _anew_remedy(label: str) -> str:
    return _(
        "It is sent again as a new session, at increasing intervals. Ask %(vendor)s why it is "
        "rejected after it was accepted. The trace IDs are in its proof of delivery."
    ) % {"vendor": label}


def _what_differs(known: RemoteState, other: Listed) -> str:
    names = {
        "plate": _("another plate"),
        "subdivision": _("another state"),
        "zone_id": _("another zone"),
        "start": _("another start"),
        "end": _("another end"),
        "space": _("another space number"),
    }
    shown = {
        "plate": other.right.plate,
        "subdivision": other.right.subdivision,
        "zone_id": other.right.zone_id,
        "start": say_utc(other.right.start) if other.right.start else "",
        "end": say_utc(other.right.end) if other.right.end else _("none"),
        "space": other.right.space_number,
    }
    return ", ".join(f"{names[name]} ({shown[name]})" for name in other.names)
