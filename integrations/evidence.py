"""A permit's proof of delivery: what happened to it, in order, with who and what, to the millisecond.

`timeline` and `headline` are pure; `gather` reads what they need by a fixed number of queries. The evidence is what was
written when it happened: the permit's history (every revision, with who made it), the events of each push (with trace id,
session id and the answer), the location's mappings, and when the plate was last seen among the parking rights. Nothing is
reconstructed: what was not recorded is not told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.models import PushEvent, Registration, Zone, ZoneMapping
from integrations.queries import Delivery
from integrations.states import fragment, ordinal, vendor_label
from locations.models import Location, Permit
from locations.regions import region_label
from locations.times import say_both, say_clock, say_time

MAX_EVENTS = 200
MAX_MAPPINGS = 50
# Things that carry the same time stand in this order.
_SAVED, _MAPPED, _DUE, _ANSWERED, _SEEN = range(5)


@dataclass(frozen=True, slots=True)
class Happened:
    """One line of the time line. `at` is aware; `trace_id` and `session_id` are empty where there was no request."""

    at: datetime
    title: str
    tone: str
    icon: str
    text: str = ""
    by: str = ""
    trace_id: str = ""
    session_id: str = ""
    rank: int = _SAVED


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was recorded of one permit; see `gather`."""

    versions: Sequence[Any]
    events: Sequence[PushEvent]
    registrations: Sequence[Registration]
    mappings: Sequence[Any]
    locations: Mapping[int, str]
    zones: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer at the top of a permit's page."""

    tone: str
    sentence: str
    detail: str = ""
    remedy: str = ""


def gather(permit: Permit) -> Evidence:
    """Read what was recorded of a permit, oldest first; at most six queries. The newest `MAX_EVENTS` events are taken."""
    versions = list(permit.history.select_related("history_user").order_by("history_date", "history_id"))
    registrations = list(Registration.objects.filter(permit=permit).select_related("connection"))
    events = list(
        PushEvent.objects.filter(registration__in=registrations)
        .select_related("push")
        .order_by("-id")[:MAX_EVENTS]
    )[::-1]
    places = {version.location_id for version in versions} | {permit.location_id}
    mappings = list(
        ZoneMapping.history.filter(location_id__in=places)
        .select_related("history_user")
        .order_by("-history_date", "-history_id")[:MAX_MAPPINGS]
    )[::-1]
    names = {permit.location_id: permit.location.name}
    if elsewhere := places - names.keys():
        names |= dict(Location.objects.filter(pk__in=elsewhere).values_list("pk", "name"))
    zones = {
        zone.pk: str(zone)
        for zone in Zone.objects.filter(Q(pk__in={mapping.zone_id for mapping in mappings})).only(
            "number", "name"
        )
    }
    return Evidence(versions, events, registrations, mappings, names, zones)


def timeline(permit: Permit, evidence: Evidence) -> list[Happened]:
    """Return what happened to a permit, oldest first."""
    tz = permit.location.tz
    found = [
        *_saves(evidence.versions, evidence.locations, tz),
        *_moves(permit, evidence),
        *_pushes(evidence.events),
        *_open_ends(evidence),
    ]
    return sorted(found, key=lambda entry: (entry.at, entry.rank))


# --- What people did ---------------------------------------------------------------------------------------------


def _saves(versions: Sequence[Any], locations: Mapping[int, str], tz: tzinfo) -> list[Happened]:
    entries = []
    older: Any = None
    for version in versions:
        who = version.history_user.label if version.history_user else ""
        if older is None:
            text = _("%(where)s · revision %(number)d") % {
                "where": _where(version.source),
                "number": version.revision,
            }
            entries.append(Happened(version.history_date, _("Registered"), "success", "car", text, who))
        else:
            title, icon, tone = change_title(older, version)
            what = "; ".join(changes(older, version, locations, tz)) or _("nothing else changed")
            if version.history_change_reason in Permit.Source.values:
                what = f"{what} · {_where(version.history_change_reason)}"
            text = _("%(what)s · revision %(number)d") % {"what": what, "number": version.revision}
            entries.append(Happened(version.history_date, title, tone, icon, text, who))
        older = version
    return entries


def _where(source: str) -> str:
    """Say where a permit was registered."""
    return {
        Permit.Source.DASHBOARD: _("in the dashboard"),
        Permit.Source.ADMIN: _("in the admin"),
        Permit.Source.COMMAND: _("on the command line"),
        Permit.Source.IMPORT: _("by an import"),
        Permit.Source.API: _("through the API"),
        Permit.Source.TEST: _("as a test plate"),
    }.get(Permit.Source(source), _("by a script"))


def change_title(older: Any, newer: Any) -> tuple[str, str, str]:
    """Return title, icon and tone for one revision."""
    if older.status != newer.status:
        if newer.status == Permit.Status.CANCELLED:
            return _("Cancelled"), "ban", "neutral"
        return _("Cancellation undone"), "arrow-back-up", "info"
    if older.plate != newer.plate:
        return _("Plate changed"), "pencil", "info"
    if older.location_id != newer.location_id:
        return _("Moved"), "map-pin", "info"
    if older.end != newer.end:
        return (_("Extended") if newer.end > older.end else _("Shortened")), "clock", "info"
    return _("Changed"), "pencil", "info"


def changes(older: Any, newer: Any, locations: Mapping[int, str], tz: tzinfo) -> list[str]:
    """Say what differs between two revisions, each as “plate from ABC 123 to ABC 124”."""
    told = []

    def tell(name: str, was: str, now: str) -> None:
        if was != now:
            told.append(
                _("%(name)s from %(was)s to %(now)s")
                % {"name": name, "was": was or _("nothing"), "now": now or _("nothing")}
            )

    if older.status != newer.status:
        cancelled = newer.status == Permit.Status.CANCELLED
        told.append(_("ended at once") if cancelled else _("valid again, as it was"))
    tell(_("plate"), older.plate_typed, newer.plate_typed)
    tell(_("state"), region_label(older.subdivision), region_label(newer.subdivision))
    tell(
        _("location"),
        locations.get(older.location_id, str(older.location_id)),
        locations.get(newer.location_id, str(newer.location_id)),
    )
    tell(_("beginning"), say_time(older.start, tz), say_time(newer.start, tz))
    tell(_("end"), say_time(older.end, tz), say_time(newer.end, tz))
    tell(_("space"), older.space_number, newer.space_number)
    tell(_("type"), older.type, newer.type)
    tell(_("unit"), older.unit, newer.unit)
    tell(_("external id"), older.external_id, newer.external_id)
    return told


def _moves(permit: Permit, evidence: Evidence) -> list[Happened]:
    """Tell of the mappings of the permit's location made during its life."""
    entries = []
    for mapping in evidence.mappings:
        if mapping.location_id != permit.location_id or mapping.history_date < permit.created_at:
            continue
        who = mapping.history_user.label if mapping.history_user else ""
        zone = evidence.zones.get(mapping.zone_id, "")
        if mapping.history_type == "-":
            text = _("the location has no zone any more; it was %(zone)s") % {"zone": zone}
            entries.append(
                Happened(
                    mapping.history_date, _("Zone taken away"), "warning", "unlink", text, who, rank=_MAPPED
                )
            )
        else:
            text = _("the location sends to %(zone)s") % {"zone": zone}
            entries.append(
                Happened(mapping.history_date, _("Zone chosen"), "info", "link", text, who, rank=_MAPPED)
            )
    return entries


# --- What was sent -----------------------------------------------------------------------------------------------

_ACCEPTED_TITLES = {
    "started": lambda: _("Accepted by Passport"),
    "extended": lambda: _("New end accepted"),
    "stopped": lambda: _("Taken away from Passport"),
}


def _pushes(events: Sequence[PushEvent]) -> list[Happened]:
    entries: list[Happened] = []
    dues: set[tuple[int, datetime]] = set()
    tries: dict[tuple[int, datetime, str], int] = {}
    for event in events:
        push = event.push
        due = (event.registration_id, event.marked_at)
        if due not in dues:
            dues.add(due)
            entries.append(
                Happened(event.marked_at, _("Due"), "neutral", "clock", _("noted for delivery"), rank=_DUE)
            )
        key = (*due, event.kind)
        tries[key] = tries.get(key, 0) + 1
        title, tone, icon = _answer(event, tries[key])
        answer = f"{push.status}" if push.status else ""
        text = " · ".join(part for part in (answer, event.kind, fragment(event.error)) if part)
        entries.append(
            Happened(
                push.answered_at,
                title,
                tone,
                icon,
                text,
                trace_id=push.trace_id,
                session_id=event.session_id,
                rank=_ANSWERED,
            )
        )
    return entries


def _answer(event: PushEvent, attempt: int) -> tuple[str, str, str]:
    if event.result == PushEvent.Result.ACCEPTED:
        title = _ACCEPTED_TITLES.get(event.kind, _ACCEPTED_TITLES["started"])()
        return title, "success" if event.kind != "stopped" else "neutral", "check"
    if event.result == PushEvent.Result.REFUSED:
        return _("Refused"), "danger", "x"
    return _("Not reached, %(nth)s try") % {"nth": ordinal(attempt)}, "danger", "x"


def _open_ends(evidence: Evidence) -> list[Happened]:
    """Tell what is known beyond the events: noted and not sent yet, and seen by enforcement."""
    entries = []
    told = {(event.registration_id, event.marked_at) for event in evidence.events}
    for registration in evidence.registrations:
        waits = registration.state == Registration.State.DUE
        if waits and (registration.pk, registration.marked_at) not in told:
            entries.append(
                Happened(
                    registration.marked_at,
                    _("Due"),
                    "warning",
                    "clock",
                    _("noted for delivery, not sent yet"),
                    rank=_DUE,
                )
            )
        if registration.seen_at is not None:
            held = registration.observed or {}
            text = " · ".join(str(held[name]) for name in ("plate", "subdivision") if held.get(name))
            entries.append(
                Happened(
                    registration.seen_at, _("Seen in parking rights"), "success", "eye", text, rank=_SEEN
                )
            )
    return entries


# --- The answer ----------------------------------------------------------------------------------------------------


def headline(delivery: Delivery, evidence: Evidence, now: datetime) -> Headline:
    """Return the one sentence that says whether officers see this plate, why not, since when, and what to do."""
    permit, state, registration = delivery.permit, delivery.state, delivery.registration
    tz, vendor = (
        permit.location.tz,
        vendor_label(delivery.connection) if delivery.connection else _("Passport"),
    )
    zone = delivery.mapping.zone.number if delivery.mapping else ""
    words = {"vendor": vendor, "zone": zone, "plate": permit.plate_typed}
    until = _("Valid until %(time)s.") % {"time": say_both(permit.end, tz)}
    if registration is not None and registration.checked_at is not None:
        until += " " + _("Last compared with Passport's parking rights: %(time)s.") % {
            "time": say_clock(registration.checked_at, tz, now)
        }
    if state.key == "accepted":
        seen = registration.seen_at if registration else None
        accepted = registration.accepted_at if registration else None
        if permit.start > now:
            words["time"] = say_time(permit.start, tz)
            return Headline(
                "success", _("%(vendor)s has this plate for zone %(zone)s, from %(time)s.") % words, until
            )
        if seen is not None and (accepted is None or seen >= accepted):
            words["time"] = say_clock(seen, tz, now)
            return Headline(
                "success",
                _("%(vendor)s shows officers this plate in zone %(zone)s since %(time)s.") % words,
                until,
            )
        words["time"] = say_clock(accepted, tz, now) if accepted else ""
        sentence = _("%(vendor)s has accepted this plate in zone %(zone)s at %(time)s.") % words
        return Headline("success", sentence, until)
    if state.key == "withdrawn" and never_accepted(evidence.events):
        sentence = _("This permit ended before %(vendor)s had accepted it.") % words
        return Headline("neutral", sentence, _over(permit, tz))
    if state.key == "withdrawn":
        words["time"] = say_clock(state.since or permit.end, tz, now)
        return Headline(
            "neutral", _("%(vendor)s no longer has this plate, since %(time)s.") % words, _over(permit, tz)
        )
    if state.key == "expired":
        return Headline(
            "neutral", _("This permit is over. %(reason)s") % {"reason": state.sentence}, _over(permit, tz)
        )
    if state.key == "not_sent":
        return Headline(
            "neutral",
            _("This permit ended before anything was sent to %(vendor)s.") % words,
            _over(permit, tz),
        )
    since = _("Since %(time)s.") % {"time": say_clock(state.since, tz, now)} if state.since else ""
    reason = state.sentence or f"{state.word[0].upper()}{state.word[1:]}."
    if registration is not None and registration.observed is not None:
        still = _ending_sentence(permit, now) % words
        return Headline(state.tone, f"{still} {reason}", since, state.remedy)
    words["reason"] = reason
    if state.key == "refused":
        return Headline(
            state.tone, _("%(vendor)s does not take this plate: %(reason)s") % words, since, state.remedy
        )
    return Headline(state.tone, _("Not in %(vendor)s yet: %(reason)s") % words, since, state.remedy)


def never_accepted(events: Sequence[PushEvent]) -> bool:
    """Whether there is evidence of tries, and none of an acceptance (old evidence may have been cleared away)."""
    return bool(events) and not any(event.result == PushEvent.Result.ACCEPTED for event in events)


def _ending_sentence(permit: Permit, now: datetime) -> str:
    if permit.status == Permit.Status.CANCELLED or permit.end <= now:
        return _("%(vendor)s may still show this plate.")
    return _("%(vendor)s has this plate, but not yet as it stands here.")


def _over(permit: Permit, tz: tzinfo) -> str:
    if permit.cancelled_at:
        return _("Cancelled %(time)s.") % {"time": say_both(permit.cancelled_at, tz)}
    return _("Ended %(time)s.") % {"time": say_both(permit.end, tz)}
