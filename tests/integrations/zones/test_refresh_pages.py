"""A refresh of zones on the pages: who may start one, how it is followed, and what support decides."""

import pytest
from django.utils import timezone

from integrations import throttle
from integrations.models import ZoneRefresh
from integrations.worker import tasks
from integrations.zones import refresh as zone_refresh
from tests.factories import PermitFactory, UserFactory
from tests.fakes import FakeVendor, zone_seen
from tests.integrations.zones.pages import said
from tests.pages import HTMX, World, count_queries, take_refreshes, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The refreshes that were passed to a worker."""
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


def test_a_broker_that_is_down_is_reported_and_nothing_hangs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_pk: int) -> None:
        raise OSError("connection refused")

    throttle._shared.cache_clear()
    take_refreshes(monkeypatch, refuse)
    response = world.operator.post(world.url("zones_refresh"))
    page = text_of(world.operator.get(response["Location"]))
    assert "The refresh could not be started." in page
    assert "hx-trigger" not in page.split('id="refresh"')[1][:120]


def test_a_company_without_an_operator_id_is_told_so(handed_over: list[int]) -> None:
    world = World.build()
    world.connection.status, world.connection.operator_id = "setup", ""
    world.connection.operator_confirmed_at = None
    world.connection.save()
    response = world.operator.post(world.url("zones_refresh"))
    assert "The operator ID has not been entered yet" in said(response)
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


def test_an_operator_decides_on_a_held_refresh_and_a_viewer_does_not(
    world: World, vendor: FakeVendor
) -> None:
    zone = world.zone("LotB", remote_id="a")
    vendor.zones = []
    held = zone_refresh.refresh_zones(connection=world.connection)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    assert "Accept changes" not in text_of(world.viewer.get(world.url("zone_refresh", held.pk)))
    assert (
        world.viewer.post(world.url("zone_refresh_decide", held.pk), {"word": "release"}).status_code == 403
    )
    assert "Accept changes" in text_of(world.operator.get(world.url("zone_refresh", held.pk)))
    response = world.operator.post(world.url("zone_refresh_decide", held.pk), {"word": "discard"})
    assert "The current zones are kept" in said(response)
    again = world.operator.post(world.url("zone_refresh_decide", held.pk), {"word": "discard"})
    assert "waiting for a decision" in said(again)
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
    # A worker asks Passport while the page of the new refresh is open.
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
