"""Was this plate valid there, then? The answer to "why was this car ticketed?".

What it decides: a question is answered from what was *known at that time*: the revision of the permit, the location's
zone and the pushes that the vendor had accepted by then. A permit that was saved later does not make an earlier ticket
wrong, and one that was changed since is judged as it stood.

The vendor *had it* only where a session that it had accepted was the very right that is asked about: this plate and state,
in this zone, at this moment. A change that it had not accepted yet (a corrected plate, a later end, a move) was not seen;
and a permit that had been changed or cancelled may still have been seen, which is said as well. Evidence from before it
told what a session said (`PushEvent.plate` is empty) counts as if it were the permit as it stood.

All of it is pure; `integrations.permits.validity_queries` reads what it needs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.utils.translation import gettext as _

from integrations.delivery.status import fragment
from integrations.models import PushEvent
from integrations.permits.validity_snapshots import (
    PermitThen,
    PushThen,
    Question,
    ZoneThen,
    had_it,
    holds,
    is_in,
    living,
    shown_until,
    shows,
)
from integrations.vendors.right_keys import may_be_same_region, same_plate
from locations.plates import looks_like
from locations.regions import region_label
from locations.times import say_both, say_clock, say_time

MAX_REASONS = 8


@dataclass(frozen=True, slots=True)
class ValidityReason:
    """One fact behind the answer: whether it speaks for the plate, what it is about, and what it says."""

    good: bool
    about: str
    text: str
    permit: int | None = None
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class ValidityAnswer:
    """The answer: "yes", "unseen" (registered, but the vendor did not have it), "shown" (the other way round) or "no"."""

    key: str
    tone: str
    sentence: str
    detail: str
    reasons: Sequence[ValidityReason] = ()
    alike: Sequence[PermitThen] = ()

    @property
    def icon(self) -> str:
        """The icon of the answer."""
        return {"yes": "check", "unseen": "eye-off", "shown": "eye"}.get(self.key, "x")


def _sessions(permits: Iterable[PermitThen]) -> list[tuple[PermitThen, PushThen]]:
    return [(permit, push) for permit in permits for push in living(permit.pushes)]


def decide(
    question: Question, permits: Sequence[PermitThen], zone: ZoneThen | None, now: datetime
) -> ValidityAnswer:
    """Answer the question from the facts; pure."""
    matching = [
        permit
        for permit in permits
        if permit.plate == question.plate and holds(permit, question.at) and _fits(permit, question)
    ]
    alike = [
        permit
        for permit in permits
        if looks_like(permit.plate, question.plate) and holds(permit, question.at)
    ]
    if not matching:
        return _not_registered(question, permits, zone, alike, now)
    best = max(matching, key=lambda permit: (had_it(permit, question, zone) is not None, permit.saved_at))
    return _registered(question, best, permits, zone, alike, now)


def _words(question: Question) -> dict[str, str]:
    return {**question.names.words, "plate": question.plate, "place": question.location_name}


def _registered(
    question: Question,
    best: PermitThen,
    permits: Sequence[PermitThen],
    zone: ZoneThen | None,
    alike: Sequence[PermitThen],
    now: datetime,
) -> ValidityAnswer:
    """Say whether the vendor had a permit that held."""
    past, when = question.at < now, say_both(question.at, question.tz)
    accepted = had_it(best, question, zone)
    reasons = [_permit_reason(best, question), _zone_reason(question, zone)]
    others = [
        (permit, push)
        for permit, push in _sessions(permits)
        if shows(push, question, best.region) and is_in(push, zone)
    ]
    if accepted is None and others:
        # What the officer saw was another registration of the same plate; the driver was in the right all the same.
        permit, push = others[-1]
        reasons.append(_stand_in_reason(permit, push, question))
    else:
        reasons += _push_reasons(best, accepted, question, zone)
    if (accepted is not None or others) and zone is not None:
        text = (
            _("Yes: %(plate)s was valid at %(place)s, and %(vendor)s had it.")
            if past
            else _("Yes: %(plate)s is valid at %(place)s, and %(vendor)s has it.")
        )
        return ValidityAnswer("yes", "success", text % _words(question), when, reasons, alike)
    if accepted is None and living(best.pushes):
        text = (
            _(
                "%(plate)s was registered at %(place)s, but %(vendor)s did not have its latest change "
                "yet, so officers may have seen outdated details."
            )
            if past
            else _(
                "%(plate)s is registered at %(place)s, but %(vendor)s does not have its latest change "
                "yet, so officers may see outdated details."
            )
        )
    else:
        text = (
            _("%(plate)s was registered at %(place)s, but officers could not see it.")
            if past
            else _("%(plate)s is registered at %(place)s, but officers cannot see it yet.")
        )
    return ValidityAnswer("unseen", "warning", text % _words(question), when, reasons, alike)


def _not_registered(
    question: Question,
    permits: Sequence[PermitThen],
    zone: ZoneThen | None,
    alike: Sequence[PermitThen],
    now: datetime,
) -> ValidityAnswer:
    """Say that no permit held, why not, and whether officers may have seen one all the same."""
    past, when = question.at < now, say_both(question.at, question.tz)
    # A session of this very place counts in whatever zone it was: the place may have got another one meanwhile.
    shown = [
        (permit, push)
        for permit, push in _sessions(permits)
        if shows(push, question, question.region)
        and (is_in(push, zone) or permit.location_id == question.location_id)
    ]
    told = {permit.pk: permit for permit in permits if permit.plate == question.plate}
    told |= {permit.pk: permit for permit, _push in shown}
    nearest = sorted(told.values(), key=lambda permit: abs((permit.start - question.at).total_seconds()))
    # What officers may have seen comes first; the sort keeps the rest in its order.
    seen = {permit.pk for permit, _push in shown}
    nearest.sort(key=lambda permit: permit.pk not in seen)
    reasons = [
        ValidityReason(False, _("Permit %(pk)d") % {"pk": permit.pk}, _why_not(permit, question), permit.pk)
        for permit in nearest[:MAX_REASONS]
    ]
    if not reasons:
        reasons = [
            ValidityReason(False, _("Permits"), _("This plate had never been registered with this company."))
        ]
    if not shown:
        text = (
            _("No: %(plate)s was not registered at %(place)s then.")
            if past
            else _("No: %(plate)s is not registered at %(place)s.")
        )
        return ValidityAnswer("no", "danger", text % _words(question), when, reasons, alike)
    ends = [end for permit, push in shown if (end := shown_until(push, permit.after))]
    words = _words(question) | {"time": say_clock(max(ends, default=now), question.tz, question.at)}
    text = (
        _(
            "No: %(plate)s was not registered at %(place)s then, but officers may still have seen it, until %(time)s "
            "at the latest."
        )
        if past
        else _(
            "No: %(plate)s is not registered at %(place)s, but officers may still see it, until %(time)s at the latest."
        )
    )
    still = [_still_reason(permit, push, question) for permit, push in shown[-MAX_REASONS:]]
    return ValidityAnswer("shown", "warning", text % words, when, [*still, *reasons], alike)


def _fits(permit: PermitThen, question: Question) -> bool:
    return permit.location_id == question.location_id and question.region in (None, permit.region)


def _why_not(permit: PermitThen, question: Question) -> str:
    """Say why a permit of this plate does not cover the question; the first reason that alone decides."""
    tz = question.tz
    window = _window(permit, tz)
    if not permit.known:
        return _("only saved afterwards: %(time)s (%(window)s)") % {
            "time": say_time(permit.saved_at, tz),
            "window": window,
        }
    if permit.plate != question.plate:
        return _("its plate was %(plate)s at that time") % {"plate": permit.plate_typed}
    if permit.location_id != question.location_id:
        return _("for another location: %(place)s, %(window)s") % {
            "place": permit.location_name,
            "window": window,
        }
    if not permit.active and permit.cancelled_at:
        return _("cancelled %(time)s; it was for %(window)s") % {
            "time": say_time(permit.cancelled_at, tz),
            "window": window,
        }
    if permit.end <= question.at:
        return _("ended %(time)s") % {"time": say_time(permit.end, tz)}
    if permit.start > question.at:
        return _("only started %(time)s") % {"time": say_time(permit.start, tz)}
    return _("for a plate from another state: %(state)s, %(window)s") % {
        "state": region_label(*permit.region),
        "window": window,
    }


def _window(permit: PermitThen, tz: tzinfo) -> str:
    return f"{say_time(permit.start, tz)} – {say_time(permit.end, tz)}"


def _permit_reason(permit: PermitThen, question: Question) -> ValidityReason:
    parts = [_window(permit, question.tz)]
    if permit.external_id:
        parts.insert(0, permit.external_id)
    parts.append(
        _("saved %(time)s, revision %(number)d")
        % {"time": say_time(permit.saved_at, question.tz), "number": permit.revision}
    )
    if permit.changed_by:
        parts.append(_("by %(who)s") % {"who": permit.changed_by})
    if permit.changed_since:
        parts.append(_("changed since"))
    return ValidityReason(True, _("Permit %(pk)d") % {"pk": permit.pk}, " · ".join(parts), permit.pk)


def _zone_reason(question: Question, zone: ZoneThen | None) -> ValidityReason:
    words = {"place": question.location_name}
    if zone is None:
        return ValidityReason(False, _("Zone"), _("%(place)s had no zone, so nothing could be sent.") % words)
    words |= {"zone": f"{zone.number} · {zone.name}", "time": say_time(zone.since, question.tz)}
    return ValidityReason(True, _("Zone"), _("%(place)s → %(zone)s, since %(time)s") % words)


def _push_reasons(
    permit: PermitThen, accepted: PushThen | None, question: Question, zone: ZoneThen | None
) -> list[ValidityReason]:
    """Say what the vendor had by then: the acceptance that counts, else what it had instead, else the last answer."""
    sessions = living(permit.pushes)
    last_word = accepted or (sessions[-1] if sessions else None)
    if last_word is not None:
        words = {"time": say_clock(last_word.at, question.tz, question.at)}
        if accepted is not None:
            text = _("accepted %(time)s") % words
        else:
            words["what"] = ", ".join(_otherwise(last_word, permit, question, zone))
            text = _("had something different, accepted %(time)s: %(what)s") % words
        reasons = [
            ValidityReason(accepted is not None, question.names.label, text, trace_id=last_word.trace_id)
        ]
        later = [
            push
            for push in permit.pushes
            if push.at > last_word.at and push.result != PushEvent.Result.ACCEPTED
        ]
        return reasons + [_failure(push, question) for push in later[-1:]]
    if permit.pushes:
        last = permit.pushes[-1]
        if last.result == PushEvent.Result.ACCEPTED:
            text = _("removed again %(time)s") % {"time": say_clock(last.at, question.tz, question.at)}
            return [ValidityReason(False, question.names.label, text, trace_id=last.trace_id)]
        return [_failure(last, question)]
    return [ValidityReason(False, question.names.label, _("nothing had been sent yet"))]


def _otherwise(push: PushThen, permit: PermitThen, question: Question, zone: ZoneThen | None) -> list[str]:
    """Say in what a session was not what is asked about."""
    told = []
    if not same_plate(push.plate, question.plate):
        told.append(_("plate %(plate)s") % {"plate": push.plate})
    if not may_be_same_region(permit.region.subdivision, push.subdivision):
        told.append(region_label("", push.subdivision))
    if not is_in(push, zone):
        told.append(_("zone %(zone)s") % {"zone": push.zone_number or push.zone})
    if push.until is not None and push.until <= question.at:
        told.append(_("only until %(time)s") % {"time": say_time(push.until, question.tz)})
    if push.since is not None and push.since > question.at:
        told.append(_("only from %(time)s") % {"time": say_time(push.since, question.tz)})
    return told


def _still_reason(permit: PermitThen, push: PushThen, question: Question) -> ValidityReason:
    """Say that officers may have seen a session that should not have been there, and until when."""
    words = {"time": say_clock(push.at, question.tz, question.at), "zone": push.zone_number or push.zone}
    text = _("had it in zone %(zone)s, accepted %(time)s") % words
    end = shown_until(push, permit.after)
    if end is not None:
        clock = {"time": say_clock(end, question.tz, question.at)}
        taken = end != push.until
        text += ", " + (_("changed or removed %(time)s") if taken else _("until %(time)s")) % clock
    return ValidityReason(True, question.names.label, text, permit.pk, push.trace_id)


def _stand_in_reason(permit: PermitThen, push: PushThen, question: Question) -> ValidityReason:
    words = {"time": say_clock(push.at, question.tz, question.at), "pk": permit.pk}
    text = _("accepted %(time)s for permit %(pk)d, which covered the same plate") % words
    return ValidityReason(True, question.names.label, text, permit.pk, push.trace_id)


def _failure(push: PushThen, question: Question) -> ValidityReason:
    words = {
        "time": say_clock(push.at, question.tz, question.at),
        "reason": fragment(push.error) or push.status or "",
    }
    refused = push.result == PushEvent.Result.REFUSED
    text = _("refused %(time)s: %(reason)s") if refused else _("not reached %(time)s: %(reason)s")
    return ValidityReason(False, question.names.label, text % words, trace_id=push.trace_id)
