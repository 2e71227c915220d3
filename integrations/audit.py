"""The two comparisons that make up for what nobody told.

`audit` walks over the permits that have not ended and looks whether each is as it was last accepted; a row that was
changed behind the services' back (SQL, `QuerySet.update`, a restored backup) is marked as due. It uses the very plan that
the engine uses, so the two can't disagree.

`reconcile` asks the vendor what enforcement sees and compares: rights that are there are noted as *seen*; one that should
be there and is not, or is there and should not be, is *drift*. A right can show some seconds after its acceptance
(assumed), so only what was accepted a while ago counts. Drift is put right by marking the row, after what we believed was
corrected.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from integrations import claims, outbox
from integrations.clock import database_now
from integrations.errors import DeliveryError
from integrations.models import Chore, Connection, Registration, ZoneMapping
from integrations.models.delivery import NOT_LISTED
from integrations.vendors import Account, RightSeen, get_vendor
from locations.models import Permit

log = structlog.get_logger(__name__)

AUDIT_CHORE = "audit"
AUDIT_ROWS = 2_000
RECONCILE_EVERY = timedelta(minutes=5)
# How long after an acceptance a right may still be on its way.
SETTLING_TIME = timedelta(seconds=60)


def audit(now: datetime) -> int:
    """Look at the next `AUDIT_ROWS` permits that have not ended; mark what differs; return how many did (chore)."""
    row = Chore.objects.get_or_create(name=AUDIT_CHORE, defaults={"next_at": now})[0]
    ids = list(
        Permit.objects.filter(pk__gt=row.cursor).order_by("pk").values_list("pk", flat=True)[:AUDIT_ROWS]
    )
    Chore.objects.filter(name=AUDIT_CHORE).update(cursor=ids[-1] if len(ids) == AUDIT_ROWS else 0)
    differing = find_unmarked(ids, now) + find_stale(ids, now)
    if differing:
        log.warning("permits were changed behind the services' back", count=len(differing))
        with transaction.atomic():
            outbox.mark(permit_ids=sorted(set(differing)), bulk=True)
    return len(differing)


def find_unmarked(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return those permits that belong on a connection and have no registration there."""
    mapping = ZoneMapping.objects.filter(location=OuterRef("location")).exclude(
        zone__connection__status=Connection.Status.ENDED
    )
    there = Registration.objects.filter(
        permit=OuterRef("pk"), connection=OuterRef("location__zone_mapping__zone__connection")
    )
    wanted = Permit.objects.not_ended(now).filter(Exists(mapping), ~Exists(there), pk__in=permit_ids)
    return list(wanted.values_list("pk", flat=True))


_COLUMNS = (
    "permit_id", "connection_id", "observed", "permit__plate", "permit__country", "permit__subdivision",
    "permit__start", "permit__end", "permit__space_number", "permit__type", "permit__status",
    "permit__location__zone_mapping__zone__connection_id", "permit__location__zone_mapping__zone__remote_id",
    "permit__location__zone_mapping__zone__session_type", "connection__vendor", "connection__operator_id",
    "connection__key",
)  # fmt: skip


def find_stale(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return those permits whose registration is settled, though what was accepted is not what is wanted."""
    done = Registration.objects.filter(permit_id__in=permit_ids, state=Registration.State.DONE)
    return [row[0] for row in done.values_list(*_COLUMNS) if _differs(row, now)]


def _differs(row: Any, now: datetime) -> bool:
    (_permit_id, connection_id, observed, plate, country, subdivision, start, end, space_number, permit_type, status,
     zone_connection_id, zone_id, session_type, vendor_slug, operator_id, key) = row  # fmt: skip
    desired = claims.desired_of(
        connection_id=connection_id,
        zone_connection_id=zone_connection_id,
        zone_id=zone_id,
        session_type=session_type,
        status=status,
        plate=plate,
        country=country,
        subdivision=subdivision,
        start=start,
        end=end,
        space_number=space_number,
        permit_type=permit_type,
        now=now,
    )
    account = Account(connection_id, operator_id, key)
    return bool(get_vendor(vendor_slug).plan(account, observed, desired, now=now, session_id="?"))


def reconcile_all(now: datetime) -> None:
    """Compare the live connection that was compared longest ago, if its time has come (chore)."""
    live = Connection.objects.filter(status=Connection.Status.LIVE).exclude(operator_id="")
    never = live.filter(reconciled_at=None).first()
    connection = (
        never or live.filter(reconciled_at__lt=now - RECONCILE_EVERY).order_by("reconciled_at").first()
    )
    if connection is not None:
        Connection.objects.filter(pk=connection.pk).update(reconciled_at=now)
        try:
            reconcile(connection)
        except DeliveryError as error:
            log.info("parking rights could not be read", connection=connection.pk, error=error.sentence)


def reconcile(connection: Connection) -> dict[str, int]:
    """Compare what we believe with what enforcement sees; return counts of `seen`, `missing` and `surplus`.

    Raises `DeliveryError` where the vendor can't be asked; then nothing is concluded.
    """
    asked_at = database_now()
    vendor = get_vendor(connection.vendor)
    rights = vendor.fetch_rights(connection.operator_id)
    prefix = f"os-{connection.key}-"
    listed = {right.reference: right for right in rights if right.reference.startswith(prefix)}
    by_vehicle = {_vehicle(right) for right in rights if not right.reference}
    before = asked_at - SETTLING_TIME
    settled = Registration.objects.filter(
        connection=connection,
        state=Registration.State.DONE,
        observed_until__gt=asked_at,
        accepted_at__lt=before,
    )
    seen: list[int] = []
    missing: list[int] = []
    believed: set[str] = set()
    for pk, observed in settled.values_list("pk", "observed").iterator(chunk_size=2_000):
        if observed is None:  # the constraint says otherwise; the type does not know it
            continue
        believed.add(observed["session_id"])
        vehicle = (observed["plate"], observed["subdivision"].rpartition("-")[2], observed["zone_id"])
        found = observed["session_id"] in listed or vehicle in by_vehicle
        (seen if found else missing).append(pk)
    surplus = _surplus(connection, listed, believed)
    _note_seen(seen, asked_at)
    _correct_missing(missing, asked_at)
    _correct_surplus(connection, surplus)
    if missing or surplus:
        log.warning("drift", connection=connection.pk, missing=len(missing), surplus=len(surplus))
    return {"seen": len(seen), "missing": len(missing), "surplus": len(surplus)}


def _vehicle(right: RightSeen) -> tuple[str, str, str]:
    return right.plate, right.subdivision.rpartition("-")[2], right.zone_id


def _note_seen(ids: Sequence[int], at: datetime) -> None:
    for begin in range(0, len(ids), 2_000):
        part = Registration.objects.filter(pk__in=ids[begin : begin + 2_000])
        part.note_seen(at)
        part.filter(error_code=NOT_LISTED).update(
            error_kind="", error_code="", error="", remedy="", error_since=None
        )


def _surplus(
    connection: Connection, listed: dict[str, RightSeen], believed: set[str]
) -> dict[int, RightSeen]:
    """Return the rights of ours that nothing stands for: registration id → right."""
    unknown = {reference: right for reference, right in listed.items() if reference not in believed}
    numbered = {}
    for reference, right in unknown.items():
        row_id = reference.split("-")[2]
        if row_id.isdigit():
            numbered[int(row_id)] = right
    rows = Registration.objects.filter(
        pk__in=numbered, connection=connection, state=Registration.State.DONE, lease=None
    )
    # One that is waiting, under way or accepted just now is on its way to be right; a refused one says so itself.
    rows = rows.filter(accepted_at__lt=database_now() - SETTLING_TIME)
    current = {pk: (observed or {}).get("session_id") for pk, observed in rows.values_list("pk", "observed")}
    return {pk: numbered[pk] for pk, session in current.items() if session != numbered[pk].reference}


def _correct_missing(ids: Sequence[int], now: datetime) -> None:
    """Note what is missing; what was missing the last time too is ended (it may be there unlisted) and begun anew."""
    twice = Registration.objects.filter(
        pk__in=ids,
        error_code=NOT_LISTED,
        error_since__lt=now - SETTLING_TIME,
        state=Registration.State.DONE,
        lease=None,
    ).select_related("connection")
    for registration in twice:
        _enforce_ending(registration, registration.observed, now)
    Registration.objects.filter(pk__in=ids, state=Registration.State.DONE, lease=None).exclude(
        error_code=NOT_LISTED
    ).update(
        error_kind="drift",
        error_code=NOT_LISTED,
        error=_("Passport accepted this registration, but does not list it among the parking rights."),
        remedy=_("It is compared again in a few minutes and then sent anew."),
        error_since=now,
        checked_at=now,
    )


def _correct_surplus(connection: Connection, surplus: dict[int, RightSeen]) -> None:
    vendor, now = get_vendor(connection.vendor), database_now()
    for registration in Registration.objects.filter(pk__in=surplus).select_related("connection"):
        _enforce_ending(registration, vendor.observe(surplus[registration.pk]), now)


def _enforce_ending(registration: Registration, observed: dict[str, Any] | None, now: datetime) -> None:
    """Make the row due with the one intent of ending `observed`; what is wanted instead is planned after that."""
    connection = registration.connection
    account = Account(connection.pk, connection.operator_id, connection.key)
    steps = get_vendor(connection.vendor).plan(account, observed, None, now=now, session_id="?")
    with transaction.atomic():
        row = Registration.objects.select_for_update().get(pk=registration.pk)
        if (
            row.state != Registration.State.DONE
            or row.lease is not None
            or row.generation != registration.generation
        ):
            return
        outbox.mark(permit_ids=[row.permit_id], bulk=True)
        Registration.objects.filter(pk=row.pk).update(intent=steps or None)
