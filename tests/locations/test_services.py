"""Writes to permits: validated, all or nothing, counted by revision, and signalled to receivers."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from locations import services
from locations.models import Company, Location, Permit
from locations.services import PermitDraft
from locations.signals import permits_changed
from tests.factories import CompanyFactory, LocationFactory, PermitFactory, UserFactory

pytestmark = pytest.mark.django_db
Told = list[tuple[list[int], bool]]


@pytest.fixture
def told() -> Iterator[Told]:
    """What `permits_changed` has said."""
    heard: Told = []

    def listen(sender: Any, permit_ids: list[int], bulk: bool, **_: Any) -> None:
        heard.append((list(permit_ids), bulk))

    permits_changed.connect(listen)
    yield heard
    permits_changed.disconnect(listen)


@pytest.fixture
def location() -> Location:
    location: Location = LocationFactory()
    return location


def draft(location: Location, **values: Any) -> PermitDraft:
    now = timezone.now()
    defaults = {"plate": "abc 123", "subdivision": "US-NC", "start": now, "end": now + timedelta(hours=2)}
    return PermitDraft(location=location, **{**defaults, **values})


# --- Registering --------------------------------------------------------------------------------------------------


def test_a_permit_is_saved_with_what_was_typed_and_what_it_means(location: Location, told: Told) -> None:
    actor = UserFactory()
    permit = services.register_permit(draft=draft(location), actor=actor, source="dashboard")
    permit.refresh_from_db()
    assert (permit.plate_typed, permit.plate) == ("abc 123", "ABC123")
    assert (permit.country, permit.subdivision) == ("US", "US-NC")
    assert (permit.company, permit.revision, permit.source) == (location.company, 1, "dashboard")
    assert permit.created_by == permit.updated_by == actor
    assert permit.history.get().history_user == actor
    assert told == [([permit.pk], False)]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"plate": ""}, "plate"),
        ({"plate": "ÄBC"}, "plate"),
        ({"subdivision": "XX-YY"}, "subdivision"),
        ({"country": "CA"}, "subdivision"),
        ({"end": timezone.now() - timedelta(days=1)}, "end"),
        ({"start": timezone.now().replace(tzinfo=None)}, "start"),
        ({"unit": "x" * 61}, "unit"),
        ({"type": "a\x00b"}, "type"),
        ({"type": "a\x7fb"}, "type"),
        ({"unit": "a\ud800b"}, "unit"),
        ({"space_number": "\n1"}, None),
        ({"external_id": "a\tb"}, "external_id"),
    ],
)
def test_what_cannot_be_saved_is_reported_by_field_and_nothing_is_signalled(
    location: Location, told: Told, values: dict[str, Any], field: str | None
) -> None:
    if field is None:  # spaces around a text are not part of it
        assert services.register_permit(draft=draft(location, **values)).space_number == "1"
        return
    with pytest.raises(ValidationError) as refusal:
        services.register_permit(draft=draft(location, **values))
    assert set(refusal.value.message_dict) == {field}
    assert not Permit.objects.exists()
    assert told == []


def test_all_that_is_wrong_is_said_at_once(location: Location) -> None:
    with pytest.raises(ValidationError) as refusal:
        services.register_permit(draft=draft(location, plate="", subdivision="?"))
    assert set(refusal.value.message_dict) == {"plate", "subdivision"}


def test_an_external_id_is_unique_in_its_company(location: Location) -> None:
    services.register_permit(draft=draft(location, external_id="R-1"))
    services.register_permit(draft=draft(LocationFactory(), external_id="R-1"))
    with pytest.raises(ValidationError, match="this reference"):
        services.register_permit(draft=draft(location, external_id="R-1"))


def test_a_listener_that_fails_undoes_the_save(location: Location) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("could not note it")

    permits_changed.connect(fail)
    try:
        with pytest.raises(RuntimeError):
            services.register_permit(draft=draft(location))
    finally:
        permits_changed.disconnect(fail)
    assert not Permit.objects.exists()


# --- Many at once -------------------------------------------------------------------------------------------------


def test_many_are_saved_in_few_statements_with_their_history(
    location: Location, told: Told, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(40):
        permits = services.register_permits(
            drafts=[draft(location, plate=f"P{number}") for number in range(300)]
        )
    assert Permit.objects.count() == 300
    assert Permit.history.count() == 300
    assert told == [([permit.pk for permit in permits], True)]


def test_one_bad_row_stops_all_and_is_named(location: Location, told: Told) -> None:
    with pytest.raises(ValidationError, match="Row 2: "):
        services.register_permits(drafts=[draft(location), draft(location, plate="?"), draft(location)])
    assert not Permit.objects.exists()
    assert told == []


def test_an_external_id_twice_in_one_go_stops_all(location: Location) -> None:
    with pytest.raises(ValidationError, match="this reference"):
        services.register_permits(
            drafts=[draft(location, external_id="R-1"), draft(location, external_id="R-1")]
        )
    assert not Permit.objects.exists()


def test_many_are_cancelled_once(location: Location, told: Told) -> None:
    permits = PermitFactory.create_batch(3, location=location)
    services.cancel_permit(permit=permits[0])
    told.clear()
    actor = UserFactory()
    assert services.cancel_permits(permits=permits, actor=actor) == 2
    assert told == [([permits[1].pk, permits[2].pk], True)]
    permits[1].refresh_from_db()
    assert (permits[1].status, permits[1].revision, permits[1].updated_by) == ("cancelled", 2, actor)
    assert permits[1].history.first().history_user == actor


def test_many_are_cancelled_and_reinstated_by_few_statements_and_keep_their_history(
    location: Location, told: Told, django_assert_max_num_queries: Any
) -> None:
    permits = services.register_permits(drafts=[draft(location, plate=f"P{n}") for n in range(300)])
    actor = UserFactory()
    with django_assert_max_num_queries(6):
        ended = services.end_permits(permit_ids=[permit.pk for permit in permits], actor=actor)
    assert ended.permit_ids == tuple(permit.pk for permit in permits)
    told.clear()
    with django_assert_max_num_queries(6):
        assert services.reinstate_permits(ended=ended, actor=actor) == 300
    assert [len(ids) for ids, bulk in told if bulk] == [300]
    one = permits[7]
    one.refresh_from_db()
    assert (one.status, one.cancelled_at, one.revision) == ("active", None, 3)
    back, gone, first = one.history.all()
    assert (first.status, gone.status, back.status) == ("active", "cancelled", "active")
    assert (gone.cancelled_at, gone.revision, gone.history_date) == (ended.at, 2, ended.at)
    assert (gone.history_user, gone.history_type, gone.updated_by) == (actor, "~", actor)
    assert (gone.plate, gone.location, gone.start) == (one.plate, location, one.start)


def test_what_was_cancelled_again_in_the_meantime_is_not_reinstated(location: Location) -> None:
    stays, back = PermitFactory.create_batch(2, location=location)
    ended = services.end_permits(permit_ids=[stays.pk, back.pk])
    services.cancel_permit(permit=services.reinstate_permit(permit=stays))
    assert services.reinstate_permits(ended=ended) == 1
    assert Permit.objects.get(status="cancelled") == stays


# --- Changing -----------------------------------------------------------------------------------------------------


def test_a_bulk_write_sends_its_signal_at_its_end(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "BATCH_ROWS", 2)
    permits = [PermitFactory(location=location) for _ in range(5)]
    told: list[tuple[list[int], int]] = []

    def hear(sender: Any, *, permit_ids: list[int], **_: Any) -> None:
        told.append((list(permit_ids), Permit.objects.filter(status="cancelled").count()))

    permits_changed.connect(hear)
    try:
        assert services.cancel_permits(permits=permits) == 5
    finally:
        permits_changed.disconnect(hear)
    # Rows stay locked from the signal to the commit, so all rows are written before the first signal.
    ids = [permit.pk for permit in permits]
    assert told == [(ids[:2], 5), (ids[2:4], 5), (ids[4:], 5)]


def test_a_change_raises_the_revision_and_is_signalled(location: Location, told: Told) -> None:
    permit = PermitFactory(location=location)
    told.clear()
    changed = services.change_permit(permit=permit, plate="xyz 9", end=permit.end + timedelta(hours=1))
    assert (changed.plate, changed.plate_typed, changed.revision) == ("XYZ9", "xyz 9", 2)
    assert told == [([permit.pk], False)]
    assert permit.history.count() == 2


def test_nothing_is_written_where_nothing_changes(location: Location, told: Told) -> None:
    permit = PermitFactory(location=location, plate="ABC123")
    told.clear()
    assert services.change_permit(permit=permit, plate="ABC123").revision == 1
    assert told == []
    assert permit.history.count() == 1


def test_a_change_builds_on_what_is_saved_and_not_on_what_was_loaded(location: Location) -> None:
    permit = PermitFactory(location=location)
    stale = Permit.objects.get(pk=permit.pk)
    services.change_permit(permit=permit, unit="A-1")
    changed = services.change_permit(permit=stale, type="Staff")
    assert (changed.unit, changed.type, changed.revision) == ("A-1", "Staff", 3)


def test_an_end_in_the_past_ends_a_permit_early(location: Location) -> None:
    permit = PermitFactory(location=location)
    end = timezone.now() - timedelta(minutes=1)
    assert services.change_permit(permit=permit, end=end).end == end


def test_a_permit_stays_in_its_company(location: Location) -> None:
    with pytest.raises(ValidationError, match="another company"):
        services.change_permit(permit=PermitFactory(location=location), location=LocationFactory())


def test_a_cancelled_permit_is_not_changed_until_it_is_reinstated(location: Location, told: Told) -> None:
    permit = services.cancel_permit(permit=PermitFactory(location=location))
    assert permit.cancelled_at is not None
    with pytest.raises(ValidationError, match="cancelled"):
        services.change_permit(permit=permit, unit="A-1")
    told.clear()
    back = services.reinstate_permit(permit=permit)
    assert (back.status, back.cancelled_at, back.revision) == ("active", None, 3)
    assert told == [([permit.pk], False)]
    with pytest.raises(ValidationError, match="not cancelled"):
        services.reinstate_permit(permit=back)


def test_cancelling_twice_is_cancelling_once(location: Location, told: Told) -> None:
    permit = services.cancel_permit(permit=PermitFactory(location=location))
    told.clear()
    again = services.cancel_permit(permit=permit)
    assert (again.cancelled_at, again.revision) == (permit.cancelled_at, 2)
    assert told == []


# --- Companies and locations --------------------------------------------------------------------------------------


def test_a_company_and_a_location_are_checked_and_keep_who_saved_them() -> None:
    actor = UserFactory()
    company = services.save_company(
        company=Company(name="Town", slug="town", offstreet_id="OS-1"), actor=actor
    )
    assert company.history.get().history_user == actor
    location = services.save_location(location=Location(company=company, name="Lot B"), actor=actor)
    assert location.history.get().history_user == actor
    with pytest.raises(ValidationError):
        services.save_company(company=Company(name="Town", slug="To wn", offstreet_id="OS-2"))
    with pytest.raises(ValidationError, match="time zone"):
        services.save_location(location=Location(company=company, name="Lot C", timezone="Mars/Base"))
    with pytest.raises(ValidationError):
        services.save_location(location=Location(company=company, name="Lot B"))


def test_two_locations_may_differ_in_case_alone() -> None:
    company = CompanyFactory()
    services.save_location(location=Location(company=company, name="Lot B"))
    services.save_location(location=Location(company=company, name="LOT B"))
    assert company.locations.count() == 2
