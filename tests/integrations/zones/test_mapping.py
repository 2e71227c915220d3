"""Mapping locations to zones, and what is suggested or pointed out beforehand."""

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import Connection, Notice, PermitSync, Ticket, Zone, ZoneMapping
from integrations.notifications import notices
from integrations.zones import mapping
from locations.models import Location
from tests.factories import (
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)


@pytest.fixture
def connection(db: None) -> Connection:
    return ConnectionFactory(live=True)


@pytest.fixture
def zone(connection: Connection) -> Zone:
    return ZoneFactory(connection=connection, number="Z123", name="North Campus Garage")


@pytest.fixture
def location(connection: Connection) -> Location:
    return LocationFactory(company=connection.company, name="North")


# --- Writes -------------------------------------------------------------------------------------------------------


def test_mapping_a_location_makes_its_waiting_permits_due(location: Location, zone: Zone) -> None:
    permit = PermitFactory(location=location)
    assert not permit.permit_syncs.exists()
    assert mapping.map_location(location=location, zone=zone)
    assert permit.permit_syncs.get().state == PermitSync.State.DUE


def test_mapping_keeps_who_did_it_and_when(location: Location, zone: Zone) -> None:
    actor = UserFactory()
    mapping.map_location(location=location, zone=zone, actor=actor)
    row = ZoneMapping.objects.get()
    assert row.mapped_by == actor
    assert row.history.get().history_user == actor


def test_mapping_to_the_same_zone_again_changes_nothing(location: Location, zone: Zone) -> None:
    mapping.map_location(location=location, zone=zone)
    permit = PermitFactory(location=location)
    PermitSync.objects.update(state=PermitSync.State.DONE)
    assert not mapping.map_location(location=location, zone=zone)
    assert permit.permit_syncs.get().state == PermitSync.State.DONE


def test_moving_to_another_zone_marks_every_permit_that_has_not_ended(location: Location, zone: Zone) -> None:
    mapping.map_location(location=location, zone=zone)
    permits = PermitFactory.create_batch(3, location=location)
    PermitSync.objects.update(state=PermitSync.State.DONE)
    mapping.map_location(location=location, zone=ZoneFactory(connection=zone.connection))
    assert {permit.permit_syncs.get().state for permit in permits} == {PermitSync.State.DUE}


def test_a_location_moves_to_another_connection_of_its_company(location: Location, zone: Zone) -> None:
    mapping.map_location(location=location, zone=zone)
    permit = PermitFactory(location=location)
    other = ZoneFactory(connection=ConnectionFactory(company=location.company, live=True))
    PermitSync.objects.update(state=PermitSync.State.DONE)
    mapping.map_location(location=location, zone=other)
    rows = dict(permit.permit_syncs.values_list("connection_id", "state"))
    assert rows == {zone.connection_id: "due", other.connection_id: "due"}


def test_unmapping_marks_what_was_sent_so_that_it_is_withdrawn(location: Location, zone: Zone) -> None:
    mapping.map_location(location=location, zone=zone)
    permit = PermitFactory(location=location)
    PermitSync.objects.update(state=PermitSync.State.DONE)
    assert mapping.map_location(location=location, zone=None)
    assert not ZoneMapping.objects.exists()
    assert permit.permit_syncs.get().state == PermitSync.State.DUE


def test_a_zone_of_another_company_is_refused(location: Location) -> None:
    with pytest.raises(ValidationError, match="another company"):
        mapping.map_location(location=location, zone=ZoneFactory(connection__company=CompanyFactory()))
    assert not ZoneMapping.objects.exists()


def test_a_zone_of_an_ended_connection_is_refused(location: Location, zone: Zone) -> None:
    Connection.objects.update(status=Connection.Status.ENDED)
    with pytest.raises(ValidationError, match="ended"):
        mapping.map_location(location=location, zone=zone)


def test_a_zone_that_went_missing_is_refused_even_if_the_page_still_showed_it(
    location: Location, zone: Zone
) -> None:
    Zone.objects.update(missing_since=timezone.now())
    assert zone.missing_since is None
    with pytest.raises(ValidationError, match="no longer"):
        mapping.map_location(location=location, zone=zone)


def test_many_are_mapped_all_or_none(location: Location, zone: Zone) -> None:
    foreign = ZoneFactory(connection__company=CompanyFactory())
    other = LocationFactory(company=location.company)
    with pytest.raises(ValidationError):
        mapping.map_locations(choices=[(location, zone), (other, foreign)])
    assert not ZoneMapping.objects.exists()
    assert mapping.map_locations(choices=[(location, zone), (other, zone)]) == [location, other]


def test_mapping_is_recorded_on_the_ticket(location: Location, zone: Zone) -> None:
    ticket = Ticket.objects.create(
        company=location.company, connection=zone.connection, subject="Set-up", opened_at=timezone.now()
    )
    mapping.map_location(location=location, zone=zone)
    assert ticket.entries.get().text == "Mapped: North → Z123 · North Campus Garage."


def test_moving_the_last_location_off_a_missing_zone_ends_the_alarm(location: Location, zone: Zone) -> None:
    ZoneMappingFactory(location=location, zone=zone)
    Zone.objects.update(missing_since=timezone.now())
    notices.tell(location.company, "zone_missing", "danger", "Gone", "", mapping.missing_zone_key(zone.pk))
    mapping.map_location(location=location, zone=ZoneFactory(connection=zone.connection))
    assert Notice.objects.get().done_at is not None


# --- Suggestions (pure: nothing is saved) -------------------------------------------------------------------------


def made_zone(number: str, name: str = "", pk: int = 0) -> Zone:
    return Zone(pk=pk or abs(hash((number, name))), number=number, name=name or f"Zone {number}")


def suggest(location: Location, *zones: Zone) -> mapping.Suggestion:
    return mapping.suggest([location], zones)[0]


def test_the_same_number_is_proposed() -> None:
    found = suggest(Location(name="Lot 22"), made_zone("Lot 22"), made_zone("Lot 23"))
    assert found.zone is not None
    assert (found.zone.number, found.why, found.near) == ("Lot 22", "same number", ())


def test_the_same_name_is_proposed() -> None:
    found = suggest(Location(name="Student Center"), made_zone("Lot 22", "Student Center"))
    assert found.zone is not None
    assert found.why == "same name"


def test_the_locations_own_id_may_be_the_number() -> None:
    found = suggest(Location(name="Garage", external_id="0303"), made_zone("0303"), made_zone("303"))
    assert found.zone is not None
    assert found.zone.number == "0303"
    assert [near.words for near in found.near] == ["“303” differs from “0303” only in leading zeros."]


@pytest.mark.parametrize(
    ("name", "number", "words"),
    [
        ("LotB", "LOTB", "“LOTB” differs from “LotB” only in case."),
        ("0303", "303", "“303” differs from “0303” only in leading zeros."),
        ("Lot 22", "Lot22", "“Lot22” differs from “Lot 22” only in spaces."),
        ("Lot 22", "Lot 22 ", "“Lot 22 ” differs from “Lot 22” only in spaces."),
        ("Lot B", "lotb", "“lotb” differs from “Lot B” only in case and in spaces."),
        ("LOT 07", "lot 7", "“lot 7” differs from “LOT 07” only in case and in leading zeros."),
    ],
)
def test_a_near_miss_is_pointed_out_and_never_proposed(name: str, number: str, words: str) -> None:
    found = suggest(Location(name=name), made_zone(number))
    assert found.zone is None
    assert [near.words for near in found.near] == [words]


def test_two_zones_that_fit_are_both_pointed_out_and_none_is_proposed() -> None:
    found = suggest(Location(name="Lot B"), made_zone("1", "Lot B"), made_zone("2", "Lot B"))
    assert found.zone is None
    assert len(found.near) == 2
    assert "Choose one" in found.near[0].words


def test_a_missing_zone_is_not_proposed() -> None:
    gone = made_zone("Lot B")
    gone.missing_since = timezone.now()
    assert suggest(Location(name="Lot B"), gone).zone is None


def test_nothing_alike_is_no_suggestion_at_all() -> None:
    found = suggest(Location(name="Visitor lane"), made_zone("Z123"), made_zone("216"))
    assert (found.zone, found.near) == (None, ())


_texts = st.text(alphabet="aA0 1b", min_size=1, max_size=6)


@given(_texts, st.lists(_texts, max_size=5))
def test_only_what_is_equal_letter_for_letter_is_ever_proposed(name: str, numbers: list[str]) -> None:
    zones = [made_zone(number, pk=pk) for pk, number in enumerate(numbers, start=1)]
    found = suggest(Location(name=name), *zones)
    if found.zone is not None:
        assert name in (found.zone.number, found.zone.name)
    assert all(near.words for near in found.near)


@given(_texts, _texts)
def test_texts_with_no_difference_of_writing_are_equal_or_different_in_more(one: str, other: str) -> None:
    found = mapping.differences(one, other)
    assert found == mapping.differences(other, one)
    assert bool(found) == bool(mapping.nearest(one, [other]))


def test_numbers_that_differ_only_in_case_are_pointed_out_with_the_one_that_was_picked() -> None:
    zones = [made_zone("LotB"), made_zone("LOTB"), made_zone("Z1")]
    twins = mapping.case_twins(zones)
    assert [twin.words(zones[0]) for twin in twins] == [
        "Two zones differ only in case: LotB and LOTB. You picked LotB."
    ]


def test_numbers_that_differ_by_zeros_or_not_at_all_are_pointed_out() -> None:
    zeros = mapping.case_twins([made_zone("0303", "Front"), made_zone("303", "Event")])
    assert zeros[0].words() == "Two zones differ only in leading zeros: 0303 and 303."
    same = [made_zone("12", "North", pk=1), made_zone("12", "South", pk=2)]
    assert mapping.case_twins(same)[0].words(same[1]) == (
        "Two zones have the same number: 12 and 12. You picked 12 · South."
    )
