"""Was this plate valid there, then? The answer to "why was this car ticketed?".

What it decides: a question is answered from what was *known at that time*: the revision of the permit, the location's
zone and the pushes that Passport had accepted by then. A permit that was saved later does not make an earlier ticket
wrong, and one that was changed since is judged as it stood.

`decide` is pure. `gather` reads the facts by a fixed number of queries, through the history's index on company and plate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from django.utils.translation import gettext as _

from integrations.models import PushEvent, Registration, Zone, ZoneMapping
from integrations.states import fragment
from locations.models import Company, Location, Permit
from locations.plates import look_alikes, looks_like
from locations.regions import region_label
from locations.times import say_both, say_clock, say_time

MAX_PERMITS = 200
MAX_EVENTS = 1_000
MAX_REASONS = 8


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a normalised plate, a state or none, a place, a moment (aware)."""

    plate: str
    subdivision: str
    location_id: int
    location_name: str
    at: datetime
    tz: tzinfo


@dataclass(frozen=True, slots=True)
class PushThen:
    """One event for a permit, as it was answered by the time in question."""

    at: datetime
    kind: str
    session_id: str
    result: str
    trace_id: str = ""
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class PermitThen:
    """A permit as it stood at the time in question; `known` is False where it was saved only afterwards.

    Of a permit that was saved afterwards the values are those it began with.
    """

    pk: int
    plate: str
    plate_typed: str
    subdivision: str
    location_id: int
    location_name: str
    start: datetime
    end: datetime
    active: bool
    saved_at: datetime
    revision: int
    known: bool = True
    cancelled_at: datetime | None = None
    external_id: str = ""
    changed_by: str = ""
    changed_since: bool = False
    pushes: Sequence[PushThen] = ()


@dataclass(frozen=True, slots=True)
class ZoneThen:
    """The zone to which the location sent at the time in question."""

    number: str
    name: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact behind the answer: whether it speaks for the plate, what it is about, and what it says."""

    good: bool
    about: str
    text: str
    permit: int | None = None
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer: "yes", "unseen" (registered, but Passport did not have it) or "no"."""

    key: str
    tone: str
    sentence: str
    detail: str
    reasons: Sequence[Reason] = ()
    alike: Sequence[PermitThen] = ()

    @property
    def icon(self) -> str:
        """The icon of the answer."""
        return {"yes": "check", "unseen": "eye-off"}.get(self.key, "x")


def holds(permit: PermitThen, at: datetime) -> bool:
    """Whether a permit, as it stood, covered the moment."""
    return permit.known and permit.active and permit.start <= at < permit.end


def had_it(pushes: Iterable[PushThen]) -> PushThen | None:
    """Return the acceptance by which the vendor had the permit after these pushes (in order), or None.

    A session lives from its accepted start to its accepted stop; of a session that was extended the last word counts.
    """
    living: dict[str, PushThen] = {}
    for push in pushes:
        if push.result != PushEvent.Result.ACCEPTED:
            continue
        if push.kind == "stopped":
            living.pop(push.session_id, None)
        else:
            living[push.session_id] = push
    return max(living.values(), key=lambda push: push.at, default=None)


def decide(
    question: Question, permits: Sequence[PermitThen], zone: ZoneThen | None, now: datetime
) -> Verdict:
    """Answer the question from the facts; pure."""
    same = [permit for permit in permits if permit.plate == question.plate]
    alike = [
        permit
        for permit in permits
        if looks_like(permit.plate, question.plate) and holds(permit, question.at)
    ]
    matching = [permit for permit in same if holds(permit, question.at) and _fits(permit, question)]
    words = {
        "plate": question.plate,
        "place": question.location_name,
        "time": say_both(question.at, question.tz),
    }
    past = question.at < now
    if not matching:
        text = (
            _("No: %(plate)s was not registered at %(place)s then.")
            if past
            else _("No: %(plate)s is not registered at %(place)s.")
        )
        others = sorted(same, key=lambda permit: abs((permit.start - question.at).total_seconds()))[
            :MAX_REASONS
        ]
        reasons = [
            Reason(False, _("Permit %(pk)d") % {"pk": permit.pk}, _why_not(permit, question), permit.pk)
            for permit in others
        ]
        if not reasons:
            reasons = [
                Reason(False, _("Permits"), _("This plate was never registered with this company by then."))
            ]
        return Verdict("no", "danger", text % words, words["time"], reasons, alike)
    best = max(matching, key=lambda permit: (had_it(permit.pushes) is not None, permit.saved_at))
    accepted = had_it(best.pushes)
    reasons = [
        _permit_reason(best, question),
        _zone_reason(question, zone),
        *_push_reasons(best, accepted, question),
    ]
    if accepted is not None and zone is not None:
        text = (
            _("Yes: %(plate)s was valid at %(place)s, and Passport had it.")
            if past
            else _("Yes: %(plate)s is valid at %(place)s, and Passport has it.")
        )
        return Verdict("yes", "success", text % words, words["time"], reasons, alike)
    text = (
        _("%(plate)s was registered at %(place)s, but officers could not see it.")
        if past
        else _("%(plate)s is registered at %(place)s, but officers cannot see it yet.")
    )
    return Verdict("unseen", "warning", text % words, words["time"], reasons, alike)


def _fits(permit: PermitThen, question: Question) -> bool:
    return permit.location_id == question.location_id and question.subdivision in ("", permit.subdivision)


def _why_not(permit: PermitThen, question: Question) -> str:
    """Say why a permit of this plate does not cover the question; the first reason that alone decides."""
    tz = question.tz
    window = _window(permit, tz)
    if not permit.known:
        return _("saved only afterwards: %(time)s (%(window)s)") % {
            "time": say_time(permit.saved_at, tz),
            "window": window,
        }
    if permit.location_id != question.location_id:
        return _("for another place: %(place)s, %(window)s") % {
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
        return _("began only %(time)s") % {"time": say_time(permit.start, tz)}
    return _("for a plate of another state: %(state)s, %(window)s") % {
        "state": region_label(permit.subdivision),
        "window": window,
    }


def _window(permit: PermitThen, tz: tzinfo) -> str:
    return f"{say_time(permit.start, tz)} – {say_time(permit.end, tz)}"


def _permit_reason(permit: PermitThen, question: Question) -> Reason:
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
    return Reason(True, _("Permit %(pk)d") % {"pk": permit.pk}, " · ".join(parts), permit.pk)


def _zone_reason(question: Question, zone: ZoneThen | None) -> Reason:
    words = {"place": question.location_name}
    if zone is None:
        return Reason(False, _("Zone"), _("%(place)s had no zone, so nothing could be sent.") % words)
    words |= {"zone": f"{zone.number} · {zone.name}", "time": say_time(zone.since, question.tz)}
    return Reason(True, _("Zone"), _("%(place)s → %(zone)s, since %(time)s") % words)


def _push_reasons(permit: PermitThen, accepted: PushThen | None, question: Question) -> list[Reason]:
    """Say what Passport had by then: the acceptance that counts, else the last that came of it."""
    if accepted is not None:
        text = _("accepted %(time)s") % {"time": say_clock(accepted.at, question.tz, question.at)}
        reasons = [Reason(True, _("Passport"), text, trace_id=accepted.trace_id)]
        later = [
            push
            for push in permit.pushes
            if push.at > accepted.at and push.result != PushEvent.Result.ACCEPTED
        ]
        return reasons + [_failure(push, question) for push in later[-1:]]
    if permit.pushes:
        last = permit.pushes[-1]
        if last.result == PushEvent.Result.ACCEPTED:
            text = _("taken away again %(time)s") % {"time": say_clock(last.at, question.tz, question.at)}
            return [Reason(False, _("Passport"), text, trace_id=last.trace_id)]
        return [_failure(last, question)]
    return [Reason(False, _("Passport"), _("nothing had been sent by then"))]


def _failure(push: PushThen, question: Question) -> Reason:
    words = {
        "time": say_clock(push.at, question.tz, question.at),
        "reason": fragment(push.error) or push.status or "",
    }
    refused = push.result == PushEvent.Result.REFUSED
    text = _("refused %(time)s: %(reason)s") if refused else _("not reached %(time)s: %(reason)s")
    return Reason(False, _("Passport"), text % words, trace_id=push.trace_id)


# --- Reading the facts -----------------------------------------------------------------------------------------------


def gather(company: Company, question: Question) -> tuple[list[PermitThen], ZoneThen | None]:
    """Read the permits of the plate and its look-alikes as they stood, and the location's zone then; six queries."""
    plates = [question.plate, *look_alikes(question.plate)]
    history = Permit.history.filter(company_id=company.pk, plate__in=plates, is_test=False)
    ids = list(history.order_by().values_list("id", flat=True).distinct()[:MAX_PERMITS])
    versions: dict[int, list[Any]] = {}
    for version in (
        Permit.history.filter(id__in=ids)
        .select_related("history_user")
        .order_by("history_date", "history_id")
    ):
        versions.setdefault(version.id, []).append(version)
    names = dict(
        Location.objects.filter(
            pk__in={version.location_id for found in versions.values() for version in found}
        ).values_list("pk", "name")
    )
    pushes = _pushes_by_then(ids, question.at)
    found = [_then(pk, versions[pk], names, pushes.get(pk, []), question) for pk in sorted(versions)]
    return [permit for permit in found if permit.plate in plates], _zone_then(question)


def _then(
    pk: int, versions: Sequence[Any], names: dict[int, str], pushes: Sequence[PushThen], question: Question
) -> PermitThen:
    by_then = [version for version in versions if version.history_date <= question.at]
    version = by_then[-1] if by_then else versions[0]
    return PermitThen(
        pk=pk,
        plate=version.plate,
        plate_typed=version.plate_typed,
        subdivision=version.subdivision,
        location_id=version.location_id,
        location_name=names.get(version.location_id, ""),
        start=version.start,
        end=version.end,
        active=version.status == Permit.Status.ACTIVE,
        cancelled_at=version.cancelled_at,
        saved_at=version.history_date,
        revision=version.revision,
        known=bool(by_then),
        external_id=version.external_id,
        changed_by=version.history_user.label if version.history_user else "",
        changed_since=bool(by_then) and version is not versions[-1],
        pushes=pushes,
    )


def _pushes_by_then(permit_ids: Sequence[int], at: datetime) -> dict[int, list[PushThen]]:
    registrations = dict(Registration.objects.filter(permit__in=permit_ids).values_list("pk", "permit_id"))
    events = (
        PushEvent.objects.filter(registration__in=list(registrations), push__answered_at__lte=at)
        .select_related("push")
        .order_by("-id")[:MAX_EVENTS]
    )
    found: dict[int, list[PushThen]] = {}
    for event in reversed(list(events)):
        push = event.push
        found.setdefault(registrations[event.registration_id], []).append(
            PushThen(
                at=push.answered_at,
                kind=event.kind,
                session_id=event.session_id,
                result=event.result,
                trace_id=push.trace_id,
                status=push.status,
                error=event.error,
            )
        )
    return found


def _zone_then(question: Question) -> ZoneThen | None:
    last = (
        ZoneMapping.history.filter(location_id=question.location_id, history_date__lte=question.at)
        .order_by("-history_date", "-history_id")
        .first()
    )
    if last is None or last.history_type == "-":
        return None
    zone = Zone.objects.filter(pk=last.zone_id).first()
    return ZoneThen(zone.number, zone.name, last.history_date) if zone else None
