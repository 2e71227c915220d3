"""Following test plates: what the product does by itself, from acceptance to being gone from the parking rights.

`follow_tests` is a chore of the workers. It takes each open test one stage further: notes the acceptance, looks for
the plate in the vendor's parking rights, mails the link once it is there, withdraws the test at its end, and looks
until it is gone. `look` and `poll_every` decide (pure); no transaction is open while the vendor is asked.

When a test was last looked at is kept on its registration (`checked_at`), so any worker may go on with it, and the
vendor is asked for it no more often than `poll_every` allows: at first as often as somebody who watches would like,
then ever more rarely.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.models import Connection, PermitSync, PushEvent, TestPlate
from integrations.notifications import ticket_log
from integrations.onboarding import test_plates
from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.protocol import RightSeen, get_vendor
from locations.plates import normalise_plate

log = structlog.get_logger(__name__)

# How long a stage has lasted → how often the vendor is asked: at first as often as somebody watching would like.
_POLLS = (
    (timedelta(seconds=30), timedelta(milliseconds=800)),
    (timedelta(minutes=2), timedelta(seconds=2)),
    (timedelta(minutes=10), timedelta(seconds=5)),
    (timedelta(hours=3), timedelta(seconds=20)),
)
_POLL_LATER = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Look:
    """What one look into the parking rights showed: ours in its zone, ours in another zone, others with this plate."""

    ours: RightSeen | None
    elsewhere: tuple[RightSeen, ...] = ()
    others: tuple[RightSeen, ...] = ()


# --- Decisions (pure) -----------------------------------------------------------------------------------------------


def look(rights: Iterable[RightSeen], *, zone_id: str, plate: str, sessions: frozenset[str]) -> Look:
    """Say which of the rights are the test's own.

    A right is ours by its reference (our session id); where the vendor gives none, by plate and zone (contract: match
    on `reference_id`, where it is missing on plate and zone).
    """
    ours: RightSeen | None = None
    elsewhere: list[RightSeen] = []
    others: list[RightSeen] = []
    for right in rights:
        if normalise_plate(right.plate) != plate:
            continue
        is_ours = right.reference in sessions if right.reference else right.zone_id == zone_id
        if not is_ours:
            others.append(right)
        elif right.zone_id == zone_id:
            ours = right
        else:
            elsewhere.append(right)
    return Look(ours, tuple(elsewhere), tuple(others))


def poll_every(lasted: timedelta) -> timedelta:
    """Return how often the vendor is asked about a stage that has lasted so long."""
    return next((every for limit, every in _POLLS if lasted < limit), _POLL_LATER)


# --- What the product does ------------------------------------------------------------------------------------------


def follow_tests(now: datetime) -> int:
    """Take every open test one stage further where that is due; return how many were looked at.

    A vendor that can't be reached ends the round for its tests, so that a round never waits for many time-outs.
    """
    tests = (
        TestPlate.objects.filter(gone_at=None)
        .exclude(connection__status=Connection.Status.ENDED)
        .select_related("connection__company", "permit", "zone", "location")
        .order_by("pk")
    )
    away: set[str] = set()
    looked = 0
    for test in tests:
        if test.connection.vendor not in away:
            looked += 1
            if not follow(test, now):
                away.add(test.connection.vendor)
    return looked


def follow(test: TestPlate, now: datetime) -> bool:
    """Take one test one stage further where that is due; return False where the vendor can't be reached."""
    permit_sync = test_plates.permit_sync_of(test)
    if test.accepted_at is None and permit_sync is not None and permit_sync.accepted_at:
        with transaction.atomic():
            test = test_plates.locked(test)
            test_plates.take_in_acceptance(test)
    if test.withdrawn_at is None and test.permit.end <= now:
        with transaction.atomic():
            test = test_plates.locked(test)
            if test.withdrawn_at is None:
                test_plates.withdraw(test, now, None)
                text = _("The test plate's time is over; it is withdrawn.")
                ticket_log.record(test.connection, "test_withdrawn", text)
    began = _stage_began(test, permit_sync)
    checked = permit_sync.checked_at if permit_sync else None
    # Of an operator that nobody has confirmed (any more), no parking right is read.
    if (
        began is None
        or not test.connection.is_confirmed
        or (checked is not None and checked >= began and now - checked < poll_every(now - began))
    ):
        return True
    if permit_sync is not None:
        PermitSync.objects.filter(pk=permit_sync.pk).update(checked_at=now)
    try:
        rights = get_vendor(test.connection.vendor).fetch_rights(
            test.connection.operator_id, plate=test.permit.plate
        )
    except DeliveryError as error:
        log.info(
            "parking rights could not be asked for", test=test.pk, code=error.code, trace_id=error.trace_id
        )
        if test.seen_at is None:
            document = {"asked_at": now.isoformat(), "error": error.sentence, "remedy": error.remedy}
            TestPlate.objects.filter(pk=test.pk, seen_at=None).update(seen_right=document)
        return not isinstance(error, TryLater)
    sessions = frozenset(
        PushEvent.objects.filter(permit_sync=permit_sync).values_list("session_id", flat=True)
    )
    found = look(rights, zone_id=test.zone.remote_id, plate=test.permit.plate, sessions=sessions)
    _take_in(test, found, now)
    return True


def evidence(found: Look, now: datetime) -> dict[str, Any]:
    """Return what is kept of a look: the right itself, or what was there in its stead. Pure."""
    return {
        "asked_at": now.isoformat(),
        "right": found.ours.raw if found.ours else None,
        "elsewhere": [right.zone_id for right in found.elsewhere],
        "others": len(found.others),
    }


# --- Inside ---------------------------------------------------------------------------------------------------------


def _stage_began(test: TestPlate, permit_sync: PermitSync | None) -> datetime | None:
    """When the stage began in which the vendor is asked, or None where there is nothing to ask."""
    if test.withdrawn_at is not None:
        # As long as the withdrawal itself waits, the vendor can't show anything new.
        waits = permit_sync is not None and permit_sync.state == PermitSync.State.DUE
        return None if waits else test.withdrawn_at
    return test.accepted_at if test.seen_at is None else None


def _take_in(test: TestPlate, found: Look, now: datetime) -> None:
    with transaction.atomic():
        test = test_plates.locked(test)
        if test.withdrawn_at is not None:
            if found.ours is None and not found.elsewhere and test.gone_at is None:
                test.gone_at = now
                test.save(update_fields=["gone_at"])
                text = _("The test plate is gone from the parking rights.")
                ticket_log.record(test.connection, "test_gone", text)
            return
        if test.seen_at is not None:
            return
        test.seen_right = evidence(found, now)
        if found.ours is None:
            test.save(update_fields=["seen_right"])
            return
        test.seen_at = now
        test.save(update_fields=["seen_right", "seen_at"])
        PermitSync.objects.filter(permit=test.permit_id, connection=test.connection_id).note_seen(now)
        text = _("Test plate seen in the parking rights, zone %(zone)s.") % {"zone": test.zone.number}
        ticket_log.record(test.connection, "test_seen", text)
        if test.link_sent_to and not test.link_hash and not test.answer:
            test_plates.issue_link(test, test_plates.split(test.link_sent_to))
