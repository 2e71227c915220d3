"""A mapping that would end many rights asks the person first, with how many and which."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import PermitSync, ZoneMapping
from integrations.zones import mapping
from locations.models import Location
from tests.factories import PermitFactory, ZoneFactory
from tests.pages import World, text_of

pytestmark = pytest.mark.django_db
MANY = 30
HTMX = {"HX-Request": "true"}


def held(world: World, name: str, number: str, count: int = MANY) -> Location:
    """A mapped location with so many rights that Passport holds."""
    location = world.location(name, world.zone(number))
    permits = [PermitFactory(location=location) for _ in range(count)]
    until = timezone.now() + timedelta(days=1)
    PermitSync.objects.filter(permit__in=permits).update(
        state="done", remote_state={"session_id": "x"}, remote_until=until
    )
    return location


def zone_of(location: Location) -> str:
    return ZoneMapping.objects.get(location=location).zone.number


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["a form", "a row"])
def test_one_location_is_asked_about_and_then_mapped(world: World, headers: dict[str, str]) -> None:
    location, wanted = held(world, "Lot", "Z1"), world.zone("Z2")
    url = world.url("location_map", location.pk)
    answer = world.operator.post(url, {"zone": wanted.pk}, headers=headers)
    assert zone_of(location) == "Z1"
    asks = answer["HX-Redirect"] if headers else answer["Location"]
    page = text_of(world.operator.get(asks))
    assert "Of 30 parking rights, 30 would be replaced." in page
    assert 'name="confirmed" value="30"' in page
    world.operator.post(url, {"zone": wanted.pk, "confirmed": "30"})
    assert zone_of(location) == "Z2"


def test_taking_the_zone_away_is_asked_about(world: World) -> None:
    location = held(world, "Lot", "Z1")
    url = world.url("location_map", location.pk)
    asks = world.operator.post(url, {"zone": ""})["Location"]
    page = text_of(world.operator.get(asks))
    assert "Of 30 parking rights, 30 would be removed." in page
    world.operator.post(url, {"zone": "", "confirmed": "30"})
    assert not ZoneMapping.objects.exists()


def test_many_locations_are_asked_about_together(world: World) -> None:
    locations = [held(world, f"Lot {number}", f"Z{number}", 10) for number in range(3)]
    wanted = world.zone("Z9")
    form = {"location": [one.pk for one in locations], "zone": wanted.pk}
    page = text_of(world.operator.post(world.url("locations_map"), form))
    assert "Of 30 parking rights, 30 would be replaced." in page
    assert {zone_of(one) for one in locations} == {"Z0", "Z1", "Z2"}
    world.operator.post(world.url("locations_map"), {**form, "confirmed": "30"})
    assert {zone_of(one) for one in locations} == {"Z9"}


def test_what_grew_since_it_was_asked_about_is_asked_about_again(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 60), world.zone("Z2")
    with pytest.raises(mapping.NeedsConfirmation) as raised:
        mapping.map_location(location=location, zone=wanted, confirmed=30)
    assert raised.value.impact.affected == 60
    assert zone_of(location) == "Z1"


def test_a_few_rights_are_not_asked_about(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1", 20), world.zone("Z2")
    world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk})
    assert zone_of(location) == "Z2"


def test_mapping_to_one_that_is_not_live_says_what_stays(world: World) -> None:
    location = held(world, "Lot", "Z1", 3)
    fresh = ZoneFactory(connection__company=world.company, connection__name="PASSPORTNEW")
    answer = world.operator.post(world.url("location_map", location.pk), {"zone": fresh.pk}, headers=HTMX)
    assert "once PASSPORTNEW is live. Until then, parking rights on another integration are kept" in text_of(
        answer
    )


def test_a_small_share_is_not_asked_about(world: World) -> None:
    location, wanted = held(world, "Lot", "Z1"), world.zone("Z2")
    held(world, "Large", "Z3", 130)
    world.operator.post(world.url("location_map", location.pk), {"zone": wanted.pk})
    assert zone_of(location) == "Z2"
