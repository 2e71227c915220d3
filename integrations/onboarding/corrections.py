"""What support puts right on a company's way to live: another operator ID, the end of an integration, a set-up begun anew.

Each is shown first (`Preview`) and takes a reason, which the ticket keeps. What may not happen is decided where it always is
(`integrations.onboarding.connections`): an account is never exchanged under registrations that it still holds, and an
integration that has been live is ended and another one started.
"""

from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.held_changes.impact import GROWTH
from integrations.models import Connection, Notice
from integrations.notifications import notices, ticket_log
from integrations.onboarding import connections, services
from integrations.onboarding.snapshot import Finding
from integrations.zones import mapping
from locations.models import Location, User


@dataclass(frozen=True, slots=True)
class Preview:
    """What belongs to a connection now: `held` rows are, or may be, valid at the vendor."""

    zones: int
    locations: int
    permits: int
    held: int


def preview_of(connection: Connection) -> Preview:
    """Return what a correction of this connection would touch; four queries."""
    return Preview(
        zones=connection.zones.listed().count(),
        locations=_places(connection).count(),
        permits=connections.backfill_permits(connection).count(),
        held=connections.held_there(connection).count(),
    )


def change_operator_id(
    *, connection: Connection, operator_id: str, reason: str, actor: User | None = None
) -> services.Trial:
    """Give a connection another operator ID; the vendor is asked first, and one that it does not know is not kept.

    The zones of the former one are kept as missing, and the new one is a claim until it is confirmed. Raises
    `ValidationError` where that may not be.
    """
    _require(actor, reason)
    wanted = connections.clean_operator_id(connection.vendor, operator_id)
    if wanted == connection.operator_id:
        raise ValidationError({"operator_id": [_("That is the operator ID it has now.")]})
    former = connection.operator_id
    trial = services.receive_operator_id(connection=connection, operator_id=wanted, actor=actor)
    if trial.finding != Finding.UNKNOWN:
        text = _("Support changed the operator ID from %(former)s: %(reason)s")
        words = {"former": former or "–", "reason": reason.strip()}
        ticket_log.record(connection, "operator_id", text % words, actor)
    return trial


def withdraw(*, connection: Connection, actor: User | None = None) -> int:
    """Take the zone from all locations of a connection, so that the vendor removes their permits; return how many."""
    _require_support(actor)
    choices = [(location, None) for location in _places(connection)]
    return len(mapping.map_locations(choices=choices, actor=actor))


def end(
    *, connection: Connection, reason: str, leave_behind: bool, seen: int, actor: User | None = None
) -> Connection:
    """End a connection, and tell the company. `seen` is how many permits the preview said are held at the vendor.

    Raises `ValidationError` where more are held by now, or where they may not be left behind.
    """
    _require(actor, reason)
    with transaction.atomic():
        held = connections.held_there(connection).count()
        if leave_behind and held > seen * (1 + GROWTH):
            text = ngettext(
                "By now %(n)d permit is valid there. Look at it again, then decide.",
                "By now %(n)d permits are valid there. Look at them again, then decide.",
                held,
            )
            raise ValidationError(text, code="grown", params={"n": held})
        ended = connections.end(connection=connection, reason=reason, leave_behind=leave_behind, actor=actor)
        text = _("Support ended the integration %(integration)s: %(reason)s")
        notices.tell(
            ended.company,
            "ended",
            Notice.Level.WARNING,
            text % {"integration": ended, "reason": reason.strip()},
            services.setup_path(ended),
            f"ended:{ended.pk}",
        )
    return ended


def start_anew(
    *, connection: Connection, reason: str, leave_behind: bool, seen: int, actor: User | None = None
) -> Connection:
    """End a connection and begin the set-up of another one for the same site; return the new one. See `end`."""
    with transaction.atomic():
        ended = end(connection=connection, reason=reason, leave_behind=leave_behind, seen=seen, actor=actor)
        return connections.open_connection(
            company=ended.company, label=ended.label, vendor=ended.vendor, actor=actor
        )


def _places(connection: Connection) -> QuerySet[Location]:
    return Location.objects.filter(zone_mapping__zone__connection=connection).order_by("pk")


def _require(actor: User | None, reason: str) -> None:
    _require_support(actor)
    if not reason.strip():
        raise ValidationError({"reason": [_("Say why. The reason is kept.")]})


def _require_support(actor: User | None) -> None:
    if actor is not None and not actor.is_support:
        raise ValidationError(_("Only support can do this."), code="support_only")
