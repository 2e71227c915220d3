"""The answer at the top of a permit's page: one sentence that says whether officers see this plate, why not, since when.

Pure: it is decided from the delivery's state (`integrations.delivery.status`) and from the evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from django.utils.translation import gettext as _

from integrations.models import Connection, PermitSync, PushEvent
from integrations.permits.proof import Evidence
from integrations.permits.queries import Delivery
from integrations.vendors.naming import zone_label
from integrations.vendors.protocol import VendorNames
from locations.models import Permit
from locations.times import say_both, say_clock, say_time


@dataclass(frozen=True, slots=True)
class Headline:
    """The answer at the top of a permit's page."""

    tone: str
    sentence: str
    detail: str = ""
    remedy: str = ""


def headline(delivery: Delivery, evidence: Evidence, names: VendorNames, now: datetime) -> Headline:
    """Return the one sentence that says whether officers see this plate, why not, since when, and what to do.

    Its detail also says where else they see it: while a location moves to another integration, for example.
    """
    found = _headline(delivery, evidence, names, now)
    return replace(found, detail=" ".join([found.detail, *still_elsewhere(delivery, evidence, now)]).strip())


def still_elsewhere(delivery: Delivery, evidence: Evidence, now: datetime) -> list[str]:
    """Return a sentence for each other integration on which the permit is still shown, and until when. Pure."""
    permit, sentences = delivery.permit, []
    for row in evidence.permit_syncs:
        is_told = delivery.permit_sync is not None and row.pk == delivery.permit_sync.pk
        if is_told or row.remote_state is None or row.remote_until is None or row.remote_until <= now:
            continue
        if row.connection.status == Connection.Status.ENDED:
            text = _("Also still shown in zone %(zone)s until %(time)s.")
        elif row.kept_since is not None and row.state == PermitSync.State.DONE:
            text = _(
                "Also still shown in zone %(zone)s until it is accepted in its new zone, at the latest until %(time)s."
            )
        else:
            text = _(
                "Also still shown in zone %(zone)s until it has been ended there, at the latest until %(time)s."
            )
        words = {
            "zone": zone_label(evidence.numbers, row.remote_state.get("zone_id", "")),
            "time": say_both(row.remote_until, permit.location.tz),
        }
        sentences.append(text % words)
    return sentences


def _headline(delivery: Delivery, evidence: Evidence, names: VendorNames, now: datetime) -> Headline:
    permit, state, permit_sync = delivery.permit, delivery.state, delivery.permit_sync
    tz, vendor = permit.location.tz, names.label
    zone = delivery.mapping.zone.number if delivery.mapping else ""
    words = {"vendor": vendor, "zone": zone, "plate": permit.plate_typed}
    until = _("Valid until %(time)s.") % {"time": say_both(permit.end, tz)}
    if (compared_at := _compared_at(delivery)) is not None:
        until += " " + _("Last compared with the parking rights of %(vendor)s: %(time)s.") % {
            "vendor": vendor,
            "time": say_clock(compared_at, tz, now),
        }
    if state.key == "accepted":
        seen = permit_sync.seen_at if permit_sync and permit_sync.is_seen else None
        accepted = permit_sync.accepted_at if permit_sync else None
        if permit.start > now:
            words["time"] = say_time(permit.start, tz)
            return Headline(
                "success", _("%(vendor)s has this plate for zone %(zone)s, starting %(time)s.") % words, until
            )
        if seen is not None:
            words["time"] = say_clock(seen, tz, now)
            return Headline(
                "success",
                _("%(vendor)s has shown officers this plate in zone %(zone)s since %(time)s.") % words,
                until,
            )
        words["time"] = say_clock(accepted, tz, now) if accepted else ""
        sentence = _("%(vendor)s accepted this plate in zone %(zone)s at %(time)s.") % words
        return Headline("success", sentence, until)
    if state.key == "withdrawn" and never_accepted(evidence.events):
        sentence = _("This permit ended before %(vendor)s had accepted it.") % words
        return Headline("neutral", sentence, _over(permit, tz))
    if state.key == "withdrawn":
        words["time"] = say_clock(state.since or permit.end, tz, now)
        return Headline("neutral", _("Removed from %(vendor)s at %(time)s.") % words, _over(permit, tz))
    if state.key == "expired":
        return Headline(
            "neutral", _("This permit has ended. %(reason)s") % {"reason": state.sentence}, _over(permit, tz)
        )
    if state.key == "not_sent":
        return Headline(
            "neutral",
            _("This permit ended before anything was sent to %(vendor)s.") % words,
            _over(permit, tz),
        )
    since = _("Since %(time)s.") % {"time": say_clock(state.since, tz, now)} if state.since else ""
    if state.key in ("drift", "zone_missing"):
        return Headline(state.tone, state.sentence, since, state.remedy)
    reason = state.sentence or f"{state.word[0].upper()}{state.word[1:]}."
    if permit_sync is not None and permit_sync.remote_state is not None:
        still = _ending_sentence(permit, now) % words
        return Headline(state.tone, f"{still} {reason}", since, state.remedy)
    words["reason"] = reason
    if state.key == "refused":
        return Headline(
            state.tone, _("%(vendor)s refuses this plate: %(reason)s") % words, since, state.remedy
        )
    return Headline(state.tone, _("Not yet in %(vendor)s: %(reason)s") % words, since, state.remedy)


def _compared_at(delivery: Delivery) -> datetime | None:
    """Return when this permit was last looked for in the parking rights: alone, or with all others of its connection."""
    permit_sync, connection = delivery.permit_sync, delivery.connection
    if permit_sync is None:
        return None
    times = [permit_sync.checked_at]
    if connection is not None and permit_sync.is_seen:
        times.append(connection.compared_at)
    return max((at for at in times if at is not None), default=None)


def never_accepted(events: Sequence[PushEvent]) -> bool:
    """Whether there is evidence of tries, and none of an acceptance (old evidence may have been cleared away)."""
    return bool(events) and not any(event.result == PushEvent.Result.ACCEPTED for event in events)


def _ending_sentence(permit: Permit, now: datetime) -> str:
    if permit.status == Permit.Status.CANCELLED or permit.end <= now:
        return _("%(vendor)s may still show this plate.")
    return _("%(vendor)s has this plate, but not yet the latest change.")


def _over(permit: Permit, tz: tzinfo) -> str:
    if permit.cancelled_at:
        return _("Cancelled %(time)s.") % {"time": say_both(permit.cancelled_at, tz)}
    return _("Ended %(time)s.") % {"time": say_both(permit.end, tz)}
