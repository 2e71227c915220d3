"""Putting right what enforcement shows otherwise than it was accepted, by steps that the engine sends.

A registration is locked in `mark`'s order and only for a moment; it is made due with the steps that are to go out first, and
planned as usual after that. What is listed otherwise gets the plan from *what enforcement shows* to what is wanted: so an end
that was not applied is sent once more as a new end, and a plate that can't be changed as a new session, with the old one
stopped after it. A right is never taken away before its successor was sent.

A refused row is put right like one that is done: where the vendor registered another zone than it was sent, for example, it
refuses each later event of the session, and the stop has to name what is listed. Refused stops of its other sessions stay.

What is done, and how often, is kept on the row (`drift_since`, `drift_tries`, `drift_retry_at`) until a comparison finds it
as it should be.
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
# The states of rows that can be put right; see `integrations.reconciliation.compare.is_settled`.
SETTLED = (PermitSync.State.DONE, PermitSync.State.REFUSED)
# Keys of a session that a stop need not name, and should not where the two sides disagree about them.
_OF_THE_VEHICLE = ("plate", "subdivision", "country")
# What is in a row beside the permit's facts.
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
        """Whether nothing is wanted any more, and the vendor refused to end what it has."""
        return self.desired is None and self.state == PermitSync.State.REFUSED and self.kept_since is None


class Told(NamedTuple):
    """What a drifting row says of itself: a code, a sentence, and what happens next."""

    code: str
    error: str
    remedy: str


def portions(ids: Sequence[int]) -> Iterator[list[int]]:
    """Yield ids in portions that are locked together."""
    for begin in range(0, len(ids), PORTION):
        yield list(ids[begin : begin + PORTION])


@contextmanager
def held(ids: Sequence[int], **which: Any) -> Iterator[PermitSyncQuerySet]:
    """Lock the rows, and with them all of the same permits, in `mark`'s order; give those that meet `which`.

    The permits and their locations first, as a save does: marking may add a row of another connection, which whoever saves
    or remaps at the same moment would add as well, each while it holds what the other one waits for.
    """
    with transaction.atomic():
        permits = PermitSync.objects.filter(pk__in=ids).values("permit_id")
        saved = Permit.objects.filter(pk__in=permits).order_by("pk").select_for_update(no_key=True)
        lock_locations(saved.values_list("location_id", flat=True))
        PermitSync.objects.filter(permit_id__in=permits).hold()
        yield PermitSync.objects.filter(pk__in=ids, **which)


def account_of(connection: Connection) -> Account:
    """Return what a vendor's client must know of a connection."""
    return Account(connection.pk, connection.operator_id, connection.key)


def put_right(
    connection: Connection,
    ids: Sequence[int],
    listed: Mapping[int, Listed],
    *,
    at: datetime,
    is_certain: bool,
    label: str,
) -> None:
    """Note these registrations as drifting, and send what is due: those in `listed` are listed otherwise than they were
    accepted, the others are missing from the list that was asked for `at` that time.
    """
    vendor, account = get_vendor(connection.vendor), account_of(connection)

    def decide(row: _Row, now: datetime) -> tuple[list[Step], int, Told]:
        other = listed.get(row.pk)
        told = _told_of(row, other, label)
        remedy = remedy_for(row.drift, is_missing=other is None, now=now, is_certain=is_certain)
        if remedy in (Remedy.NOTE, Remedy.WAIT):
            return [], row.session_count, told
        if row.desired is None:
            seen = _seen_as(vendor, row.remote_state or {}, other) if other and row.stop_refused else None
            return vendor.plan(account, seen, None, now=now, session_id=UNUSED), row.session_count, told
        if vendor.preflight_error(row.desired) is not None:
            return [], row.session_count, told  # the next plan says what is to be done
        number = row.session_count + 1
        fresh_id = new_session_id(account.key, row.pk, number)
        seen = _seen_as(vendor, row.remote_state or {}, other) if other else row.remote_state
        if other is None or remedy is Remedy.ANEW:
            steps = _anew(vendor, account, seen, row.desired, now=now, fresh_id=fresh_id)
        else:
            steps = vendor.plan(account, seen, row.desired, now=now, session_id=fresh_id)
        return steps, number if _begins(steps, fresh_id) else row.session_count, told

    _apply(ids, decide, at)


def end_surplus(
    connection: Connection, surplus: Mapping[int, Sequence[RightSeen]], *, at: datetime, label: str
) -> None:
    """End the rights that are listed and should not be, each by a step of its registration.

    The steps name the start that was sent where the list says the same: it may have rounded it, and a vendor may want the
    exact one.
    """
    told = Told(
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

    def decide(row: _Row, now: datetime) -> tuple[list[Step], int, Told]:
        rights = [_with_exact_start(right, begun.get(right.reference)) for right in surplus[row.pk]]
        owns = [read_session_id(connection.key, right.reference) for right in rights]
        # A restored backup may have forgotten how many were begun.
        number = max([row.session_count, *(own.number for own in owns if own is not None)])
        return (ending(connection, rights, now) if row.drift.may_try(now) else []), number, told

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


def _anew(
    vendor: Vendor,
    account: Account,
    seen: RemoteState | None,
    desired: Desired,
    *,
    now: datetime,
    fresh_id: str,
) -> list[Step]:
    """Return the steps that begin a new session and then stop the present one, which is listed as `seen`."""
    started = vendor.plan(account, None, desired, now=now, session_id=fresh_id)
    stopped = vendor.plan(account, seen, None, now=now, session_id=UNUSED)
    return started + stopped if started else []


def _seen_as(vendor: Vendor, known: RemoteState, other: Listed) -> RemoteState:
    """Return what is known as enforcement shows it."""
    observed = vendor.observe(other.right) or {}
    seen = known | {name: observed[name] for name in other.names if name in observed}
    if "plate" in other.names or "subdivision" in other.names:
        seen |= {name: "" for name in _OF_THE_VEHICLE if name in seen}
    return seen


def _apply(
    ids: Sequence[int], decide: Callable[[_Row, datetime], tuple[list[Step], int, Told]], at: datetime
) -> None:
    """Note what was found of those rows that are still as they were at `at`, and mark those that get steps."""
    which = {"state__in": SETTLED, "lease": None, "accepted_at__lt": at - SETTLING_TIME}
    with held(ids, **which) as rows:
        now = database_now()
        marked: list[int] = []
        steps: list[dict[str, Any]] = []
        notes: list[dict[str, Any]] = []
        for permit_id, row in _read(rows, now):
            if not is_settled(row.state, None, row.pending_steps):
                continue
            decided, number, told = decide(row, now)
            tries = row.drift.tries + bool(decided)
            if decided:
                ended = {step["session"] for step in decided}
                decided += [step for step in row.pending_steps or () if step["session"] not in ended]
                marked.append(permit_id)
                steps.append({"id": row.pk, "intent": decided, "sessions": number})
            if decided or row.drift.since is None or row.error_code != told.code:
                notes.append(_note(row, told, tries, now, is_tried=bool(decided)))
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
# One that stays refused keeps the reason.
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


def _note(row: _Row, told: Told, tries: int, now: datetime, *, is_tried: bool) -> dict[str, Any]:
    since = row.drift.since or now
    retry_at = now + wait_after(tries) if is_tried else row.drift.retry_at
    return {
        "id": row.pk,
        "since": since,
        "tries": tries,
        "retry_at": retry_at,
        "code": told.code,
        "error": told.error,
        "remedy": told.remedy,
        "error_since": since,
    }


def _read(rows: PermitSyncQuerySet, now: datetime) -> Iterator[tuple[int, _Row]]:
    """Yield each row's permit and the row, with what is wanted of it now."""
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


def _told_of(row: _Row, other: Listed | None, label: str) -> Told:
    """Say what is wrong with a registration that was accepted."""
    words = {"vendor": label, "times": row.drift.tries + 1}
    if other is not None:
        words["what"] = _what_differs(row.remote_state or {}, other)
        error = _("%(vendor)s accepted this permit, but lists it with %(what)s.") % words
        if row.drift.tries < 2:
            return Told(DIFFERS, error, _("What differs is sent again, and compared in a few minutes."))
        return Told(NOT_APPLIED, error, _anew_remedy(label))
    if row.drift.tries == 0:
        error = _("%(vendor)s accepted this permit, but doesn't list it among the parking rights.")
        remedy = _("It is compared again in a few minutes, then sent again.")
        return Told(NOT_LISTED, error % words, remedy)
    error = _(
        "%(vendor)s accepted this permit %(times)d times, but doesn't list it among the parking rights."
    )
    return Told(NOT_APPLIED, error % words, _anew_remedy(label))


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
