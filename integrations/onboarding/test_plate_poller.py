"""Follows test plates automatically, from acceptance until they are no longer listed in the parking rights.

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
from integrations.vendors.protocol import RemoteState, RightSeen, get_vendor
from integrations.vendors.right_keys import is_wholly, region_form, same_plate, same_zone

log = structlog.get_logger(__name__)

# How long a stage has lasted → how often the vendor is asked: at first as often as somebody watching would like.
_POLLS = (
    (timedelta(seconds=30), timedelta(milliseconds=800)),
    (timedelta(minutes=2), timedelta(seconds=2)),
    (timedelta(minutes=10), timedelta(seconds=5)),
    (timedelta(hours=3), timedelta(seconds=20)),
)
_POLL_LATER = timedelta(minutes=10)
# Of other rights with the test's plate so many are kept, to be shown.
OTHERS_KEPT = 5


@dataclass(frozen=True, slots=True)
class Look:
    """What one look into the parking rights showed: ours in its zone, ours in another zone, others with this plate."""

    ours: RightSeen | None
    elsewhere: tuple[RightSeen, ...] = ()
    others: tuple[RightSeen, ...] = ()


# --- Decisions (pure) -----------------------------------------------------------------------------------------------


def look(rights: Iterable[RightSeen], *, known: RemoteState, sessions: frozenset[str], at: datetime) -> Look:
    """Say which of the rights are the test's own. `known` are the parts of the right that it should be.

    A right is ours by its reference (our session id) or, where the vendor gives none, in every part: a plate that somebody
    put on a list shows as a right as well, and proves nothing.
    """
    ours: RightSeen | None = None
    elsewhere: list[RightSeen] = []
    others: list[RightSeen] = []
    for right in rights:
        if not same_plate(right.plate, known["plate"]):
            continue
        is_ours = right.reference in sessions if right.reference else is_wholly(known, right, at=at)
        if not is_ours:
            others.append(right)
        elif same_zone(right.zone_id, known["zone_id"]):
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
                text = _("The test plate has expired and is withdrawn.")
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
    found = look(rights, known=_known(test), sessions=sessions, at=now)
    _take_in(test, found, now)
    return True


def evidence(found: Look, now: datetime) -> dict[str, Any]:
    """Return what is kept of a look: the right itself, what was there in its stead, and what was there besides. Pure."""
    return {
        "asked_at": now.isoformat(),
        "right": found.ours.raw if found.ours else None,
        "kind": found.ours.kind if found.ours else "",
        # In which form the vendor writes a state: it may be the form in which it wants it.
        "state_form": region_form(found.ours.subdivision) if found.ours else "",
        "elsewhere": [right.zone_id for right in found.elsewhere],
        "others": len(found.others),
        "others_seen": [
            {
                "zone": right.zone_id,
                "kind": right.kind,
                "until": right.end.isoformat() if right.end else "",
            }
            for right in [right for right in found.others if not right.reference.startswith("os-")][
                :OTHERS_KEPT
            ]
        ],
    }


def _known(test: TestPlate) -> RemoteState:
    """Return the parts of the right that a test should be."""
    permit = test.permit
    return {
        "zone_id": test.zone.remote_id,
        "plate": permit.plate,
        "country": permit.country,
        "subdivision": permit.subdivision,
        "start": permit.start.isoformat(),
        "end": permit.end.isoformat(),
        "space": permit.space_number,
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
                text = _("The test plate is no longer listed in the parking rights.")
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
        text = _("Test plate listed in the parking rights, zone %(zone)s.") % {"zone": test.zone.number}
        ticket_log.record(test.connection, "test_seen", text)
        if test.link_sent_to and not test.link_hash and not test.answer:
            test_plates.issue_link(test, test_plates.split(test.link_sent_to))
