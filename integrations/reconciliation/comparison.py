"""Comparing what was accepted on one connection with what enforcement sees.

`reconcile` reads the whole list first (`spool`), goes through it in portions, judges each right that may be ours (`compare`
decides), and only then acts. A right that is listed correctly is stored as *seen*, once for each acceptance; drift is stored
and repaired (`repair`). If nothing has changed since the last comparison, nothing is written.

A right is ours if its reference is the id of one of our sessions. If the vendor gives no reference, it is ours if every
detail matches one of ours. All others are foreign: enforcement lists residents' permits and meter sessions as rights too, and
they are never changed.

A right of an earlier session counts as ours only if a push event shows that the session was started for that permit sync.
Without one it is *unknown*: after a backup was restored, the same ids may refer to other permits. Unknown rights are shown
to people, and only people end them (`integrations.reconciliation.restored`).
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import structlog
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext as _

from integrations.delivery.database_clock import database_now
from integrations.delivery.session_id import OwnSession, read_session_id
from integrations.held_changes import services as held_changes
from integrations.held_changes.impact import EXAMPLES, Impact, count_rights
from integrations.models import Connection, HeldChange, PermitSync, PushEvent
from integrations.models.delivery import PermitSyncQuerySet
from integrations.reconciliation import compare, repair
from integrations.reconciliation import notices as drift_notices
from integrations.reconciliation.compare import SETTLING_TIME, Accepted, Finding, Listed
from integrations.reconciliation.findings import Findings
from integrations.reconciliation.spool import Spool, count_kind
from integrations.vendors.protocol import RightSeen, get_vendor
from integrations.vendors.right_keys import is_wholly, plate_key

log = structlog.get_logger(__name__)

# Up to this many unknown rights are kept with their details; the next comparison finds the rest.
DETAILS_MAX = 5_000

Renew = Callable[[], None]


def reconcile(
    connection: Connection, *, is_certain: bool = False, renew: Renew = lambda: None
) -> dict[str, int]:
    """Compare what was accepted with what enforcement sees, and repair what differs.

    Returns how many rights are `seen`, `missing`, `differing`, `surplus`, `unreadable` and `unknown`, and `held`: 1 if the
    comparison was held and nothing was changed.

    `is_certain` says that a person confirmed the list: missing rights are sent again at once, however many there are.
    `renew` is called regularly during a long comparison. Raises `DeliveryError` if the vendor can't be asked or doesn't
    return its whole list; then nothing is concluded.
    """
    with Spool(connection.key) as spool:
        return _reconcile(connection, spool, is_certain=is_certain, renew=renew)


def _reconcile(connection: Connection, spool: Spool, *, is_certain: bool, renew: Renew) -> dict[str, int]:
    found = look(connection, spool, renew=renew)
    if not Connection.objects.filter(pk=connection.pk).exclude(status=Connection.Status.ENDED).exists():
        # The connection ended while its list was read: nothing is sent there any more, and no notice is due.
        return found.counts
    _note_seen(found)
    wrong = len(found.missing) + len(found.differs)
    changed = wrong + len(found.is_surplus)
    is_believed = not compare.is_held(wrong=wrong, expected=found.expected)
    impact = _impact(connection, found)
    is_allowed = is_certain or held_changes.may_proceed(
        connection=connection, kind=HeldChange.Kind.COMPARISON, impact=impact, found=_found_words(connection)
    )
    # A change this large proceeds only if a person approved it, and the approval confirms the list too.
    is_certain = is_certain or (is_allowed and impact.is_too_much)
    found.is_held = not is_allowed or not (is_believed or is_certain)
    if found.is_held:
        drift_notices.tell_held(
            connection, missing=changed, expected=found.expected, tells_company=is_allowed
        )
    else:
        drift_notices.end_held(connection)
        _repair(connection, spool, found, is_certain=is_certain, renew=renew)
        held_changes.note_applied(connection, HeldChange.Kind.COMPARISON)
        drift_notices.tell_unknown(connection, found.unknown_count)
        drift_notices.tell_not_applied(connection)
    Connection.objects.filter(pk=connection.pk).update(comparison=found.document)
    if changed or found.unknown_count:
        log.warning("drift", connection=connection.pk, **found.counts)
    return found.counts


def look(connection: Connection, spool: Spool, *, renew: Renew = lambda: None) -> Findings:
    """Read the list into the spool and judge it without changing anything. Raises `DeliveryError`."""
    asked_at = database_now()
    found = Findings(asked_at)
    get_vendor(connection.vendor).read_rights(connection.operator_id, spool.take)
    renew()
    for rights in spool.portions():
        _take_portion(connection, rights, found)
        renew()
    found.rights = spool.count
    found.foreign += spool.foreign
    _find_missing(connection, found)
    # The right that should replace it is missing or different itself: that is repaired first.
    for pk in [*found.missing, *(pk for pk in found.is_surplus if pk in found.differs)]:
        found.is_surplus.discard(pk)
    return found


def accepted_rows(connection: Connection, **filters: Any) -> Iterator[tuple[Accepted, str]]:
    """Yield what a comparison needs of the permit syncs that match `filters`, each with its plate's key."""
    rows = PermitSync.objects.filter(connection=connection, **filters).order_by()
    columns = (
        "pk",
        "state",
        "lease",
        "pending_steps",
        "remote_state",
        "remote_until",
        "accepted_at",
        "seen_at",
        "drift_since",
    )
    for pk, state, lease, steps, remote_state, until, accepted_at, seen_at, drift_since in rows.values_list(
        *columns
    ):
        unseen = seen_at is None or (accepted_at is not None and seen_at < accepted_at)
        settled = compare.is_settled(state, lease, steps)
        row = Accepted(pk, remote_state, until, accepted_at, settled, unseen or drift_since is not None)
        yield row, plate_key((remote_state or {}).get("plate", ""))


# --- Judging --------------------------------------------------------------------------------------------------------


def _take_portion(connection: Connection, rights: Sequence[RightSeen], found: Findings) -> None:
    own: dict[int, list[tuple[OwnSession, RightSeen]]] = {}
    unreferenced: list[RightSeen] = []
    for right in rights:
        if not right.reference:
            unreferenced.append(right)
        elif (session := read_session_id(connection.key, right.reference)) is not None:
            own.setdefault(session.permit_sync_id, []).append((session, right))
        else:
            count_kind(found.foreign, right.kind)
    rows = {row.pk: row for row, _plate in accepted_rows(connection, pk__in=own)} if own else {}
    others: list[tuple[int, RightSeen]] = []
    for pk, sessions in own.items():
        row = rows.get(pk)
        for _session, right in sessions:
            if row is None:
                _take_unknown(right, found)
            elif row.remote_state is not None and row.remote_state["session_id"] == right.reference:
                _take_present(row, right, found)
            else:
                others.append((pk, right))
    _take_others(others, rows, found)
    _take_unreferenced(connection, unreferenced, found)


def _take_present(row: Accepted, right: RightSeen, found: Findings) -> None:
    """Count a right of a permit sync's current session."""
    finding, names = compare.judge(row, right, at=found.at)
    if finding is Finding.SURPLUS:
        _take_surplus(row.pk, right, found)
        return
    found.listed.add(row.pk)
    if finding is Finding.SEEN and row.pk not in found.seen:
        found.seen.add(row.pk)
        if row.is_unseen:
            found.seen_first.append(row.pk)
    elif finding is Finding.UNREADABLE:
        found.unreadable.add(row.pk)
    elif finding is Finding.DIFFERS:
        found.differs.add(row.pk)
        if found.has_details:
            found.differing[row.pk] = Listed(right, names)


def _take_others(others: Sequence[tuple[int, RightSeen]], rows: dict[int, Accepted], found: Findings) -> None:
    """Count rights of earlier sessions: surplus if we know that we started them, else unknown."""
    if not others:
        return
    begun = set(
        PushEvent.objects.filter(
            permit_sync__in={pk for pk, _right in others},
            session_id__in={right.reference for _pk, right in others},
        ).values_list("permit_sync_id", "session_id")
    )
    for pk, right in others:
        row = rows[pk]
        if right.end is not None and right.end <= found.at + SETTLING_TIME:
            # It has ended or is about to: there is nothing left to end.
            continue
        # A change that is waiting, being sent or just accepted may still correct it.
        if not row.is_settled or row.accepted_at is None or row.accepted_at >= found.at - SETTLING_TIME:
            continue
        if "end" in right.unreadable:
            found.unreadable.add(pk)
        elif (pk, right.reference) not in begun:
            _take_unknown(right, found)
        else:
            _take_surplus(pk, right, found)


def _take_surplus(pk: int, right: RightSeen, found: Findings) -> None:
    found.is_surplus.add(pk)
    if found.has_details:
        found.surplus.setdefault(pk, []).append(right)


def _take_unknown(right: RightSeen, found: Findings) -> None:
    found.unknown_count += 1
    if len(found.unknown) < DETAILS_MAX:
        found.unknown.append(right)


def _take_unreferenced(connection: Connection, rights: Sequence[RightSeen], found: Findings) -> None:
    """Count rights without a reference: ours if every detail matches one of ours, else foreign."""
    by_plate: dict[str, list[RightSeen]] = {}
    for right in rights:
        # A plate that can't be registered here is none of ours.
        plate = plate_key(right.plate)
        by_plate.setdefault(plate if plate.isascii() else "", []).append(right)
    known: dict[str, list[Accepted]] = {}
    if by_plate:
        same_plates = {"permit__company": connection.company_id, "permit__plate__in": by_plate}
        for row, plate in accepted_rows(connection, remote_until__gt=found.at, **same_plates):
            known.setdefault(plate, []).append(row)
    for plate, listed in by_plate.items():
        for right in listed:
            mine = [
                row
                for row in known.get(plate, ())
                if row.remote_state is not None and is_wholly(row.remote_state, right, at=found.at)
            ]
            for row in mine:
                _take_present(row, right, found)
            if not mine:
                count_kind(found.foreign, right.kind)


def _find_missing(connection: Connection, found: Findings) -> None:
    """Find the rights that must be listed now and are not."""
    edge = found.at - SETTLING_TIME
    running = PermitSync.objects.filter(
        connection=connection,
        state=PermitSync.State.DONE,
        lease=None,
        remote_until__gt=found.at + SETTLING_TIME,
        accepted_at__lt=edge,
    )
    columns = ("pk", KeyTextTransform("start", "remote_state"))
    for pk, start in running.order_by().values_list(*columns).iterator(chunk_size=5_000):
        if start and datetime.fromisoformat(start) <= edge:
            found.expected += 1
            if pk not in found.listed:
                found.missing.append(pk)
    for pk in [pk for pk in found.unreadable if pk in found.seen or pk in found.differs]:
        found.unreadable.discard(pk)
    # A right that is listed twice, once correctly, counts as correct.
    for pk in [pk for pk in found.differs if pk in found.seen]:
        found.differs.discard(pk)


def _impact(connection: Connection, found: Findings) -> Impact:
    """Return how many of the connection's rights a repair would end or replace."""
    replaced = [*found.missing[:EXAMPLES], *islice(found.differs, EXAMPLES)]
    concerned = [*replaced, *islice(found.is_surplus, EXAMPLES)][:EXAMPLES]
    if not concerned:
        return Impact(0, 0, 0)
    permits = PermitSync.objects.filter(pk__in=concerned).order_by("permit_id")
    return Impact(
        removed=len(found.is_surplus),
        replaced=len(found.missing) + len(found.differs),
        total=count_rights(connection, found.at),
        examples=list(permits.values_list("permit_id", flat=True)),
    )


def _found_words(connection: Connection) -> str:
    return _("%(vendor)s lists many parking rights differently from what it accepted.") % {
        "vendor": get_vendor(connection.vendor).names.label
    }


# --- Acting ---------------------------------------------------------------------------------------------------------


def _note_seen(found: Findings) -> None:
    for ids in repair.portions(found.seen_first):
        with repair.locked(ids) as rows:
            rows.note_seen(found.at)


def _repair(connection: Connection, spool: Spool, found: Findings, *, is_certain: bool, renew: Renew) -> None:
    label = get_vendor(connection.vendor).names.label
    for ids in repair.portions(found.missing):
        repair.repair(connection, ids, {}, at=found.at, is_certain=is_certain, label=label)
        renew()
    for part in _portions_with_details(connection, spool, found):
        for ids in repair.portions([pk for pk in part.differing if pk in found.differs]):
            listed = {pk: part.differing[pk] for pk in ids}
            repair.repair(connection, ids, listed, at=found.at, is_certain=is_certain, label=label)
            renew()
        for ids in repair.portions([pk for pk in part.surplus if pk in found.is_surplus]):
            repair.end_surplus(connection, {pk: part.surplus[pk] for pk in ids}, at=found.at, label=label)
            renew()
    _end_drift(connection, found)


def _portions_with_details(connection: Connection, spool: Spool, found: Findings) -> Iterator[Findings]:
    """Go through the list again and yield the details of what differs, portion by portion.

    The details of a whole list may not fit into memory, and a repair that a person approved is done in full, however large.
    """
    if not found.differs and not found.is_surplus:
        return
    for rights in spool.portions():
        concerned = []
        for right in rights:
            session = read_session_id(connection.key, right.reference) if right.reference else None
            if session and (
                session.permit_sync_id in found.differs or session.permit_sync_id in found.is_surplus
            ):
                concerned.append(right)
        part = Findings(found.at, has_details=True)
        _take_portion(connection, concerned, part)
        yield part


def _end_drift(connection: Connection, found: Findings) -> None:
    """Clear the drift of permit syncs that this comparison finds correct."""
    missing = set(found.missing)
    drifting = _drifting(connection).filter(
        Q(accepted_at=None)
        | Q(accepted_at__lt=found.at - SETTLING_TIME)
        | Q(pk__in=list(found.seen_first)[:DETAILS_MAX])
    )
    over = [
        pk
        for pk in drifting.values_list("pk", flat=True)
        if pk not in missing
        and pk not in found.differs
        and pk not in found.is_surplus
        and pk not in found.unreadable
    ]
    for ids in repair.portions(over):
        with repair.locked(ids, state__in=repair.SETTLED, lease=None) as rows:
            rows.update(drift_since=None, drift_tries=0, drift_retry_at=None)
            rows.filter(error_kind="drift").update(
                error_kind="", error_code="", error="", remedy="", error_since=None
            )


def _drifting(connection: Connection) -> PermitSyncQuerySet:
    rows = PermitSync.objects.filter(connection=connection, state__in=repair.SETTLED, lease=None)
    return rows.filter(Q(drift_since__isnull=False) | Q(error_kind="drift", error_code__gt=""))
