"""Locations and their zones on the page: mapping one, several, or by suggestion, and finding a zone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import PermitSync, Zone, ZoneMapping
from locations.models import Location
from tests.factories import PermitFactory, ZoneFactory
from tests.integrations.zones.pages import order, said
from tests.pages import HTMX, World, count_queries, text_of

pytestmark = pytest.mark.django_db


def zone_of(location: Location) -> Zone | None:
    mapping = ZoneMapping.objects.filter(location=location).select_related("zone").first()
    return mapping.zone if mapping else None


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
    page = text_of(world.operator.get(response["Location"]))
    assert "Lot B sends to LotB" in page
    assert "1 current permit is on its way" in page
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


def test_a_zone_that_has_gone_missing_is_refused_in_words(world: World) -> None:
    location, zone = world.location("Lot B"), world.zone("LotB", missing_since=timezone.now())
    response = world.operator.post(world.url("location_map", location.pk), {"zone": zone.pk}, headers=HTMX)
    assert "The vendor no longer lists zone" in text_of(response)
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
    assert "2 locations were mapped" in text_of(world.operator.get(response["Location"]))
    assert zone_of(one) == zone_of(two) == zone


def test_mapping_several_leaves_foreign_locations_alone(world: World) -> None:
    zone, other = world.zone("Z1"), World.build()
    foreign = other.location("Theirs")
    response = world.operator.post(
        world.url("locations_map"), {"location": [foreign.pk, "x"], "zone": zone.pk}
    )
    assert "Nothing was changed" in said(response)
    assert zone_of(foreign) is None


def test_a_suggestion_is_shown_and_accepted(world: World) -> None:
    zone, location = world.zone("RG", name="Rec Garage"), world.location("Rec Garage")
    page = text_of(world.operator.get(world.url("locations")))
    assert "Suggested: RG · Rec Garage (same name)" in page
    assert "Accept 1 suggestion" in page
    response = world.operator.post(
        world.url("suggestions_accept"), {"suggestion": [f"{location.pk}:{zone.pk}", f"{location.pk}:0"]}
    )
    assert "1 location was mapped" in text_of(world.operator.get(response["Location"]))
    assert "1 suggestion no longer applies" in said(response)
    assert zone_of(location) == zone


def test_saving_a_row_updates_the_button_for_all_suggestions(world: World) -> None:
    zones = [world.zone(number, name=name) for number, name in (("RG", "Rec Garage"), ("N1", "North"))]
    places = [world.location(zone.name) for zone in zones]
    assert "Accept 2 suggestions" in text_of(world.operator.get(world.url("locations")))
    saved = [
        text_of(
            world.operator.post(world.url("location_map", place.pk), {"accept": zone.pk}, headers=HTMX)
        ).partition('<form id="accept-all"')[2]
        for place, zone in zip(places, zones, strict=True)
    ]
    assert "Accept 1 suggestion" in saved[0]
    assert f'value="{places[1].pk}:{zones[1].pk}"' in saved[0]
    assert "hidden" not in saved[0].partition(">")[0]
    assert "hidden" in saved[1].partition(">")[0]


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
    for number in ("LOTB", "LotB", "lotb"):
        world.zone(number)
    for typed in ("LOTB", "LotB", "lotb", " LOTB "):
        found = world.operator.get(world.url("zone_options"), {"q": typed}).json()["results"]
        assert found[0]["exact"] == typed.strip()
        assert {one["exact"] for one in found} == {"LOTB", "LotB", "lotb"}


def test_every_zone_to_choose_names_what_finds_it_letter_for_letter(world: World) -> None:
    picked = world.zone("LotB", name="Lot B")
    world.zone("LOTB", name="Lot B upper")
    world.location("Lot B", picked)
    page = text_of(world.operator.get(world.url("locations")))
    for number in ("LotB", "LOTB"):
        assert page.count(f'data-exact="{number}"') == 2  # in the row, and for those that are selected


def test_the_hint_follows_what_is_chosen(world: World) -> None:
    saved, chosen = world.zone("LotB"), world.zone("LOTB", session_type="space")
    location = world.location("Lot B", saved)
    PermitFactory.create_batch(3, location=location)
    url = world.url("zone_hint")

    def hint(**asked: str | int) -> str:
        return text_of(world.operator.get(url, asked))

    row = text_of(world.operator.get(world.url("locations")))
    assert "You picked LotB." in row
    assert "You picked LotB." in hint(zone=saved.pk, location=location.pk)
    said_of = hint(zone=chosen.pk, location=location.pk)
    assert "You picked LOTB." in said_of
    assert "Saving moves 3 permits here from LotB." in said_of
    assert "Permits here require a space number." in said_of
    assert "Saving takes the zone from 3 permits." in hint(zone="", location=location.pk)
    # For several locations at once there is no row to compare with.
    together = hint(zone=chosen.pk)
    assert "You picked LOTB." in together
    assert "Saving" not in together
    assert hint(zone="").strip() == ""


def test_a_hint_tells_nothing_of_another_company(world: World) -> None:
    other = World.build()
    foreign, place = other.zone("Z1"), other.location("Theirs")
    wanted: list[dict[str, str | int]] = [{"zone": foreign.pk}, {"zone": "", "location": place.pk}]
    for asked in wanted:
        assert world.operator.get(world.url("zone_hint"), asked).status_code == 404


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


def test_a_location_leads_to_its_zone(world: World) -> None:
    zone = world.zone("LotB")
    world.location("Lot B", zone)
    for client in (world.viewer, world.operator):
        assert f'href="{world.url("zone", zone.pk)}"' in text_of(client.get(world.url("locations")))
