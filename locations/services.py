"""All writes to permits. Each one checks, saves, raises the revision and tells `permits_changed` in one transaction.

Whoever saves a permit (a page, the admin, a command, a script) calls these; so a registration cannot be saved without
being noted for delivery. Writes are all or nothing: in a mass registration one bad row stops all, with its number.

Locks, in this order: permits (without their keys), then their locations (shared), then what `permits_changed` writes; in
each, by id. The shared lock makes a save and a move of its location to another zone wait for one another (`hold_locations`):
whichever commits second sees the other. It is taken last, right before telling, so that a long import holds up nobody for
long; and of a mass write everything is told at its end, since what was told of stays locked until the commit.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db import connection as db
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from simple_history.utils import bulk_create_with_history

from locations.bulk_update import bulk_update_permits
from locations.models import Company, Location, Permit, User
from locations.plates import clean_plate
from locations.regions import check_region
from locations.signals import permits_changed
from locations.text import clean_line, tidy, twin_key

BATCH_ROWS = 5_000
# Times are sent in milliseconds (docs/passport-api.md, F1): a shorter window would be an empty one.
SHORTEST_WINDOW = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class PermitDraft:
    """What a permit is to be. Times are aware; `subdivision` is ISO 3166-2 (`US-NC`).

    An empty `country` is the subdivision's. A plate that no state issued has a `country` alone.
    """

    location: Location
    plate: str
    subdivision: str
    start: datetime
    end: datetime
    country: str = ""
    space_number: str = ""
    type: str = ""
    unit: str = ""
    external_id: str = ""
    is_test: bool = field(default=False, kw_only=True)


def check_draft(draft: PermitDraft) -> dict[str, Any]:
    """Return the permit's columns, or raise `ValidationError` keyed by field."""
    errors: dict[str, list[str]] = {}

    def attempt(name: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except ValidationError as error:
            errors[name] = error.messages
            return None

    plate = attempt("plate", lambda: clean_plate(draft.plate))
    country = draft.country or draft.subdivision[:2]
    region = attempt("subdivision", lambda: check_region(country, draft.subdivision))
    for name in ("start", "end"):
        if timezone.is_naive(getattr(draft, name)):
            errors[name] = [_("This time has no time zone.")]
    if not errors.keys() & {"start", "end"}:
        if draft.start >= draft.end:
            errors["end"] = [_("“Until” must be later than “From”.")]
        elif draft.end - draft.start < SHORTEST_WINDOW:
            errors["end"] = [_("“Until” must be at least a millisecond later than “From”.")]
    texts: dict[str, str] = {}
    for name in ("space_number", "type", "unit", "external_id"):
        texts[name] = text = attempt(name, partial(clean_line, getattr(draft, name))) or ""
        longest = getattr(Permit._meta.get_field(name), "max_length", None) or 0
        if len(text) > longest:
            errors[name] = [_("At most %(most)d characters.") % {"most": longest}]
    if errors:
        raise ValidationError(errors)
    return {
        "location": draft.location,
        "company_id": draft.location.company_id,
        "plate_typed": tidy(draft.plate)[:40],
        "plate": plate,
        "country": region.country,
        "subdivision": region.subdivision,
        "start": draft.start,
        "end": draft.end,
        "is_test": draft.is_test,
        **texts,
    }


def register_permit(
    *, draft: PermitDraft, actor: User | None = None, source: str = Permit.Source.SHELL
) -> Permit:
    """Save one new permit; raise `ValidationError` keyed by field."""
    now = timezone.now()
    permit = Permit(
        **check_draft(draft),
        source=source,
        created_at=now,
        updated_at=now,
        created_by=actor,
        updated_by=actor,
    )
    with transaction.atomic():
        _save(permit, actor)
        _tell([permit.pk], [permit.location_id], bulk=False)
    return permit


def register_permits(
    *, drafts: Sequence[PermitDraft], actor: User | None = None, source: str = Permit.Source.SHELL
) -> list[Permit]:
    """Save many new permits, all or none; raise `ValidationError` that names the first bad row (counted from 1)."""
    now = timezone.now()
    permits = []
    for number, draft in enumerate(drafts, start=1):
        try:
            columns = check_draft(draft)
        except ValidationError as error:
            raise ValidationError(
                _("Row %(number)d: %(reason)s"), params={"number": number, "reason": " ".join(error.messages)}
            ) from error
        permits.append(
            Permit(
                **columns, source=source, created_at=now, updated_at=now, created_by=actor, updated_by=actor
            )
        )
    # The unique index makes two who save the same references wait for each other. By their order they never do so in a
    # circle; rows without one keep theirs.
    in_order = sorted(permits, key=lambda permit: (permit.company_id, permit.external_id))
    with transaction.atomic():
        try:
            saved: list[Permit] = bulk_create_with_history(
                in_order, Permit, batch_size=BATCH_ROWS, default_user=actor, default_date=now
            )
        except IntegrityError as error:
            raise _explained(error) from error
        places = {permit.location_id for permit in saved}
        _tell([permit.pk for permit in saved], places, bulk=len(saved) > 1)
    return permits


def change_permit(
    *,
    permit: Permit,
    actor: User | None = None,
    source: str = Permit.Source.SHELL,
    revision: int | None = None,
    **changes: Any,
) -> Permit:
    """Change some of a permit's values; raise `ValidationError` keyed by field.

    `changes` are `PermitDraft`'s fields. Nothing is written where nothing changes. An `end` in the past ends it early.
    `source` is kept with the revision. With `revision`, a permit that has another one by now is left alone (code "stale"):
    what somebody else changed meanwhile is not overwritten unseen.
    """
    with transaction.atomic():
        permit = _locked(permit.pk)
        if revision is not None and permit.revision != revision:
            raise ValidationError(_("Someone else has changed this permit in the meantime."), code="stale")
        if permit.status == Permit.Status.CANCELLED:
            raise ValidationError(
                _("This permit is cancelled. Reinstate it before you change it."), code="cancelled"
            )
        if "location" in changes and changes["location"].company_id != permit.company_id:
            raise ValidationError({"location": [_("That location belongs to another company.")]})
        draft = PermitDraft(
            location=permit.location,
            plate=permit.plate_typed,
            country=permit.country if "subdivision" not in changes else "",
            subdivision=permit.subdivision,
            start=permit.start,
            end=permit.end,
            space_number=permit.space_number,
            type=permit.type,
            unit=permit.unit,
            external_id=permit.external_id,
            is_test=permit.is_test,
        )
        columns = check_draft(replace(draft, **changes))
        different = {name: value for name, value in columns.items() if getattr(permit, name) != value}
        if not different:
            return permit
        before = permit.location_id
        for name, value in different.items():
            setattr(permit, name, value)
        _raise_revision(permit, actor)
        permit._change_reason = source  # type: ignore[attr-defined]
        _save(permit, actor)
        _tell([permit.pk], [before, permit.location_id], bulk=False)
    return permit


def cancel_permit(*, permit: Permit, actor: User | None = None) -> Permit:
    """End a permit at once; a cancelled one stays as it is."""
    with transaction.atomic():
        permit = _locked(permit.pk)
        if permit.status == Permit.Status.ACTIVE:
            permit.status, permit.cancelled_at = Permit.Status.CANCELLED, timezone.now()
            _raise_revision(permit, actor)
            _save(permit, actor)
            _tell([permit.pk], [permit.location_id], bulk=False)
    return permit


@dataclass(frozen=True, slots=True)
class Ended:
    """Permits that were cancelled in one go, and the moment at which all of them were."""

    permit_ids: tuple[int, ...]
    at: datetime


def cancel_permits(*, permits: Iterable[Permit], actor: User | None = None) -> int:
    """End many permits at once, all or none; return how many of them were still active."""
    return len(end_permits(permit_ids=[permit.pk for permit in permits], actor=actor).permit_ids)


def end_permits(*, permit_ids: Iterable[int], actor: User | None = None) -> Ended:
    """End many permits at once, all or none; return those that were still active, for `reinstate_permits`."""
    now, ids = timezone.now(), sorted(set(permit_ids))
    columns = {"status": Permit.Status.CANCELLED, "cancelled_at": now}
    done = _change_many(ids, {"status": Permit.Status.ACTIVE}, columns, actor, now)
    return Ended(tuple(done), now)


def reinstate_permits(*, ended: Ended, actor: User | None = None) -> int:
    """Undo a cancellation of many, all or none; return how many came back.

    One that was reinstated meanwhile, or cancelled once more, is left as it is.
    """
    where = {"status": Permit.Status.CANCELLED, "cancelled_at": ended.at}
    columns = {"status": Permit.Status.ACTIVE, "cancelled_at": None}
    return len(_change_many(ended.permit_ids, where, columns, actor, timezone.now()))


def _change_many(
    ids: Sequence[int],
    where: Mapping[str, Any],
    columns: Mapping[str, Any],
    actor: User | None,
    now: datetime,
) -> list[int]:
    """Set `columns` in those of these permits that are as `where` says; return which that were."""
    done: list[int] = []
    places: set[int] = set()
    with transaction.atomic():
        for begin in range(0, len(ids), BATCH_ROWS):
            some = Permit.objects.filter(pk__in=ids[begin : begin + BATCH_ROWS], **where)
            # Locked in one order, so that two who change the same ones wait for each other.
            held = dict(some.select_for_update(no_key=True).order_by("pk").values_list("pk", "location_id"))
            if held:
                bulk_update_permits(list(held), now=now, actor=actor, **columns)
                done += held
                places |= set(held.values())
        _tell(done, places, bulk=len(ids) > 1)
    return done


def reinstate_permit(*, permit: Permit, actor: User | None = None) -> Permit:
    """Undo a cancellation; raise `ValidationError` if the permit was not cancelled."""
    with transaction.atomic():
        permit = _locked(permit.pk)
        if permit.status != Permit.Status.CANCELLED:
            raise ValidationError(_("This permit is not cancelled."), code="not_cancelled")
        permit.status, permit.cancelled_at = Permit.Status.ACTIVE, None
        _raise_revision(permit, actor)
        _save(permit, actor)
        _tell([permit.pk], [permit.location_id], bulk=False)
    return permit


def save_company(*, company: Company, actor: User | None = None) -> Company:
    """Save a company after its checks; raise `ValidationError`."""
    _save_checked(company, actor)
    return company


def save_location(*, location: Location, actor: User | None = None) -> Location:
    """Save a location after its checks; raise `ValidationError`."""
    _save_checked(location, actor)
    return location


def twins_of(row: Company | Location) -> list[str]:
    """Return the names of other companies, or of the company's other locations, that could be taken for this row's.

    They differ only in case, in blanks or in what nobody sees. They may be meant, so they are pointed out and not refused.
    """
    others: QuerySet[Any] = (
        Company.objects.all() if isinstance(row, Company) else Location.objects.filter(company=row.company_id)
    )
    key = twin_key(row.name)
    names = others.exclude(pk=row.pk).order_by("name").values_list("name", flat=True)
    return [name for name in names if twin_key(name) == key]


def twins_sentence(row: Company | Location) -> str:
    """Return what to say of `twins_of` a row that was saved; empty where there are none."""
    names = twins_of(row)
    if not names:
        return ""
    words = {"name": row.name, "other": names[0]}
    if isinstance(row, Company):
        return _("“%(name)s” and “%(other)s” differ only in case or blanks. Are they two companies?") % words
    return _("“%(name)s” and “%(other)s” differ only in case or blanks. Are they two places?") % words


def _save_checked(row: Company | Location, actor: User | None) -> None:
    row.full_clean()
    row._history_user = actor  # type: ignore[union-attr]
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        # Somebody took the name between the check and the save: the check says so now, beside the field.
        row.full_clean()
        raise


def lock_locations(location_ids: Iterable[int], *, alone: bool = False) -> None:
    """Make saves of these locations' permits and changes of where they send to wait for one another until the commit.

    Whoever saves shares the locations with all others who save; whoever moves them to another zone has them `alone`.
    Either side takes the lock before it reads what the other writes: `permits_changed` reads the zone, the move reads the
    permits. SQLite has one writer at a time and needs none of this.
    """
    ids = sorted(set(location_ids))
    if db.vendor != "postgresql" or not ids:
        return
    # A foreign key takes the same shared lock, but only at the commit, when the zone has long been read.
    rows = "SELECT 1 FROM locations_location WHERE id = ANY(%s) ORDER BY id FOR "
    with db.cursor() as cursor:
        cursor.execute(rows + ("UPDATE" if alone else "KEY SHARE"), [ids])


def _locked(pk: int) -> Permit:
    # Without its key: registrations that refer to the permit are written meanwhile.
    rows = Permit.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("location").get(pk=pk)


def _raise_revision(permit: Permit, actor: User | None) -> None:
    permit.revision += 1
    permit.updated_at, permit.updated_by = timezone.now(), actor


def _save(permit: Permit, actor: User | None) -> None:
    permit._history_user = actor  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            permit.save()
    except IntegrityError as error:
        raise _explained(error) from error


def _explained(error: IntegrityError) -> ValidationError:
    """Return the sentence for a constraint that a person can run into."""
    if "external_id" in str(error):
        return ValidationError({"external_id": [_("Another permit of this company has this reference.")]})
    raise error


def _tell(permit_ids: Sequence[int], location_ids: Iterable[int], *, bulk: bool) -> None:
    lock_locations(location_ids)
    for begin in range(0, len(permit_ids), BATCH_ROWS):
        permits_changed.send(Permit, permit_ids=permit_ids[begin : begin + BATCH_ROWS], bulk=bulk)
