"""The overview: one true sentence, what is not yet in Passport and why, what is to do; and the home page."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.dashboard import all_companies
from integrations.dashboard.company import figures_of, pick
from integrations.dashboard.hourly_stats import CLASSES, floor_hour
from integrations.models import Breaker, Connection, PermitSync, PushHour, ZoneRefresh
from integrations.models.delivery import NOT_LISTED
from integrations.permits.counts import MOST_COUNTED, Counted
from locations.models import Location, Permit
from locations.services import cancel_permit
from tests.factories import ConnectionFactory, PermitFactory, UserFactory
from tests.integrations.dashboard.samples import refuse, settle
from tests.pages import HTMX, World, count_queries, signed_in, text_of

pytestmark = pytest.mark.django_db


def overview(world: World) -> str:
    return text_of(world.operator.get(world.url("overview")))


def test_everything_accepted_is_said_so(world: World) -> None:
    settle(PermitFactory(location=world.location("Lot B", world.zone("LotB"))))
    page = overview(world)
    assert "Enforcement sees everything: 1 current permit is in OpsMan." in page
    assert "Not yet in Passport" not in page.split("os-help")[0]


def test_what_is_due_refused_or_unmapped_is_not_protected(world: World) -> None:
    mapped, unmapped = world.location("Lot B", world.zone("LotB")), world.location("Rec Garage")
    PermitFactory(location=mapped, plate="DUE 1")
    refuse(PermitFactory(location=mapped, plate="NO 1"))
    PermitFactory(location=unmapped, plate="UN 1")
    settle(PermitFactory(location=mapped, plate="OK 1"))
    page = overview(world)
    assert "3 vehicles are not visible to enforcement." in page
    assert "1 of 4 current permits accepted" in page
    assert all(plate in page for plate in ("DUE 1", "NO 1", "UN 1"))
    assert "OK 1" not in page
    assert "Passport does not know the state." in page
    assert "This location has no zone yet." in page
    assert f"{world.url('locations')}?q=Rec%20Garage" in page


def drift(permit: Permit) -> None:
    """Let Passport have accepted a permit that it doesn't list."""
    settle(
        permit, error_kind="drift", error_code=NOT_LISTED, error="Passport does not list it.",
        remedy="It is sent again.", error_since=timezone.now(),
    )  # fmt: skip


def test_what_passport_accepted_and_does_not_show_is_not_protected(world: World) -> None:
    place, now = world.location("Lot B", world.zone("LotB")), timezone.now()
    settle(PermitFactory(location=place, plate="OK 1"))
    drift(PermitFactory(location=place, plate="GONE 1"))
    drift(PermitFactory(location=place, plate="SOON 1", start=now + timedelta(hours=1)))
    page = overview(world)
    assert "1 vehicle is not visible to enforcement." in page
    assert "GONE 1" in page
    assert "Passport does not list it." in page
    assert "SOON 1" not in page
    [line] = [line for line in all_companies.lines(timezone.now()) if line.slug == "university"]
    assert line.unprotected.n == 1
    count_queries(world.operator, world.url("overview"))


def test_drift_is_found_in_the_list_of_what_is_not_protected(world: World) -> None:
    place = world.location("Lot B", world.zone("LotB"))
    settle(PermitFactory(location=place, plate="OK 1"))
    drift(PermitFactory(location=place, plate="GONE 1"))
    unprotected, accepted = (
        text_of(world.operator.get(world.url("permits"), {"push": push}))
        for push in ("unprotected", "accepted")
    )
    assert "GONE 1" in unprotected
    assert "OK 1" not in unprotected
    assert "OK 1" in accepted
    assert "GONE 1" not in accepted


def test_what_begins_later_or_is_over_or_cancelled_is_not_counted(world: World) -> None:
    location, now = world.location("Lot B"), timezone.now()
    PermitFactory(location=location, start=now + timedelta(hours=1), end=now + timedelta(hours=2))
    PermitFactory(location=location, start=now - timedelta(hours=2), end=now - timedelta(hours=1))
    cancel_permit(permit=PermitFactory(location=location))
    PermitFactory(location=location, is_test=True)
    figures = figures_of(world.company, now)
    assert figures.unprotected.n == 0
    assert figures.current == 0
    assert figures.starting == 1
    assert "Nothing is parked here now." in overview(world)


def test_what_waits_longest_comes_first(world: World) -> None:
    location, now = world.location("Lot B", world.zone("LotB")), timezone.now()
    for plate, minutes in (("NEW", 1), ("OLD", 50), ("MID", 10)):
        permit = PermitFactory(location=location, plate=plate)
        PermitSync.objects.filter(permit=permit).update(due_since=now - timedelta(minutes=minutes))
    page = overview(world)
    assert page.index("OLD") < page.index("MID") < page.index("NEW")


def test_a_registration_of_a_connection_that_is_no_longer_meant_is_not_counted_twice(world: World) -> None:
    other = ConnectionFactory(company=world.company, label="Old site", live=True)
    permit = PermitFactory(location=world.location("Lot B", world.zone("LotB")))
    now = timezone.now()
    PermitSync.objects.create(permit=permit, connection=other, due_since=now, next_attempt_at=now)
    assert figures_of(world.company, now).unprotected.n == 1


def test_refusals_are_grouped_by_reason(world: World) -> None:
    location = world.location("Lot B", world.zone("LotB"))
    for _number in range(3):
        refuse(PermitFactory(location=location))
    refuse(PermitFactory(location=location), code="zone_not_found", sentence="The zone is not known.")
    figures = figures_of(world.company, timezone.now())
    assert [(reason.code, reason.count) for reason in figures.reasons] == [
        ("vehicle_state", 3),
        ("zone_not_found", 1),
    ]
    assert "Fix 4 refused permits" in overview(world)


def test_a_company_without_an_integration_gets_a_link_to_set_up() -> None:
    world = World.build()
    Connection.objects.filter(pk=world.connection.pk).update(status="ended")
    assert "Passport is not set up yet." in overview(world)


def test_a_company_on_its_way_sees_the_next_step_and_whom_it_waits_for() -> None:
    world = World.build()
    Connection.objects.filter(pk=world.connection.pk).update(
        status="setup", live_since=None, operator_id="", operator_confirmed_at=None
    )
    page = overview(world)
    assert "Passport is not live yet." in page
    assert "Ask the Passport account manager for the operator ID" in page


def test_a_paused_connection_says_why_and_what_is_held_back(world: World) -> None:
    PermitFactory(location=world.location("Lot B", world.zone("LotB")))
    Connection.objects.filter(pk=world.connection.pk).update(
        status="paused", status_reason="Signs are being changed."
    )
    page = overview(world)
    assert "Passport is paused: Signs are being changed." in page
    assert "1 permit is held back" in page


def test_a_stopped_connection_is_the_answer(world: World) -> None:
    Breaker.objects.create(
        connection=world.connection,
        stopped=True,
        error="Passport does not know this operator.",
        remedy="Check the operator ID.",
    )
    page = overview(world)
    assert "Nothing is sent to Passport: Passport does not know this operator." in page
    assert "Check the operator ID." in page


def test_viewers_get_no_buttons_that_they_may_not_use(world: World) -> None:
    refuse(PermitFactory(location=world.location("Lot B", world.zone("LotB"))))
    page = text_of(world.viewer.get(world.url("overview")))
    assert "Your operators" in page
    assert ">Fix<" not in page
    assert "New permit" not in page


def test_the_charts_show_what_was_counted(world: World) -> None:
    hour = floor_hour(timezone.now())
    latencies = [0] * CLASSES
    latencies[5] = 90
    PushHour.objects.create(
        connection=world.connection, hour=hour, accepted=90, refused=4, latencies=latencies
    )
    page = overview(world)
    assert "90 accepted and 4 refused" in page
    assert "95th 0.4 s" in page
    assert "90 accepted" in text_of(world.operator.get(world.url("overview") + "?span=30d"))


def test_the_page_looks_again_sooner_while_something_waits(world: World) -> None:
    assert 'hx-trigger="every 30s,' in overview(world)
    PermitFactory(location=world.location("Lot B", world.zone("LotB")))
    fragment = text_of(world.operator.get(world.url("overview"), headers=HTMX))
    assert 'hx-trigger="every 3s,' in fragment
    assert "<html" not in fragment


def test_what_waits_for_people_is_not_asked_for_every_three_seconds(world: World) -> None:
    now, mapped = timezone.now(), world.location("Lot B", world.zone("LotB"))
    PermitFactory(location=world.location("Rec Garage"))
    refuse(PermitFactory(location=mapped))
    figures = figures_of(world.company, now)
    assert (figures.unprotected.n, figures.moves) == (2, False)
    waiting = PermitFactory(location=mapped)
    assert figures_of(world.company, now).moves
    Breaker.objects.create(connection=world.connection, stopped=True, error="Not authorised.")
    assert not figures_of(world.company, now).moves
    Breaker.objects.all().delete()
    Connection.objects.update(status="paused")
    assert not figures_of(world.company, now).moves
    # One connection's backlog doesn't affect another's.
    ConnectionFactory(company=world.company, label="Second site", live=True)
    figures = figures_of(world.company, now)
    assert [link.counts.waiting for link in figures.links] == [1, 0]
    assert not figures.moves
    settle(waiting)
    ZoneRefresh.objects.create(connection=world.connection, started_at=now)
    assert figures_of(world.company, now).moves


def test_vehicles_at_an_inactive_location_are_counted(world: World) -> None:
    location = world.location("Old lot")
    PermitFactory(location=location)
    Location.objects.update(active=False)
    figures = figures_of(world.company, timezone.now())
    assert (figures.places.total, figures.current, figures.unprotected.n) == (0, 1, 1)
    assert figures.places.clock == location.timezone


def test_the_longest_waiting_is_shown_also_where_there_are_too_many_to_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.dashboard.company.MOST_COUNTED", 3)
    location, now = world.location("Lot B", world.zone("LotB")), timezone.now()
    start = now - timedelta(days=1)
    permits = [PermitFactory(location=location, start=start) for _ in range(6)]
    for minutes, permit in enumerate(permits, start=1):
        PermitSync.objects.filter(permit=permit).update(due_since=now - timedelta(minutes=minutes))
    figures = figures_of(world.company, now)
    assert figures.oldest_unprotected == now - timedelta(minutes=6)
    assert [one.permit for _at, one in figures.hidden] == permits[:2:-1]


def test_numbers_beyond_the_limit_are_not_exact() -> None:
    assert Counted(MOST_COUNTED).text == "2,000"
    assert Counted(MOST_COUNTED + 1).text == "2,000+"


def test_the_overviews_queries_do_not_grow_with_rows(world: World) -> None:
    def fill(count: int) -> None:
        mapped, unmapped = world.location(f"M{count}", world.zone(f"Z{count}")), world.location(f"U{count}")
        for number in range(count):
            PermitFactory(location=mapped if number % 2 else unmapped)
        refuse(PermitFactory(location=mapped))

    fill(10)
    few = count_queries(world.operator, world.url("overview"))
    fill(190)
    assert count_queries(world.operator, world.url("overview")) <= few


# --- Home ------------------------------------------------------------------------------------------------


def test_home_leads_to_the_only_company(world: World) -> None:
    assert world.viewer.get("/")["Location"] == world.url("overview")


def test_home_offers_a_choice_of_several(world: World) -> None:
    second = World.build(name="City")
    user = UserFactory()
    for one in (world, second):
        one.company.memberships.create(user=user, role="viewer")
    page = text_of(signed_in(user).get("/"))
    assert "City" in page
    assert "University" in page


def test_home_leads_support_to_all_companies(world: World) -> None:
    assert world.support.get("/")["Location"] == reverse("companies")


def test_home_tells_a_person_without_a_company_what_to_do() -> None:
    assert "You don't belong to a company yet" in text_of(signed_in(UserFactory()).get("/"))


def test_one_location_does_not_hide_the_others() -> None:
    at = timezone.now()
    rows = [(pk, 1 if pk < 8 else 2, at + timedelta(seconds=pk)) for pk in range(10)]
    assert list(pick(rows)) == [0, 1, 2, 8, 9]
