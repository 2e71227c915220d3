"""Locations and zones in the browser: mapping one, several, by suggestion; the zones and their refreshes."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.utils import timezone

from integrations import throttle
from integrations.models import PermitSync, Zone, ZoneMapping, ZoneRefresh
from integrations.worker import tasks
from integrations.zones import mapping
from integrations.zones import queries as zone_queries
from integrations.zones import refresh as zone_refresh
from locations.models import Location
from tests.factories import ConnectionFactory, PermitFactory, UserFactory, ZoneFactory, ZoneMappingFactory
from tests.fakes import FakeVendor, zone_seen
from tests.pages import HTMX, World, count_queries, take_refreshes, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> World:
    return World.build(name="University", slug="university")


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def zone_of(location: Location) -> Zone | None:
    mapping = ZoneMapping.objects.filter(location=location).select_related("zone").first()
    return mapping.zone if mapping else None


# --- Locations and zones --------------------------------------------------------------------------------------------


def test_locations_without_a_zone_come_first(world: World) -> None:
    world.location("Alpha", world.zone("Z1"))
    world.location("Omega")
    page = text_of(world.viewer.get(world.url("locations")))
    assert "1 of 2 locations are mapped" in page
    assert page.index("Omega") < page.index("Alpha")


def test_a_viewer_sees_the_zone_and_no_way_to_change_it(world: World) -> None:
    world.location("Alpha", world.zone("Z1", name="North"))
    page = text_of(world.viewer.get(world.url("locations")))
    assert "Z1 · North" in page
    assert "data-mapping" not in page


def test_choosing_a_zone_moves_the_current_permits_there(world: World) -> None:
    location, zone = world.location("Lot B"), world.zone("LotB")
    permit = PermitFactory(location=location)
    response = world.operator.post(world.url("location_map", location.pk), {"zone": zone.pk})
    assert response.status_code == 302
    assert "Lot B sends to LotB" in said(response)
    assert "1 current permit is on its way" in said(response)
    assert PermitSync.objects.get(permit=permit).connection == world.connection


def test_a_row_is_saved_in_its_place(world: World) -> None:
    location, zone = world.location("Lot B"), world.zone("LotB")
    response = world.operator.post(world.url("location_map", location.pk), {"zone": zone.pk}, headers=HTMX)
    page = text_of(response)
    assert response.status_code == 200
    assert f'<tr id="location-{location.pk}"' in page
    assert "1 of 1 location is mapped" in page
    assert "<html" not in page
    assert zone_of(location) == zone


def test_a_location_can_be_left_without_a_zone_again(world: World) -> None:
    location = world.location("Lot B", world.zone("LotB"))
    world.operator.post(world.url("location_map", location.pk), {"zone": ""})
    assert zone_of(location) is None


@pytest.mark.parametrize("wanted", ["x", "-1", "9" * 40, "٣"])
def test_a_zone_that_is_no_zone_is_not_found(world: World, wanted: str) -> None:
    location = world.location("Lot B")
    response = world.operator.post(world.url("location_map", location.pk), {"zone": wanted})
    assert response.status_code == 404


def test_another_companys_zone_is_not_found(world: World) -> None:
    location, foreign = world.location("Lot B"), ZoneFactory()
    response = world.operator.post(world.url("location_map", location.pk), {"zone": foreign.pk})
    assert response.status_code == 404
    assert zone_of(location) is None


def test_a_zone_that_went_missing_meanwhile_is_refused_in_words(world: World) -> None:
    location, zone = world.location("Lot B"), world.zone("LotB", missing_since=timezone.now())
    response = world.operator.post(world.url("location_map", location.pk), {"zone": zone.pk}, headers=HTMX)
    assert "no longer in the vendor&#x27;s list" in text_of(response)
    assert zone_of(location) is None


def test_the_zone_that_was_chosen_goes_before_the_one_that_is_suggested(world: World) -> None:
    suggested, chosen, location = world.zone("Lot B"), world.zone("Z9"), world.location("Lot B")
    body = {"zone": chosen.pk, "accept": suggested.pk}
    world.operator.post(world.url("location_map", location.pk), body, headers=HTMX)
    assert zone_of(location) == chosen
    other = world.location("Lot C")
    world.operator.post(world.url("location_map", other.pk), {"zone": "", "accept": suggested.pk})
    assert zone_of(other) == suggested


def test_save_is_there_without_javascript_and_is_what_enter_presses(world: World) -> None:
    world.zone("Lot B")
    world.location("Lot B")
    row = text_of(world.operator.get(world.url("locations"))).split("<tbody>")[1]
    assert row.index("data-save") < row.index("data-accept")
    assert "d-none" not in row


@pytest.mark.parametrize("name", ["locations_map", "suggestions_accept"])
def test_the_list_keeps_its_filters_and_its_page(world: World, name: str) -> None:
    address = f"{world.url('locations')}?show=unmapped&page=2"
    response = world.operator.post(world.url(name), headers={"Referer": f"http://testserver{address}"})
    assert response["Location"] == address
    stranger = world.operator.post(world.url(name), headers={"Referer": f"https://evil.example{address}"})
    assert stranger["Location"] == world.url("locations")


def test_no_zone_can_be_chosen_without_javascript(world: World) -> None:
    location = world.location("Lot B", world.zone("LotB"))
    address = world.url("location_map", location.pk)
    assert "Remove the zone" in text_of(world.operator.get(address))
    world.operator.post(address, {"zone": ""})
    assert zone_of(location) is None
    assert "Remove the zone" not in text_of(world.operator.get(address))


def test_several_locations_are_mapped_together(world: World) -> None:
    zone, one, two = world.zone("Z1"), world.location("One"), world.location("Two")
    response = world.operator.post(
        world.url("locations_map"), {"location": [one.pk, two.pk], "zone": zone.pk}
    )
    assert "2 locations were mapped" in said(response)
    assert zone_of(one) == zone_of(two) == zone


def test_mapping_several_leaves_foreign_locations_alone(world: World) -> None:
    zone, other = world.zone("Z1"), World.build()
    foreign = other.location("Theirs")
    response = world.operator.post(
        world.url("locations_map"), {"location": [foreign.pk, "x"], "zone": zone.pk}
    )
    assert "nothing was changed" in said(response)
    assert zone_of(foreign) is None


def test_a_suggestion_is_shown_and_accepted(world: World) -> None:
    zone, location = world.zone("RG", name="Rec Garage"), world.location("Rec Garage")
    page = text_of(world.operator.get(world.url("locations")))
    assert "Suggested: RG · Rec Garage (same name)" in page
    assert "Accept 1 suggestion" in page
    response = world.operator.post(
        world.url("suggestions_accept"), {"suggestion": [f"{location.pk}:{zone.pk}", f"{location.pk}:0"]}
    )
    assert "1 location was mapped" in said(response)
    assert "1 suggestion no longer holds" in said(response)
    assert zone_of(location) == zone


def test_a_near_miss_is_pointed_out_and_not_proposed(world: World) -> None:
    world.zone("LOTB", name="Other")
    world.location("LotB")
    page = text_of(world.operator.get(world.url("locations")))
    assert "“LOTB” differs from “LotB” only in case." in page
    assert "Suggested" not in page


def test_zones_that_differ_only_in_case_are_pointed_out(world: World) -> None:
    picked = world.zone("LotB", name="Lot B")
    world.zone("LOTB", name="Lot B upper")
    world.location("Somewhere", picked)
    page = text_of(world.operator.get(world.url("locations")))
    assert "Two zones differ only in case: LotB and LOTB. You picked LotB." in page


def test_a_missing_zone_says_how_many_permits_it_affects(world: World) -> None:
    location = world.location("Julka Dr.", world.zone("Lot 66", missing_since=timezone.now()))
    PermitFactory(location=location)
    page = text_of(world.operator.get(world.url("locations")))
    assert "Passport no longer lists zone “Lot 66”; 1 current permit is affected." in page
    assert "zone missing" in page


def test_long_lists_of_zones_are_asked_of_the_server(world: World) -> None:
    for number in range(60):
        world.zone(f"Z{number:03d}", name=f"Place {number}")
    world.location("Lot B")
    page = text_of(world.operator.get(world.url("locations")))
    assert f'data-url="{world.url("zone_options")}"' in page
    assert "Place 42" not in page
    found = world.operator.get(world.url("zone_options"), {"q": "z042"}).json()["results"]
    assert [one["text"] for one in found] == ["Z042 · Place 42"]


def test_the_exact_number_is_found_first(world: World) -> None:
    world.zone("1303")
    world.zone("303")
    found = world.operator.get(world.url("zone_options"), {"q": "303"}).json()["results"]
    assert [one["text"].split(" ")[0] for one in found] == ["303", "1303"]


def test_a_zone_can_be_found_and_chosen_without_javascript(world: World) -> None:
    location, zone = world.location("Lot B"), world.zone("LotB", name="Lot B")
    page = text_of(world.operator.get(world.url("location_map", location.pk)))
    assert f'value="{zone.pk}"' in page


def test_the_pages_queries_do_not_grow_with_rows(world: World) -> None:
    def fill(count: int, begin: int) -> None:
        for number in range(begin, begin + count):
            location = world.location(f"Place {number}", world.zone(f"Z{number}") if number % 3 else None)
            PermitFactory(location=location)

    fill(10, 0)
    few = count_queries(world.operator, world.url("locations"))
    few_zones = count_queries(world.operator, world.url("zones"))
    fill(190, 10)
    assert count_queries(world.operator, world.url("locations")) <= few
    assert count_queries(world.operator, world.url("zones")) <= few_zones


def test_first_use_says_what_to_do(world: World) -> None:
    page = text_of(world.operator.get(world.url("locations")))
    assert "No locations yet" in page
    assert world.url("location_add") in page


def order(page: str, *texts: str) -> list[str]:
    """The texts in the order in which a page's table has them."""
    rows = page.split("<tbody>")[1]
    return sorted(texts, key=rows.index)


def test_locations_are_sorted_by_what_the_address_says(world: World) -> None:
    few = world.location("Beta", world.zone("Z1"))
    many = world.location("Alpha", world.zone("Z2"))
    world.location("Gamma")
    PermitFactory(location=few)
    now = timezone.now()
    for minutes, permit in enumerate(PermitFactory.create_batch(3, location=many)):
        PermitSync.objects.filter(permit=permit).update(accepted_at=now - timedelta(minutes=minutes))

    def sorted_by(sort: str) -> list[str]:
        page = text_of(world.viewer.get(world.url("locations"), {"sort": sort}))
        return order(page, ">Alpha<", ">Beta<", ">Gamma<")

    assert sorted_by("") == [">Gamma<", ">Alpha<", ">Beta<"]
    assert sorted_by("name") == [">Alpha<", ">Beta<", ">Gamma<"]
    assert sorted_by("-name") == [">Gamma<", ">Beta<", ">Alpha<"]
    assert sorted_by("zone") == [">Beta<", ">Alpha<", ">Gamma<"]
    assert sorted_by("-current") == [">Alpha<", ">Beta<", ">Gamma<"]
    assert sorted_by("-pushed")[0] == ">Alpha<"
    assert sorted_by("nonsense") == sorted_by("")
    assert 'aria-sort="descending"' in text_of(world.viewer.get(world.url("locations"), {"sort": "-name"}))


def test_sorting_costs_no_query_more(world: World) -> None:
    for number in range(60):
        PermitFactory(location=world.location(f"Place {number}", world.zone(f"Z{number}")))
    plain = count_queries(world.operator, world.url("locations"))
    for sort in ("name", "-zone", "current", "pushed"):
        assert count_queries(world.operator, f"{world.url('locations')}?sort={sort}") <= plain
    assert count_queries(world.operator, f"{world.url('zones')}?sort=-used") <= 15


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


def test_a_location_leads_to_its_zone(world: World) -> None:
    zone = world.zone("LotB")
    world.location("Lot B", zone)
    for client in (world.viewer, world.operator):
        assert f'href="{world.url("zone", zone.pk)}"' in text_of(client.get(world.url("locations")))


# --- Zones ------------------------------------------------------------------------------------------------------------


def test_the_zones_page_tells_where_each_is_used_and_which_are_missing(world: World) -> None:
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


def test_a_zone_tells_its_own_history(world: World, vendor: FakeVendor) -> None:
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
        ("Lot B sends here", "Kim Lee"),
        ("Lot B no longer sends here", "now to Z2 · Zone Z2 · Kim Lee"),
        ("Lot B sends here", "Kim Lee"),
        ("Lot B no longer sends here", "has no zone now · Kim Lee"),
        ("Written in another case", "Z1 · North → z1 · North"),
        ("Renamed", "z1 · North → z1 · South"),
        ("Missing from the list of Passport", ""),
        ("Listed by Passport again", ""),
    ]
    page = text_of(world.viewer.get(world.url("zone", zone.pk)))
    assert "Lot B no longer sends here" in page
    assert count_queries(world.viewer, world.url("zone", zone.pk)) <= 15


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The refreshes that were handed to a worker."""
    given: list[int] = []
    take_refreshes(monkeypatch, given.append)
    throttle._shared.cache_clear()
    return given


def test_the_button_begins_a_refresh_and_shows_it(world: World, handed_over: list[int]) -> None:
    response = world.operator.post(world.url("zones_refresh"))
    begun = ZoneRefresh.objects.get()
    assert response["Location"] == world.url("zone_refresh", begun.pk)
    assert handed_over == [begun.pk]
    page = text_of(world.operator.get(response["Location"]))
    assert "Refreshing zones from Passport." in page
    assert 'hx-trigger="every 1s"' in page


def test_an_operator_refreshes_once_a_minute_and_support_at_any_time(
    world: World, handed_over: list[int]
) -> None:
    world.operator.post(world.url("zones_refresh"))
    ZoneRefresh.objects.update(outcome=ZoneRefresh.Outcome.DONE, finished_at=timezone.now())
    response = world.operator.post(world.url("zones_refresh"))
    assert "less than a minute ago" in said(response)
    assert len(handed_over) == 1
    world.support.post(world.url("zones_refresh"))
    assert len(handed_over) == 2


def test_a_broker_that_is_away_is_told_and_nothing_hangs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pk: int) -> None:
        raise OSError("connection refused")

    throttle._shared.cache_clear()
    take_refreshes(monkeypatch, refuse)
    response = world.operator.post(world.url("zones_refresh"))
    page = text_of(world.operator.get(response["Location"]))
    assert "The workers could not be told to refresh." in page
    assert "hx-trigger" not in page.split('id="refresh"')[1][:120]


def test_a_company_without_an_operator_id_is_told_so(handed_over: list[int]) -> None:
    world = World.build()
    world.connection.status, world.connection.operator_id = "setup", ""
    world.connection.operator_confirmed_at = None
    world.connection.save()
    response = world.operator.post(world.url("zones_refresh"))
    assert "The operator ID is not set" in said(response)
    assert handed_over == []


def test_the_page_of_a_refresh_stops_asking_when_it_is_done(world: World, vendor: FakeVendor) -> None:
    location = world.location("Lot B", world.zone("LotB", remote_id="a"))
    PermitFactory(location=location)
    world.zone("Kept", remote_id="b")
    world.zone("Kept too", remote_id="c")
    vendor.zones = [zone_seen("b", "Kept"), zone_seen("c", "Kept too"), zone_seen("d", "New")]
    done = zone_refresh.refresh_zones(connection=world.connection)
    response = world.operator.get(world.url("zone_refresh", done.pk), headers=HTMX)
    page = text_of(response)
    assert response.status_code == 286
    assert "Lot B: 1 current permit" in page
    assert "Remap" in page
    assert "1 new" in page
    assert "<html" not in page


def test_only_support_decides_on_a_held_refresh(world: World, vendor: FakeVendor) -> None:
    zone = world.zone("LotB", remote_id="a")
    vendor.zones = []
    held = zone_refresh.refresh_zones(connection=world.connection)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    assert "Accept changes" not in text_of(world.manager.get(world.url("zone_refresh", held.pk)))
    assert (
        world.manager.post(world.url("zone_refresh_decide", held.pk), {"word": "release"}).status_code == 403
    )
    assert "Accept changes" in text_of(world.support.get(world.url("zone_refresh", held.pk)))
    response = world.support.post(world.url("zone_refresh_decide", held.pk), {"word": "discard"})
    assert "the zones stay as they were" in said(response)
    again = world.support.post(world.url("zone_refresh_decide", held.pk), {"word": "discard"})
    assert "does not wait for anybody" in said(again)
    zone.refresh_from_db()
    assert zone.missing_since is None


def test_support_lets_the_zones_of_a_held_refresh_go(
    world: World, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    take_refreshes(monkeypatch, given.append)
    zone = world.zone("LotB", remote_id="a")
    vendor.zones = []
    held = zone_refresh.refresh_zones(connection=world.connection)
    asked = len(vendor.asked_for)
    answer = world.support.post(world.url("zone_refresh_decide", held.pk), {"word": "release"})
    # A worker asks Passport, while the page of the new pull is looked at.
    assert len(vendor.asked_for) == asked
    (fresh,) = given
    assert answer["Location"] == world.url("zone_refresh", fresh)
    tasks.refresh_zones(fresh)
    zone.refresh_from_db()
    held.refresh_from_db()
    assert zone.missing_since is not None
    assert held.released_by is not None


def test_support_too_refreshes_only_a_few_times_a_minute(
    world: World, vendor: FakeVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    take_refreshes(monkeypatch, given.append)
    for _ in range(8):
        world.support.post(world.url("zones_refresh"))
        ZoneRefresh.objects.update(outcome=ZoneRefresh.Outcome.DONE)
    assert len(given) == 6


def test_the_history_names_who_asked(world: World, vendor: FakeVendor) -> None:
    vendor.zones = [zone_seen("a", "Z1")]
    person = UserFactory(first_name="Kim", last_name="Lee")
    zone_refresh.refresh_zones(connection=world.connection, trigger="button", asked_by=person)
    page = text_of(world.viewer.get(world.url("zone_refreshes")))
    assert "Kim Lee" in page
    assert "1 zone listed: 1 new." in page


def test_the_history_is_paged_by_key(world: World) -> None:
    now = timezone.now()
    ZoneRefresh.objects.bulk_create(
        ZoneRefresh(connection=world.connection, started_at=now, finished_at=now, outcome="done")
        for _ in range(70)
    )
    first = world.viewer.get(world.url("zone_refreshes"))
    older = first.context["older"]
    second = world.viewer.get(world.url("zone_refreshes") + older)
    assert len(first.context["rows"]) == 50
    assert len(second.context["rows"]) == 20
    assert count_queries(world.viewer, world.url("zone_refreshes")) <= 15


def test_sites_are_told_apart_where_a_company_has_several(world: World) -> None:
    second = ConnectionFactory(company=world.company, label="South campus", live=True)
    zone = ZoneFactory(connection=second, number="S1")
    ZoneMappingFactory(location=world.location("South"), zone=zone)
    assert "South campus" in text_of(world.viewer.get(world.url("zones")))
    assert world.operator.get(world.url("zone_options")).json()["results"][0]["note"] == "South campus"
