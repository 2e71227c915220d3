"""Moving a location's permits, or taking them out, asks the person first, with how many and which, and can be undone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import PermitSync, ZoneMapping
from integrations.zones import mapping
from locations.models import Location, Permit
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    PermitFactory,
    ZoneFactory,
    ZoneMappingFactory,
)
from tests.pages import HTMX, World, count_queries, text_of

pytestmark = pytest.mark.django_db
MANY = 30


def held(world: World, name: str, number: str, count: int = MANY) -> Location:
    """A mapped location with so many permits, all of which Passport has."""
    location = world.location(name, world.zone(number))
    permits = [PermitFactory(location=location) for _ in range(count)]
    until = timezone.now() + timedelta(days=1)
    PermitSync.objects.filter(permit__in=permits).update(
        state="done", remote_state={"session_id": "x"}, remote_until=until
    )
    return location


def zone_of(location: Location) -> str:
    found = ZoneMapping.objects.filter(location=location).first()
    return found.zone.number if found else ""


def undo(world: World) -> str:
    return text_of(world.operator.post(world.url("mapping_undo"), follow=True))


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["a form", "a row"])
def test_one_location_is_asked_about_and_then_mapped(world: World, headers: dict[str, str]) -> None:
    location, wanted = held(world, "Lot", "LotB", 58), world.zone("LOTB")
    url = world.url("location_map", location.pk)
    answer = world.operator.post(url, {"zone": wanted.pk}, headers=headers)
    assert zone_of(location) == "LotB"
    asks = answer["HX-Redirect"] if headers else answer["Location"]
    page = text_of(world.operator.get(asks))
    assert "58 permits move from LotB to LOTB; officers will see them there." in page
    assert "Two zones differ only in case: LOTB and LotB. You picked LOTB." in page
    assert 'name="confirmed" value="58"' in page
    assert "Move 58 permits" in page
    assert 'name="word"' not in page
    world.operator.post(url, {"zone": wanted.pk, "confirmed": "58"})
    assert zone_of(location) == "LOTB"


@pytest.mark.parametrize("count", [1, 20])
def test_few_permits_are_asked_about_too(world: World, count: int) -> None:
    location, wanted = held(world, "Lot", "Z1", count), world.zone("Z2")
    held(world, "Large", "Z3", 130)
    asks = world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk})["Location"]
    assert zone_of(location) == "Z1"
    assert f"{count} permit" in text_of(world.operator.get(asks))


@pytest.mark.parametrize("count", [25, 26])
def test_without_a_page_to_ask_on_a_small_change_is_made_and_a_large_one_is_not(
    world: World, count: int
) -> None:
    location = held(world, "Lot", "Z1", count)
    # What another integration holds makes it no smaller.
    south = ConnectionFactory(company=world.company, label="South", live=True)
    other: Location = LocationFactory(company=world.company, name="Elsewhere")
    ZoneMappingFactory(location=other, zone=ZoneFactory(connection=south, number="S1"))
    for _number in range(200):
        permit = PermitFactory(location=other)
        PermitSync.objects.filter(permit=permit).update(
            state="done", remote_state={"session_id": "y"}, remote_until=permit.end
        )
    choices: list[tuple[Location, None]] = [(location, None), (other, None)]
    if count > 25:
        with pytest.raises(mapping.NeedsConfirmation):
            mapping.map_locations(choices=choices[:1])
        assert zone_of(location) == "Z1"
        assert not PermitSync.objects.due().exists()
        mapping.map_locations(choices=choices[:1], confirmed=mapping.ANY_NUMBER)
    else:
        mapping.map_locations(choices=choices[:1])
    assert zone_of(location) == ""
    with pytest.raises(mapping.NeedsConfirmation):
        mapping.map_locations(choices=choices)


def test_permits_that_passport_does_not_have_yet_are_counted_too(world: World) -> None:
    location, wanted = world.location("Lot", world.zone("Z1")), world.zone("Z2")
    now = timezone.now()
    PermitFactory.create_batch(2, location=location)
    PermitFactory(location=location, start=now + timedelta(days=2), end=now + timedelta(days=3))
    PermitFactory(location=location, start=now - timedelta(days=3), end=now - timedelta(days=2))
    Permit.objects.filter(pk=PermitFactory(location=location).pk).update(status="cancelled", cancelled_at=now)
    asks = world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk})["Location"]
    assert "3 permits move from Z1 to Z2" in text_of(world.operator.get(asks))


def test_a_location_without_permits_and_a_first_zone_are_not_asked_about(world: World) -> None:
    empty, wanted = world.location("Empty", world.zone("Z1")), world.zone("Z2")
    unmapped = world.location("New")
    PermitFactory.create_batch(3, location=unmapped)
    for location in (empty, unmapped):
        world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk})
        assert zone_of(location) == "Z2"
    world.operator.post(world.url("location_map", empty.pk), {"zone": ""})
    assert zone_of(empty) == ""


def test_taking_the_zone_away_takes_a_typed_word(world: World) -> None:
    location = held(world, "Lot", "Z1", 23)
    url = world.url("location_map", location.pk)
    asks = world.operator.post(url, {"zone": ""})["Location"]
    page = text_of(world.operator.get(asks))
    assert "23 permits are taken out of Passport; officers stop seeing them within seconds." in page
    assert "Take 23 permits out of Passport" in page
    assert "Type “remove” to confirm" in page
    for word in ("", "yes", "removed"):
        answer = world.operator.post(url, {"zone": "", "confirmed": "23", "word": word})
        assert answer.status_code == 422
        assert "Nothing was changed. Type “remove”" in text_of(answer)
        assert zone_of(location) == "Z1"
    world.operator.post(url, {"zone": "", "confirmed": "23", "word": " Remove "})
    assert zone_of(location) == ""


def test_taking_the_zone_away_from_what_was_never_sent_says_that_it_waits(world: World) -> None:
    location = world.location("Lot", world.zone("Z1"))
    PermitFactory(location=location)
    url = world.url("location_map", location.pk)
    page = text_of(world.operator.get(world.operator.post(url, {"zone": ""})["Location"]))
    assert "1 permit will have no zone. It is not in Passport now, and waits until a zone is chosen." in page
    world.operator.post(url, {"zone": "", "confirmed": "1", "word": "remove"})
    assert zone_of(location) == ""


def test_many_locations_are_asked_about_together(world: World) -> None:
    locations = [held(world, f"Lot {number}", f"Z{number}", 10) for number in range(3)]
    wanted = world.zone("Z9")
    form = {"location": [one.pk for one in locations], "zone": wanted.pk}
    page = text_of(world.operator.post(world.url("locations_map"), form))
    assert "30 permits move to Z9; officers will see them there." in page
    assert "10 permits from Z1 to Z9" in page
    assert {zone_of(one) for one in locations} == {"Z0", "Z1", "Z2"}
    world.operator.post(world.url("locations_map"), {**form, "confirmed": "30"})
    assert {zone_of(one) for one in locations} == {"Z9"}
    assert "Undone: 3 locations send where they did before." in undo(world)
    assert [zone_of(one) for one in locations] == ["Z0", "Z1", "Z2"]


def test_what_grew_since_it_was_asked_about_is_asked_about_again(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 60), world.zone("Z2")
    with pytest.raises(mapping.NeedsConfirmation) as raised:
        mapping.map_location(location=location, zone=wanted, confirmed=30)
    assert raised.value.preview.permits == 60
    assert zone_of(location) == "Z1"


def test_mapping_to_one_that_is_not_live_says_what_stays(world: World) -> None:
    location = held(world, "Lot", "Z1", 3)
    fresh = ZoneFactory(connection__company=world.company, connection__name="PASSPORTNEW", number="Z9")
    url = world.url("location_map", location.pk)
    page = text_of(world.operator.get(world.operator.post(url, {"zone": fresh.pk})["Location"]))
    assert "3 permits move from Z1 to Z9." in page
    stays = "once PASSPORTNEW is live. Until then, parking rights on another integration are kept"
    assert "Parking rights on another integration are kept until the new ones are accepted." in page
    done = world.operator.post(url, {"zone": fresh.pk, "confirmed": "3"}, follow=True)
    assert stays in text_of(done)


# --- Undoing ----------------------------------------------------------------------------------------------------------


def test_a_move_is_undone_and_the_permits_are_due_again(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 2), world.zone("Z2")
    url = world.url("location_map", location.pk)
    page = text_of(world.operator.post(url, {"zone": wanted.pk, "confirmed": "2"}, follow=True))
    assert "Lot sends to Z2" in page
    assert f'action="{world.url("mapping_undo")}"' in page
    PermitSync.objects.update(state="done")
    assert "Undone: 1 location sends where it did before." in undo(world)
    assert zone_of(location) == "Z1"
    assert set(PermitSync.objects.values_list("state", flat=True)) == {"due"}
    assert "There is nothing to undo." in undo(world)


def test_what_was_taken_out_and_what_was_mapped_first_are_undone_too(world: World) -> None:
    location, fresh = held(world, "Lot", "Z1", 2), world.location("New")
    url = world.url("location_map", location.pk)
    world.operator.post(url, {"zone": "", "confirmed": "2", "word": "remove"})
    undo(world)
    assert zone_of(location) == "Z1"
    zone = ZoneMapping.objects.get(location=location).zone
    row = text_of(world.operator.post(world.url("location_map", fresh.pk), {"zone": zone.pk}, headers=HTMX))
    assert f'action="{world.url("mapping_undo")}"' in row
    undo(world)
    assert zone_of(fresh) == ""


def test_what_somebody_else_mapped_meanwhile_is_not_undone(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 2), world.zone("Z2")
    world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk, "confirmed": "2"})
    mapping.map_location(location=location, zone=world.zone("Z3"))
    assert "mapped by someone else in the meantime" in undo(world)
    assert zone_of(location) == "Z3"


def test_a_move_is_not_undone_when_its_time_is_over_or_from_another_company(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    location, wanted = held(world, "Lot", "Z1", 2), world.zone("Z2")
    url = world.url("location_map", location.pk)
    world.operator.post(url, {"zone": wanted.pk, "confirmed": "2"})
    assert World.build().operator.post(world.url("mapping_undo")).status_code == 404
    monkeypatch.setattr("locations.undo.UNDO_GRACE_S", -10)
    assert "seconds are over" in undo(world)
    assert zone_of(location) == "Z2"


def test_a_zone_that_is_gone_is_not_undone_to(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 2), world.zone("Z2")
    world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk, "confirmed": "2"})
    world.connection.zones.filter(number="Z1").update(missing_since=timezone.now())
    assert "no longer lists zone Z1" in undo(world)
    assert zone_of(location) == "Z2"


def test_the_question_leads_back_to_the_list_as_it_was(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 2), world.zone("Z2")
    url, address = world.url("location_map", location.pk), f"{world.url('locations')}?show=mapped&page=2"
    came_from = {"Referer": f"http://testserver{address}"}
    asks = world.operator.post(url, {"zone": wanted.pk}, headers=came_from)["Location"]
    page = text_of(world.operator.get(asks))
    assert 'name="back" value="show=mapped&amp;page=2"' in page
    form = {"zone": wanted.pk, "confirmed": "2", "back": "show=mapped&page=2"}
    assert world.operator.post(url, form)["Location"] == address


def test_the_question_takes_few_queries(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 3), world.zone("Z2")
    count_queries(world.operator, f"{world.url('location_map', location.pk)}?confirm={wanted.pk}")
    count_queries(world.operator, f"{world.url('zone_hint')}?zone={wanted.pk}&location={location.pk}")
