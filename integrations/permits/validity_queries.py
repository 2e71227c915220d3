"""The facts behind "is it valid?": permits as they stood, what the vendor had accepted, and the zone, at one moment.

What it decides about bounds: a plate may have been registered hundreds of times (a daily visitor), so the permits nearest to
the moment are read, those that covered it first. Of their pushes all acceptances count, however many tries came to nothing
beside them. A fixed number of queries, through the history's index on company and plate.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, DurationField, ExpressionWrapper, F, Min, Q, Value, When

from integrations.models import PushEvent, Zone, ZoneMapping
from integrations.permits.validity_snapshots import PermitThen, PushThen, Question, ZoneThen, living
from integrations.vendors.naming import zone_label
from locations.models import Company, Permit
from locations.plates import look_alikes
from locations.regions import Region

MAX_PERMITS = 60
MAX_ACCEPTED = 2_000
MAX_TRIES = 500


def gather(company: Company, question: Question) -> tuple[list[PermitThen], ZoneThen | None]:
    """Read the permits of the plate and its look-alikes as they stood, and the location's zone then; seven queries.

    A permit that had another plate by then is among them where the vendor had accepted it with one of these.
    """
    plates = [question.plate, *look_alikes(question.plate)]
    ids = _nearest(company, question, plates)
    versions: dict[int, list[Any]] = {}
    for version in (
        Permit.history.filter(id__in=ids)
        .select_related("history_user", "location")
        .order_by("history_date", "history_id")
    ):
        versions.setdefault(version.id, []).append(version)
    by_then, since = _pushes(ids, question.at)
    sent_to = {event.zone for events in by_then.values() for event in events if event.zone}
    zone, numbers = _zones(company, question, sent_to)
    found = []
    for pk in sorted(versions):
        pushes = [_push_then(event, numbers) for event in by_then.get(pk, [])]
        after = [_push_then(event, numbers) for event in since.get(pk, [])]
        permit = _then(versions[pk], pushes, after, question)
        if permit.plate in plates or any(push.plate in plates for push in living(pushes)):
            found.append(permit)
    return found, zone


def _nearest(company: Company, question: Question, plates: Sequence[str]) -> list[int]:
    """Return the permits whose window covered the moment or came nearest to it; look-alikes only where it covered it."""
    at = Value(question.at)
    covers = Q(start__lte=question.at, end__gt=question.at)
    span: DurationField[Any, Any] = DurationField()
    away = Case(
        When(start__gt=question.at, then=ExpressionWrapper(F("start") - at, output_field=span)),
        When(end__lte=question.at, then=ExpressionWrapper(at - F("end"), output_field=span)),
        default=Value(timedelta(0), output_field=span),
        output_field=span,
    )
    found = Permit.history.filter(
        Q(plate=question.plate) | Q(covers, plate__in=plates), company_id=company.pk, is_test=False
    )
    ordered = found.order_by().values("id").annotate(away=Min(away)).order_by("away", "-id")
    return [row["id"] for row in ordered[:MAX_PERMITS]]


def _then(
    versions: Sequence[Any],
    pushes: Sequence[PushThen],
    after: Sequence[PushThen],
    question: Question,
) -> PermitThen:
    by_then = [version for version in versions if version.history_date <= question.at]
    version = by_then[-1] if by_then else versions[0]
    return PermitThen(
        pk=version.id,
        plate=version.plate,
        plate_typed=version.plate_typed,
        region=Region(version.country, version.subdivision),
        location_id=version.location_id,
        location_name=version.location.name,
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
        after=after,
    )


def _pushes(
    permit_ids: Sequence[int], at: datetime
) -> tuple[dict[int, list[PushEvent]], dict[int, list[PushEvent]]]:
    """Return the events of these permits that were answered by then, in order, and the acceptances since."""
    events = PushEvent.objects.filter(permit_sync__permit__in=permit_ids).select_related(
        "push", "permit_sync"
    )
    accepted = events.filter(result=PushEvent.Result.ACCEPTED)
    tries = events.exclude(result=PushEvent.Result.ACCEPTED)
    by_then = [
        *accepted.filter(push__answered_at__lte=at).order_by("-id")[:MAX_ACCEPTED],
        *tries.filter(push__answered_at__lte=at).order_by("-id")[:MAX_TRIES],
    ]
    since = accepted.filter(push__answered_at__gt=at).order_by("id")[:MAX_ACCEPTED]
    return _by_permit(by_then), _by_permit(since)


def _by_permit(events: Iterable[PushEvent]) -> dict[int, list[PushEvent]]:
    found: dict[int, list[PushEvent]] = {}
    for event in sorted(events, key=lambda event: event.pk):
        found.setdefault(event.permit_sync.permit_id, []).append(event)
    return found


def _push_then(event: PushEvent, numbers: Mapping[str, str]) -> PushThen:
    push = event.push
    return PushThen(
        at=push.answered_at,
        kind=event.kind,
        session_id=event.session_id,
        result=event.result,
        trace_id=push.trace_id,
        status=push.status,
        error=event.error,
        plate=event.plate,
        subdivision=event.subdivision,
        zone=event.zone,
        zone_number=zone_label(numbers, event.zone) if event.zone else "",
        since=event.since,
        until=event.until,
    )


def _zones(
    company: Company, question: Question, remote_ids: Collection[str]
) -> tuple[ZoneThen | None, dict[str, str]]:
    """Return the zone of the place then, and the numbers of zones by the vendor's ids; two queries."""
    last = (
        ZoneMapping.history.filter(location_id=question.location_id, history_date__lte=question.at)
        .order_by("-history_date", "-history_id")
        .first()
    )
    mapped = None if last is None or last.history_type == "-" else last.zone_id
    wanted = Q(connection__in=company.connections.all(), remote_id__in=remote_ids)
    zones = list(Zone.objects.filter(wanted | Q(pk=mapped)))
    then = next((zone for zone in zones if zone.pk == mapped), None)
    numbers = {zone.remote_id: zone.number for zone in zones}
    if last is None or then is None:
        return None, numbers
    return ZoneThen(then.number, then.name, last.history_date, then.remote_id), numbers
