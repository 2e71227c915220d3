"""Asking the vendor what enforcement sees of one permit, now.

`compare` is pure and says whether what is listed is what was accepted. `look_up` asks (never inside a transaction, and only
in a worker: the vendor may take seconds) and notes what was seen. While the engine holds the connection back after failures
nobody asks: the answer is known at once (`known_answer`).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from integrations.delivery.status import vendor_label
from integrations.models import Breaker, CheckRun, PermitSync, Zone
from integrations.permits.queries import Delivery, delivery_of
from integrations.vendors.errors import DeliveryError
from integrations.vendors.naming import zone_label
from integrations.vendors.protocol import RightSeen, get_vendor
from integrations.vendors.right_keys import differences, is_wholly, zone_key


@dataclass(frozen=True, slots=True)
class RightLine:
    """One parking right, with the zone's number where it is one of ours, and whether it is this permit's session."""

    right: RightSeen
    zone: str
    ours: bool


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What the vendor answered; `trouble` is set where it gave no answer, `asked_at` is None where it was not asked."""

    asked_at: datetime | None
    tone: str
    sentence: str
    rights: Sequence[RightLine] = ()
    trouble: str = ""
    remedy: str = ""


def ours(right: RightSeen, permit_sync: PermitSync, now: datetime) -> bool:
    """Whether a right is this permit sync's session: by its reference or, if it has none, in every detail.

    Contract, "Reading back": matching by `reference_id` is assumed.
    """
    known = permit_sync.remote_state
    if known is None:
        return False
    if right.reference:
        return bool(right.reference == known.get("session_id"))
    return is_wholly(known, right, at=now)


def differs(right: RightSeen, permit_sync: PermitSync, now: datetime) -> bool:
    """Whether a right of this permit sync differs from what was accepted."""
    return bool(permit_sync.remote_state) and bool(differences(permit_sync.remote_state or {}, right, at=now))


def is_same(right: RightSeen, permit_sync: PermitSync, now: datetime) -> bool:
    """Whether a right of this permit sync matches what was accepted. False if a time of it can't be read."""
    return not right.unreadable and not differs(right, permit_sync, now)


def compare(
    delivery: Delivery, rights: Sequence[RightSeen], zones: dict[str, str], now: datetime
) -> LookupResult:
    """Say whether the listed rights are what they should be; pure. `zones` are numbers by `zone_key`."""
    permit_sync, permit = delivery.permit_sync, delivery.permit
    lines = [
        RightLine(
            right,
            zone_label(zones, zone_key(right.zone_id)),
            permit_sync is not None and ours(right, permit_sync, now),
        )
        for right in rights
    ]
    words = {"vendor": vendor_label(delivery.connection), "plate": permit.plate_typed}
    mine = [line for line in lines if line.ours]
    wanted = permit.is_current(now)
    if mine and permit_sync is not None and all(differs(line.right, permit_sync, now) for line in mine):
        sentence = _("%(vendor)s lists this permit, but otherwise than it accepted it.") % words
        return LookupResult(now, "danger", sentence, lines)
    if mine and permit_sync is not None and not any(is_same(line.right, permit_sync, now) for line in mine):
        sentence = _("%(vendor)s lists this permit with a time that can't be read, so it was not compared.")
        return LookupResult(now, "warning", sentence % words, lines)
    if mine:
        words["zone"] = mine[0].zone
        sentence = _("%(vendor)s currently lists this permit in zone %(zone)s.") % words
        return LookupResult(now, "success" if wanted or permit.start > now else "warning", sentence, lines)
    if lines:
        sentence = _("%(vendor)s lists this plate, but not for this permit.") % words
        return LookupResult(now, "warning" if wanted else "info", sentence, lines)
    sentence = _("%(vendor)s currently lists no parking right for this plate.") % words
    return LookupResult(now, "warning" if wanted else "neutral", sentence, lines)


def known_answer(delivery: Delivery) -> LookupResult | None:
    """Return the answer where it is known without asking: there is nobody to ask, or the connection is held back."""
    connection = delivery.connection
    if connection is None or not connection.operator_id:
        trouble = _("There is no operator ID to ask with yet.")
        return LookupResult(
            None, "neutral", trouble, trouble=trouble, remedy=_("Enter the operator ID on the set-up page.")
        )
    if not connection.is_confirmed:
        trouble = _("The operator ID has not been confirmed yet.")
        return LookupResult(
            None,
            "neutral",
            trouble,
            trouble=trouble,
            remedy=_("Support has to confirm it on the set-up page."),
        )
    if delivery.breaker is not None:
        return _not_asked(delivery.breaker, vendor_label(connection))
    return None


def look_up(delivery: Delivery) -> LookupResult:
    """Ask the vendor for the plate's rights and store on the permit sync when they were seen.

    Takes up to the client's time-out; must not run inside a transaction. Trouble is part of the answer, never raised.
    """
    if (known := known_answer(delivery)) is not None:
        return known
    now = timezone.now()
    connection, permit = delivery.connection, delivery.permit
    assert connection is not None
    vendor = get_vendor(connection.vendor)
    try:
        rights = vendor.fetch_rights(connection.operator_id, plate=permit.plate)
    except DeliveryError as error:
        return LookupResult(now, "danger", error.sentence, trouble=error.sentence, remedy=error.remedy)
    now = timezone.now()
    zones = {
        zone_key(remote_id): number
        for remote_id, number in Zone.objects.filter(connection=connection).values_list("remote_id", "number")
    }
    held = compare(delivery, rights, zones, now)
    if (row := delivery.permit_sync) is not None:
        row.checked_at, it = now, PermitSync.objects.filter(pk=row.pk)
        if not any(line.ours and is_same(line.right, row, now) for line in held.rights):
            it.update(checked_at=now)
        # What was accepted while the vendor answered may not be what it listed.
        elif it.filter(accepted_at=row.accepted_at).note_seen(now) and not row.is_seen:
            row.seen_at = now
    return held


def _not_asked(breaker: Breaker, vendor: str) -> LookupResult:
    """Say that a connection is held back, and why."""
    why = breaker.error or _("%(vendor)s is not responding.") % {"vendor": vendor}
    if breaker.stopped:
        trouble = _("%(vendor)s was not asked: the integration is stopped. %(why)s")
        remedy = breaker.remedy
    else:
        trouble = _("%(vendor)s was not asked because of recent failures. %(why)s")
        remedy = _("Check again in a minute.")
    trouble = trouble % {"vendor": vendor, "why": why}
    return LookupResult(None, "warning", trouble, trouble=trouble, remedy=remedy)


def asked_too_often() -> LookupResult:
    """Say that somebody asks more often than it can have changed."""
    trouble = _("You have checked several times within a minute.")
    return LookupResult(None, "info", trouble, trouble=trouble, remedy=_("Wait a minute, then check again."))


def not_looked_up(sentence: str) -> LookupResult:
    """Say that the look-up itself failed, and why."""
    return LookupResult(None, "warning", sentence, trouble=sentence, remedy=_("Check again in a minute."))


# --- As a look-up that a worker makes ---------------------------------------------------------------------------------


def run_check(run: CheckRun) -> dict[str, Any]:
    """Look up the permit of a `CheckRun`; return the answer as a document that `from_document` reads."""
    assert run.permit is not None
    return to_document(look_up(delivery_of(run.permit, timezone.now())))


def to_document(held: LookupResult) -> dict[str, Any]:
    """Return an answer as JSON takes it, without the vendor's whole documents."""
    lines = [
        {"zone": line.zone, "ours": line.ours, "right": {**asdict(line.right), "raw": {}}}
        for line in held.rights
    ]
    return {
        "asked_at": held.asked_at,
        "tone": held.tone,
        "sentence": held.sentence,
        "trouble": held.trouble,
        "remedy": held.remedy,
        "rights": lines,
    }


def from_document(document: dict[str, Any]) -> LookupResult:
    """Return the answer that a finished `CheckRun` keeps."""
    if "failed" in document:
        return not_looked_up(document["failed"])
    lines = [
        RightLine(
            RightSeen(
                **{
                    **line["right"],
                    "start": _moment(line["right"]["start"]),
                    "end": _moment(line["right"]["end"]),
                    "unreadable": tuple(line["right"].get("unreadable", ())),
                }
            ),
            line["zone"],
            line["ours"],
        )
        for line in document["rights"]
    ]
    return LookupResult(
        _moment(document["asked_at"]),
        document["tone"],
        document["sentence"],
        lines,
        document["trouble"],
        document["remedy"],
    )


def _moment(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None
