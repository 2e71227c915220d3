"""The pages of zones: where each is used, what Passport says about it, and its history."""

import pytest
from django.utils import timezone

from integrations.models import Zone
from integrations.zones import mapping
from integrations.zones import queries as zone_queries
from integrations.zones import refresh as zone_refresh
from tests.factories import ConnectionFactory, UserFactory, ZoneFactory, ZoneMappingFactory
from tests.fakes import FakeVendor, zone_seen
from tests.integrations.zones.pages import order
from tests.pages import World, count_queries, text_of

pytestmark = pytest.mark.django_db


# --- Locations and zones ---------------------------------------------------------------------------------


def test_zones_are_sorted_by_number_name_and_use(world: World) -> None:
    world.zone("Z1", name="Middle")
    world.location("Lot B", world.zone("Z2", name="Alpha"))
    world.zone("Z3", name="Omega")

    def sorted_by(sort: str) -> list[str]:
        return order(text_of(world.viewer.get(world.url("zones"), {"sort": sort})), ">Z1<", ">Z2<", ">Z3<")

    assert sorted_by("") == [">Z1<", ">Z2<", ">Z3<"]
    assert sorted_by("-number") == [">Z3<", ">Z2<", ">Z1<"]
    assert sorted_by("name") == [">Z2<", ">Z1<", ">Z3<"]
    assert sorted_by("-used")[0] == ">Z2<"


# --- Zones -----------------------------------------------------------------------------------------------


def test_the_zones_page_says_where_each_is_used_and_which_are_missing(world: World) -> None:
    world.location("Lot B", world.zone("LotB"))
    world.zone("Gone", missing_since=timezone.now())
    page = text_of(world.viewer.get(world.url("zones")))
    assert "1 zone is missing from Passport." in page
    assert "Lot B" in page
    assert "LotB" not in text_of(world.viewer.get(world.url("zones"), {"show": "missing"}))


def test_one_zone_shows_what_passport_says_of_it(world: World) -> None:
    zone = world.zone("S1", session_type="space", raw={"spaces": ["12", "13"], "settings": {"grace_time": 5}})
    world.location("Lot B", zone)
    page = text_of(world.viewer.get(world.url("zone", zone.pk)))
    assert "a permit requires a space number" in page
    assert "2: 12, 13" in page
    assert "grace_time" in page
    assert "Lot B" in page


def test_a_zone_shows_its_own_history(world: World, vendor: FakeVendor) -> None:
    first = [zone_seen("a", "Z1", name="North"), zone_seen("b", "Z2"), zone_seen("c", "Z3")]
    vendor.zones = first
    zone_refresh.refresh_zones(connection=world.connection)
    zone, other = Zone.objects.get(number="Z1"), Zone.objects.get(number="Z2")
    kim, location = UserFactory(first_name="Kim", last_name="Lee"), world.location("Lot B")
    mapping.map_location(location=location, zone=zone, actor=kim)
    mapping.map_location(location=location, zone=other, actor=kim)
    mapping.map_location(location=location, zone=zone, actor=kim)
    mapping.map_location(location=location, zone=None, actor=kim)
    vendor.zones = [zone_seen("a", "z1", name="North"), *first[1:]]
    zone_refresh.refresh_zones(connection=world.connection)
    vendor.zones = [zone_seen("a", "z1", name="South"), *first[1:]]
    zone_refresh.refresh_zones(connection=world.connection)
    vendor.zones = first[1:]
    zone_refresh.refresh_zones(connection=world.connection)
    vendor.zones = [zone_seen("a", "z1", name="South"), *first[1:]]
    zone_refresh.refresh_zones(connection=world.connection)
    told = [
        (one.title, one.detail) for one in reversed(zone_queries.history_of(Zone.objects.get(pk=zone.pk)))
    ]
    assert told == [
        ("First listed by Passport", ""),
        ("Lot B now sends here", "Kim Lee"),
        ("Lot B no longer sends here", "now to Z2 · Zone Z2 · Kim Lee"),
        ("Lot B now sends here", "Kim Lee"),
        ("Lot B no longer sends here", "now has no zone · Kim Lee"),
        ("Case changed", "Z1 · North → z1 · North"),
        ("Renamed", "z1 · North → z1 · South"),
        ("Missing from the list of Passport", ""),
        ("Listed by Passport again", ""),
    ]
    page = text_of(world.viewer.get(world.url("zone", zone.pk)))
    assert "Lot B no longer sends here" in page
    assert count_queries(world.viewer, world.url("zone", zone.pk)) <= 15


def test_sites_are_distinguished_where_a_company_has_several(world: World) -> None:
    second = ConnectionFactory(company=world.company, label="South campus", live=True)
    zone = ZoneFactory(connection=second, number="S1")
    ZoneMappingFactory(location=world.location("South"), zone=zone)
    assert "South campus" in text_of(world.viewer.get(world.url("zones")))
    assert world.operator.get(world.url("zone_options")).json()["results"][0]["note"] == "South campus"
