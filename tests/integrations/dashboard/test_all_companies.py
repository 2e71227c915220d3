"""The overview of all companies, as support sees it: which needs attention first, and finding one."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.dashboard import all_companies
from integrations.models import Breaker, Connection, Notice
from locations.models import Company
from tests.factories import (
    OPERATOR_ID,
    CompanyFactory,
    ConnectionFactory,
    PermitFactory,
    ZoneFactory,
    ZoneMappingFactory,
)
from tests.integrations.dashboard.samples import refuse, settle
from tests.pages import World, count_queries, text_of

pytestmark = pytest.mark.django_db


def test_the_company_that_needs_attention_most_comes_first(world: World) -> None:
    fine, bad, worse = World.build(name="Fine"), World.build(name="Bad"), World.build(name="Worse")
    settle(PermitFactory(location=fine.location("L", fine.zone("Z"))))
    PermitFactory(location=bad.location("L", bad.zone("Z")))
    Breaker.objects.create(connection=worse.connection, stopped=True, error="Not authorised.")
    page = text_of(world.support.get(reverse("companies")))
    assert page.index(">Worse<") < page.index(">Bad<") < page.index(">Fine<")
    assert "The integration of 1 company is stopped." in page


def test_parked_vehicles_at_unmapped_locations_count_for_live_companies(world: World) -> None:
    PermitFactory(location=world.location("Rec Garage"))
    line = all_companies.lines(timezone.now())[0]
    assert (line.name, line.places.parked_unmapped, line.places.unmapped, line.unprotected.n) == (
        "University",
        1,
        1,
        1,
    )


def test_the_list_of_companies_refreshes_with_the_sentence_above_it(world: World) -> None:
    page = text_of(world.support.get(reverse("companies"), {"q": "univ"}))
    part = page.split('id="companies-list"')[1]
    assert f'hx-get="{reverse("companies")}?q=univ"' in part.split(">")[0]
    assert 'hx-select-oob="#all-companies"' in part.split(">")[0]
    assert ">University<" in part


def test_companies_are_sorted_by_what_the_address_says(world: World) -> None:
    other = World.build(name="Airport")
    there = other.location("L", other.zone("Z"))
    for _ in range(2):
        refuse(PermitFactory(location=there))
    refuse(PermitFactory(location=world.location("L", world.zone("Z"))))

    def sorted_by(sort: str) -> bool:
        page = text_of(world.support.get(reverse("companies"), {"sort": sort}))
        return page.index(">Airport<") < page.index(">University<")

    assert sorted_by("")
    assert sorted_by("name")
    assert not sorted_by("-name")
    assert not sorted_by("refused")
    assert sorted_by("-refused")


def test_a_company_with_two_stopped_connections_is_one_company(world: World) -> None:
    second = ConnectionFactory(company=world.company, label="South", live=True)
    for connection in (world.connection, second):
        Breaker.objects.create(connection=connection, stopped=True, error="Not authorised.")
    World.build()
    assert "The integration of 1 company is stopped." in text_of(world.support.get(reverse("companies")))


def break_host(*, stopped: bool, minutes: int = 7) -> None:
    Breaker.objects.create(
        vendor="passport", failures=3, stopped=stopped, failing_since=timezone.now() - timedelta(minutes=minutes),
        error="Passport refuses Offstreet's credentials.", remedy="Support renews them.",
    )  # fmt: skip


def test_a_stopped_host_is_the_answer_over_all_companies(world: World) -> None:
    settle(PermitFactory(location=world.location("L", world.zone("Z"))))
    assert "Enforcement sees everything at every live company." in text_of(
        world.support.get(reverse("companies"))
    )
    break_host(stopped=True)
    page = text_of(world.support.get(reverse("companies")))
    assert (
        "Nothing is sent to Passport for any company: Passport refuses Offstreet&#x27;s credentials." in page
    )
    assert "Support renews them. This has lasted 7 min." in page
    assert "Enforcement sees everything" not in page


def test_a_host_that_does_not_answer_is_reported_once_that_lasts(world: World) -> None:
    settle(PermitFactory(location=world.location("L", world.zone("Z"))))
    Connection.objects.update(compared_at=timezone.now() - timedelta(minutes=14))
    break_host(stopped=False, minutes=1)
    for minutes, tone in ((1, "info"), (5, "warning"), (11, "danger")):
        Breaker.objects.update(failing_since=timezone.now() - timedelta(minutes=minutes))
        response = world.support.get(reverse("companies"))
        said = response.context["answer"]
        assert said.tone == tone
        assert said.sentence == (
            f"Passport has not answered for {minutes} min, so nothing is sent for any company."
        )


def test_notices_for_support_are_above_the_companies(world: World) -> None:
    Notice.objects.create(kind="x", text="The credentials end tomorrow.", created_at=timezone.now())
    Notice.objects.create(
        company=world.company, kind="x", text="A company's own matter.", created_at=timezone.now()
    )
    page = text_of(world.support.get(reverse("companies")))
    assert "The credentials end tomorrow." in page
    assert "own matter" not in page


def test_a_line_says_what_the_set_up_waits_for_and_when_zones_were_refreshed(world: World) -> None:
    now = timezone.now()
    Connection.objects.update(zones_pulled_at=now - timedelta(hours=3))
    ConnectionFactory(company__name="Waiting", operator_id="", created_at=now - timedelta(days=4))
    CompanyFactory(name="Fresh")
    lines = {line.name: line for line in all_companies.lines(now)}
    all_companies.add_steps(list(lines.values()), now)
    assert lines["University"].zones_at == now - timedelta(hours=3)
    assert (lines["University"].step, lines["Waiting"].zones_at) == (None, None)
    for name, days in (("Waiting", 4), ("Fresh", 0)):
        step = lines[name].step
        assert step is not None
        assert (step.key, step.waiting_days) == ("requested", days)
    page = text_of(world.support.get(reverse("companies")))
    assert "Operator ID requested: the company, 4 days" in page
    assert "3 h ago" in page


def test_test_plates_count_as_neither_refused_nor_waiting(world: World) -> None:
    place = world.location("L", world.zone("Z"))
    refuse(PermitFactory(location=place, is_test=True))
    PermitFactory(location=place, is_test=True)
    line = all_companies.lines(timezone.now())[0]
    assert (line.counts.refused, line.counts.waiting, line.unprotected.n) == (0, 0, 0)
    assert "Enforcement sees everything" in text_of(world.support.get(reverse("companies")))
    page = world.operator.get(world.url("refused"))
    assert (page.context["rows"], page.context["reasons"]) == ([], [])


@pytest.mark.parametrize("typed", ["OS-UNI", "os-uni", "072E8B73", "16807143d145", "univ", " University "])
def test_support_finds_a_company_by_its_ids(world: World, typed: str) -> None:
    Company.objects.filter(pk=world.company.pk).update(offstreet_id="OS-UNI")
    Connection.objects.update(operator_id=OPERATOR_ID)
    World.build(name="City", slug="city", offstreet_id="B-1")
    page = text_of(world.support.get(reverse("companies"), {"q": typed}))
    assert ">University<" in page
    assert ">City<" not in page


def test_support_finds_a_company_by_its_name(world: World) -> None:
    CompanyFactory(name="City of Elsewhere")
    page = text_of(world.support.get(reverse("companies"), {"q": "elsew"}))
    assert "City of Elsewhere" in page
    assert ">University<" not in page


def test_the_sentence_over_all_companies_counts_vehicles_and_companies(world: World) -> None:
    location = world.location("Lot B", world.zone("LotB"))
    PermitFactory(location=location)
    PermitFactory(location=location)
    assert "2 vehicles at 1 company: not visible to enforcement." in text_of(
        world.support.get(reverse("companies"))
    )


def test_the_companies_queries_do_not_grow_with_companies(world: World) -> None:
    def fill(count: int) -> None:
        for _number in range(count):
            one = World.build()
            PermitFactory(location=one.location("L", one.zone("Z")))
            ConnectionFactory(operator_id="")
            CompanyFactory()

    fill(10)
    few = count_queries(world.support, reverse("companies"))
    fill(60)
    assert count_queries(world.support, reverse("companies")) <= few


def test_support_adds_a_company_and_comes_to_invite_its_manager(world: World) -> None:
    values = {"name": "New Town", "offstreet_id": "OS-77", "slug": "new-town"}
    response = world.support.post(reverse("company_add"), values)
    assert response.status_code == 302
    again = world.support.post(reverse("company_add"), values)
    assert again.status_code == 422


def test_a_failing_company_says_so_in_its_row(world: World) -> None:
    since = timezone.now() - timedelta(minutes=6)
    Connection.objects.update(compared_at=since - timedelta(minutes=1))
    Breaker.objects.create(connection=world.connection, failures=3, failing_since=since, error="No answer.")
    page = text_of(world.support.get(reverse("companies")))
    line = page.split('id="companies-list"')[1]
    assert "no answer" in line
    assert "Passport has not answered for 6 min." in line


def test_what_waits_is_the_same_number_on_both_pages_and_says_what_set_ups_hold_back(world: World) -> None:
    company = CompanyFactory(name="Coming", slug="coming")
    coming = World(company, ConnectionFactory(company=company))
    there = coming.location("L", coming.zone("Z"))
    for _number in range(3):
        PermitFactory(location=there)
    page = text_of(world.support.get(reverse("companies")))
    tile = page.split("Waiting to be sent")[1][:300]
    assert "3" in tile
    assert "3 held until live" in tile
    assert "nothing waiting" not in tile
    assert ">3<" in text_of(coming.viewer.get(coming.url("overview"))).split("Waiting to be sent")[1][:200]
    # One that is live has something waiting as well.
    PermitFactory(location=world.location("L", world.zone("Z")))
    tile = text_of(world.support.get(reverse("companies"))).split("Waiting to be sent")[1][:400]
    assert ">4<" in tile
    assert "oldest:" in tile
    assert "3 held until live" in tile
    totals = all_companies.totals(all_companies.lines(timezone.now()))
    assert (totals.waiting, totals.held_back, totals.oldest is not None) == (4, 3, True)
    # Of a company with two integrations each is what it is.
    south = ConnectionFactory(company=world.company, label="South")
    ZoneMappingFactory(location=world.location("M"), zone=ZoneFactory(connection=south, number="S"))
    PermitFactory(location=world.company.locations.get(name="M"))
    totals = all_companies.totals(all_companies.lines(timezone.now()))
    assert (totals.waiting, totals.held_back) == (5, 4)
