"""Two comparisons that find what the engine was never told about.

`audit` walks over the permits that have not ended and checks whether each is as it was last accepted; `audit_remote_state`
walks over what was accepted and still runs for a permit that has ended. A row that was changed without the services (SQL,
`QuerySet.update`, a restored backup) is marked as due, a refused one too. They plan exactly as the engine does, so the two
can't disagree. Both take a few rows every second: a worker that audits also delivers.

`reconcile` asks the vendor what enforcement sees and compares (`integrations.reconciliation.compare` decides): rights that
are listed are noted as *seen*; one that must be listed and is not, or is listed and should not be, is *drift*. What is
missing twice is sent again, as a new session, and only then is the one that is not listed stopped: a right is never removed
before its successor was sent. What is listed and should not be is stopped, unless what should be there instead is missing
itself. Rows are handled in small portions, each locked in `mark`'s order and only for a moment.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext as _

from integrations.delivery import bulk_sql, outbox
from integrations.delivery.database_clock import database_now
from integrations.delivery.desired_state import FACT_LOOKUPS, NOTHING, PermitFacts, desired_key, desired_of
from integrations.delivery.session_id import UNUSED, read_session_id, session_id
from integrations.models import Connection, PeriodicTask, PermitSync, ZoneMapping
from integrations.models.delivery import NOT_LISTED, PermitSyncQuerySet
from integrations.reconciliation import compare
from integrations.reconciliation import notices as drift_notices
from integrations.reconciliation.compare import SETTLING_TIME, Believed, ListedRights
from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import Account, Desired, RemoteState, RightSeen, Step, get_vendor
from locations.models import Permit

log = structlog.get_logger(__name__)

AUDIT_TASK = "audit"
REMOTE_STATE_TASK = "audit what was accepted"
# Permits that are looked at in one round, and how many ids it goes over at the most to find them.
AUDIT_ROWS = 200
AUDIT_WINDOW = 20_000
REMOTE_STATE_WINDOW = 2_000
RECONCILE_EVERY = timedelta(minutes=5)
PORTION = 500
_ROW = "integrations_registration"


# --- Permits and registrations ------------------------------------------------------------------------------------------


def audit(now: datetime) -> int:
    """Look at the next `AUDIT_ROWS` permits that have not ended; mark what differs; return how many did (periodic task)."""
    row = PeriodicTask.objects.get_or_create(name=AUDIT_TASK, defaults={"next_at": now})[0]
    top = row.cursor + AUDIT_WINDOW
    window = Permit.objects.not_ended(now).filter(pk__gt=row.cursor, pk__lte=top).order_by("pk")
    ids = list(window.values_list("pk", flat=True)[:AUDIT_ROWS])
    top = ids[-1] if len(ids) == AUDIT_ROWS else top
    _move(row, top if Permit.objects.filter(pk__gt=top).exists() else 0)
    return _mark(find_unmarked(ids, now) + find_stale(ids, now))


# Refused, but not while nothing was wanted: that stop is tried again by itself. One without `retry_at` was written by a
# worker from before it existed.
_REFUSED_FOR_ANOTHER = Q(state=PermitSync.State.REFUSED) & (
    Q(retry_at=None) | ~Q(refused_key__in=["", NOTHING])
)


def audit_remote_state(now: datetime) -> int:
    """Mark registrations that still run though their permit has ended; return how many (periodic task)."""
    row = PeriodicTask.objects.get_or_create(name=REMOTE_STATE_TASK, defaults={"next_at": now})[0]
    top = row.cursor + REMOTE_STATE_WINDOW
    running = PermitSync.objects.filter(
        Q(permit__status=Permit.Status.CANCELLED) | Q(permit__end__lte=now),
        Q(state=PermitSync.State.DONE) | _REFUSED_FOR_ANOTHER,
        pk__gt=row.cursor,
        pk__lte=top,
        remote_until__gt=now,
    )
    running = running.exclude(connection__status=Connection.Status.ENDED)
    ids = list(running.values_list("permit_id", flat=True))
    _move(row, top if PermitSync.objects.filter(pk__gt=top).exists() else 0)
    return _mark(ids)


def _move(row: PeriodicTask, cursor: int) -> None:
    PeriodicTask.objects.filter(name=row.name).update(cursor=cursor)


def _mark(differing: Sequence[int]) -> int:
    if differing:
        log.warning("permits were changed without the services", count=len(differing))
        with transaction.atomic():
            outbox.mark(permit_ids=sorted(set(differing)), bulk=True)
    return len(differing)


def find_unmarked(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return those permits that belong on a connection and have no registration there."""
    mapping = ZoneMapping.objects.filter(location=OuterRef("location")).exclude(
        zone__connection__status=Connection.Status.ENDED
    )
    there = PermitSync.objects.filter(
        permit=OuterRef("pk"), connection=OuterRef("location__zone_mapping__zone__connection")
    )
    wanted = Permit.objects.not_ended(now).filter(Exists(mapping), ~Exists(there), pk__in=permit_ids)
    return list(wanted.values_list("pk", flat=True))


_COLUMNS = (
    "permit_id",
    *FACT_LOOKUPS,
    "remote_state",
    "connection__vendor",
    "connection__operator_id",
    "connection__key",
)


def find_stale(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return those permits of which something else is wanted than was accepted or refused."""
    here = PermitSync.objects.filter(permit_id__in=permit_ids)
    done = here.filter(state=PermitSync.State.DONE)
    found = [row[0] for row in done.values_list(*_COLUMNS) if _differs(row, now)]
    refused = here.refused().exclude(connection__status=Connection.Status.ENDED)
    for key, retry_at, *row in refused.values_list("refused_key", "retry_at", *_COLUMNS):
        # Without a key it is not known what was refused; such a row is tried again by itself, unless a worker wrote it that
        # knew nothing of either.
        if key != desired_key(_read(row, now)[3]) if key else retry_at is None:
            found.append(row[0])
    return found


def _differs(row: Any, now: datetime) -> bool:
    vendor_slug, account, remote_state, desired = _read(row, now)
    return bool(get_vendor(vendor_slug).plan(account, remote_state, desired, now=now, session_id=UNUSED))


def _read(row: Any, now: datetime) -> tuple[str, Account, RemoteState | None, Desired | None]:
    """Return the vendor, the account, what it has and what it should have, of a row of `_COLUMNS`."""
    _permit_id, *facts, remote_state, vendor_slug, operator_id, key = row
    desired = desired_of(PermitFacts(*facts), now=now)
    return vendor_slug, Account(facts[0], operator_id, key), remote_state, desired


# --- Registrations and what enforcement sees ----------------------------------------------------------------------------


def reconcile_all(now: datetime) -> None:
    """Compare the live connection that was compared longest ago, if it is due (periodic task)."""
    live = (
        Connection.objects.select_related("company")
        .filter(status=Connection.Status.LIVE)
        .exclude(operator_id="")
    )
    never = live.filter(reconciled_at=None).first()
    connection = (
        never or live.filter(reconciled_at__lt=now - RECONCILE_EVERY).order_by("reconciled_at").first()
    )
    if connection is not None:
        Connection.objects.filter(pk=connection.pk).update(reconciled_at=now)
        row = Connection.objects.filter(pk=connection.pk)
        try:
            found = reconcile(connection)
        except DeliveryError as error:
            log.info("parking rights could not be read", connection=connection.pk, error=error.sentence)
            row.update(comparison_error=error.sentence, comparison_failures=F("comparison_failures") + 1)
        else:
            if not found["held"]:
                row.update(compared_at=now, comparison_error="", comparison_failures=0)


def reconcile(connection: Connection, *, is_certain: bool = False) -> dict[str, int]:
    """Compare what we believe with what enforcement sees; return how many are `seen`, `missing`, `surplus`, `unknown`, and
    whether it is `held` (1) and nothing was changed.

    `is_certain` says that a person vouches for the list: what is missing is sent again at once, however much it is.
    Raises `DeliveryError` where the vendor can't be asked; then nothing is concluded.
    """
    asked_at = database_now()
    listing = _listen(connection, asked_at)
    verdict = compare.judge(_believed(connection, listing, asked_at), at=asked_at, is_certain=is_certain)
    for ids in _portions(verdict.seen):
        with _held(ids):
            _note_seen(ids, asked_at)
    found = {"seen": len(verdict.seen), "missing": len(verdict.missing), "held": int(verdict.is_held)}
    found |= {"surplus": 0, "unknown": 0}
    if verdict.is_held:
        drift_notices.tell_held(connection, missing=len(verdict.missing), expected=verdict.expected)
    else:
        drift_notices.end_held(connection)
        for ids in _portions(verdict.missing):
            _send_anew(ids, asked_at, is_certain=is_certain)
            with _held(ids):
                _correct_missing(ids, asked_at, get_vendor(connection.vendor).names.label)
        surplus, unknown = _surplus(connection, listing, set(verdict.missing))
        _end_surplus(connection, surplus)
        drift_notices.tell_unknown(connection, len(unknown))
        found |= {"surplus": len(surplus), "unknown": len(unknown)}
    if verdict.missing or found["surplus"] or found["unknown"]:
        log.warning("drift", connection=connection.pk, **found)
    return found


def end_unknown(connection: Connection) -> int:
    """End the rights under our key that no registration stands for, when a person asks for it; return how many there were.

    There is no row that could keep the steps: what was not reached is found again by the next call. Raises `DeliveryError`.
    """
    listing = _listen(connection, database_now())
    rights = _surplus(connection, listing, set())[1]
    vendor = get_vendor(connection.vendor)
    steps = _ending(connection, rights, database_now())
    for begin in range(0, len(steps), vendor.batch_size):
        sent = vendor.send(_account(connection), steps[begin : begin + vendor.batch_size])
        if sent.error is not None:
            raise sent.error
    return len(rights)


def _listen(connection: Connection, asked_at: datetime) -> ListedRights:
    """Ask for all rights, one by one, and keep what the comparison needs of them."""
    numbers: dict[int, int] = {}
    running = PermitSync.objects.filter(connection=connection, remote_until__gt=asked_at)
    rows = running.values_list("pk", KeyTextTransform("session_id", "remote_state"))
    for pk, reference in rows.iterator(chunk_size=2_000):
        own = read_session_id(connection.key, reference or "")
        if own is not None:
            numbers[pk] = own[1]
    listing = ListedRights(connection.key, numbers)
    get_vendor(connection.vendor).read_rights(connection.operator_id, listing.take)
    return listing


_PARTS = ("session_id", "start", "plate", "subdivision", "zone_id")


def _believed(connection: Connection, listing: ListedRights, at: datetime) -> Iterator[Believed]:
    """Yield the rights that were accepted, with whether each is listed."""
    settled = PermitSync.objects.filter(
        connection=connection, state=PermitSync.State.DONE, remote_until__gt=at
    )
    parts = [KeyTextTransform(name, "remote_state") for name in _PARTS]
    rows = settled.values_list("pk", "remote_until", "accepted_at", *parts)
    for pk, until, accepted_at, reference, start, *known_by in rows.iterator(chunk_size=2_000):
        own = read_session_id(connection.key, reference or "")
        is_listed = own is not None and listing.has(pk, own[1])
        is_listed = is_listed or compare.vehicle(*known_by) in listing.vehicles
        if accepted_at is not None and start:
            yield Believed(pk, datetime.fromisoformat(start), until, accepted_at, is_listed)


def _portions(ids: Sequence[int]) -> Iterator[list[int]]:
    for begin in range(0, len(ids), PORTION):
        yield list(ids[begin : begin + PORTION])


@contextmanager
def _held(ids: Sequence[int], **which: Any) -> Iterator[PermitSyncQuerySet]:
    """Lock the rows, and with them all of the same permits, in `mark`'s order; give those that meet `which`."""
    with transaction.atomic():
        permits = PermitSync.objects.filter(pk__in=ids).values("permit_id")
        PermitSync.objects.filter(permit_id__in=permits).hold()
        yield PermitSync.objects.filter(pk__in=ids, **which)


def _note_seen(ids: Sequence[int], at: datetime) -> None:
    for begin in range(0, len(ids), 2_000):
        part = PermitSync.objects.filter(pk__in=ids[begin : begin + 2_000])
        part.note_seen(at)
        part.filter(error_code=NOT_LISTED).update(
            error_kind="", error_code="", error="", remedy="", error_since=None
        )


def _surplus(
    connection: Connection, listing: ListedRights, missing: set[int]
) -> tuple[dict[int, list[RightSeen]], list[RightSeen]]:
    """Return the rights of ours that nothing stands for, by registration; and those without even a registration."""
    surplus: dict[int, list[RightSeen]] = {}
    unknown: list[RightSeen] = []
    before = database_now() - SETTLING_TIME
    for ids in _portions(list(listing.others)):
        rows = PermitSync.objects.filter(pk__in=ids, connection=connection)
        known = set(rows.values_list("pk", flat=True))
        unknown += [right for pk in ids if pk not in known for right in listing.others[pk]]
        # One that is waiting, under way or accepted just now is on its way to be right; a refused one says so itself.
        settled = rows.filter(state=PermitSync.State.DONE, lease=None, accepted_at__lt=before)
        for pk, remote_state in settled.values_list("pk", "remote_state"):
            session = (remote_state or {}).get("session_id")
            extra = [right for right in listing.others[pk] if right.reference != session]
            if extra and pk not in missing:
                surplus[pk] = extra
    return surplus, unknown


def _correct_missing(ids: Sequence[int], now: datetime, vendor_label: str) -> None:
    """Note what is missing; what is missing the next time too is sent anew."""
    PermitSync.objects.filter(pk__in=ids, state=PermitSync.State.DONE, lease=None).exclude(
        error_code=NOT_LISTED
    ).update(
        error_kind="drift",
        error_code=NOT_LISTED,
        error=_("%(vendor)s accepted this registration, but does not list it among the parking rights.")
        % {"vendor": vendor_label},
        remedy=_("It is compared again in a few minutes and then sent anew."),
        error_since=now,
        checked_at=now,
    )


def _send_anew(ids: Sequence[int], now: datetime, *, is_certain: bool) -> None:
    """Make what was missing last time too due, with steps that start a new session and then stop the old one."""
    which: dict[str, Any] = (
        {} if is_certain else {"error_code": NOT_LISTED, "error_since__lt": now - SETTLING_TIME}
    )

    def intents(rows: PermitSyncQuerySet) -> Iterator[dict[str, Any]]:
        for pk, session_count, *row in rows.values_list("pk", "session_count", *_COLUMNS):
            slug, account, remote_state, desired = _read(row, now)
            vendor, number = get_vendor(slug), session_count + 1
            if desired is None or vendor.preflight_error(desired) is not None:
                continue  # the next plan says what is to be done
            fresh_id = session_id(account.key, pk, number)
            started = vendor.plan(account, None, desired, now=now, session_id=fresh_id)
            stopped = vendor.plan(account, remote_state, None, now=now, session_id=UNUSED)
            if started:
                yield {"id": pk, "intent": started + stopped, "sessions": number}

    _intend(ids, which, intents)


def _end_surplus(connection: Connection, surplus: Mapping[int, Sequence[RightSeen]]) -> None:
    """Make these registrations due with steps that end what is there; what is wanted is planned after that."""
    now = database_now()
    for ids in _portions(list(surplus)):

        def intents(rows: PermitSyncQuerySet) -> Iterator[dict[str, Any]]:
            for pk, session_count in rows.values_list("pk", "session_count"):
                owns = [read_session_id(connection.key, right.reference) for right in surplus[pk]]
                # A restored backup may have forgotten how many were begun: a number is never used twice.
                number = max([session_count, *(own[1] for own in owns if own is not None)])
                yield {
                    "id": pk,
                    "intent": _ending(connection, surplus[pk], now) or None,
                    "sessions": number,
                }

        _intend(ids, {}, intents)


def _ending(connection: Connection, rights: Sequence[RightSeen], now: datetime) -> list[Step]:
    """Return the steps that end these rights."""
    vendor = get_vendor(connection.vendor)
    account, seen = _account(connection), [vendor.observe(right) for right in rights]
    return [step for one in seen for step in vendor.plan(account, one, None, now=now, session_id=UNUSED)]


def _account(connection: Connection) -> Account:
    return Account(connection.pk, connection.operator_id, connection.key)


def _intend(
    ids: Sequence[int],
    which: Mapping[str, Any],
    intents: Callable[[PermitSyncQuerySet], Iterator[dict[str, Any]]],
) -> None:
    """Mark those rows that are done and meet `which`, and give them the steps that are to be sent first."""
    with _held(ids, state=PermitSync.State.DONE, lease=None, **which) as rows:
        decided = list(intents(rows))
        outbox.mark(permit_ids=sorted(rows.values_list("permit_id", flat=True)), bulk=True)
        columns = {"id": "bigint", "intent": "jsonb", "sessions": "int"}
        bulk_sql.update(_ROW, columns, decided, assignments="intent = d.intent, sessions = d.sessions")
