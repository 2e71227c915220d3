"""Search from anywhere: what each kind of text finds, and that no one finds what they may not open."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Push, Ticket
from integrations.search.queries import EACH
from locations.models import AuditEvent, Company, Role
from tests.factories import ConnectionFactory, MembershipFactory, PermitFactory, UserFactory
from tests.pages import HTMX, World, counted, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(db: None) -> World:
    return World.build(name="Harbor District", slug="harbor")


def found(client: Client, text: str, company: Company | None = None) -> list[tuple[str, str, str]]:
    """Search, and return each result's kind, title and address."""
    query = f"?company={company.slug}" if company else ""
    response: Any = client.post(reverse("search") + query, {"q": text}, headers=HTMX)
    assert response.status_code == 200
    return [
        (group.title, result.title, result.url)
        for group in response.context["groups"]
        for result in group.results
    ]


def push_of(world: World, trace_id: str) -> Push:
    now = timezone.now()
    made: Push = Push.objects.create(
        connection=world.connection, kind="started", events=1, sent_at=now, answered_at=now, trace_id=trace_id,
        outcome=Push.Outcome.ACCEPTED,
    )  # fmt: skip
    return made


# --- What is found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["abc-1234", "ABC 12", "12B"])
def test_a_permit_is_found_by_plate_however_it_is_written_and_by_unit(world: World, typed: str) -> None:
    permit = PermitFactory(location=world.location("Lot 10"), plate="ABC 1234", unit="12B-3")
    assert found(world.viewer, typed, world.company) == [
        ("Permits", "ABC 1234", world.url("permit", permit.pk))
    ]


def test_a_trace_id_a_ticket_and_an_operator_id_lead_to_what_they_name(world: World) -> None:
    push = push_of(world, "9f3c2ab1e0")
    ticket = Ticket.objects.create(
        company=world.company, connection=world.connection, subject="Set-up", opened_at=timezone.now()
    )
    set_up = world.url("setup_connection", world.connection.pk)
    assert found(world.viewer, "9f3c2a") == [("Pushes", "9f3c2ab1e0", world.url("push", push.pk))]
    assert found(world.viewer, ticket.number.lower()) == [("Tickets", ticket.number, set_up)]
    shouted = f"  {world.connection.operator_id.upper()} "
    assert found(world.viewer, shouted) == [("Integrations", world.connection.name, set_up)]


def test_places_are_found_by_a_part_of_their_name_and_the_exact_zone_comes_first(world: World) -> None:
    other_case, exact = world.zone("LOTB", name="South"), world.zone("LotB", name="North")
    lot = world.location("North lot")
    assert found(world.viewer, "LotB") == [
        ("Zones", "LotB · North", world.url("zone", exact.pk)),
        ("Zones", "LOTB · South", world.url("zone", other_case.pk)),
    ]
    assert ("Locations", "North lot", world.url("location_change", lot.pk)) in found(world.viewer, "orth l")


def test_a_page_is_found_by_its_name_where_the_role_may_open_it(world: World) -> None:
    assert ("Pages", "Add a permit", world.url("permit_add")) in found(world.operator, "add a", world.company)
    assert found(world.viewer, "add a", world.company) == []
    assert ("Pages", "Is it valid?", world.url("validity")) in found(world.viewer, "valid", world.company)


def test_more_than_fit_are_told(world: World) -> None:
    for number in range(EACH + 1):
        world.location(f"Lot {number}")
    response = world.viewer.post(reverse("search"), {"q": "lot"}, headers=HTMX)
    assert response.content.decode().count("data-search-result") == EACH
    assert "There are more" in response.content.decode()


@pytest.mark.parametrize("typed", ["", "  ", "x" * 81, "%", "_", "⟪", "999999999999", "OFF-9999999999"])
def test_what_can_t_be_read_finds_nothing(world: World, typed: str) -> None:
    PermitFactory(location=world.location("Lot 10"))
    assert found(world.support, typed, world.company) == []


def test_a_search_takes_few_queries_however_much_it_finds(world: World) -> None:
    for number in range(4):
        PermitFactory(location=world.location(f"ABC lot {number}"), plate=f"ABC{number}")
        world.zone(f"ABC{number}")
        push_of(world, f"ABCD{number}")
    found(world.support, "ABC ")
    with counted() as queries:
        assert len(found(world.support, "ABC")) == 12
    assert len(queries) <= 15


# --- Who finds what ---------------------------------------------------------------------------------------------------


def test_members_find_what_is_their_companies_alone_and_support_finds_all(world: World, other: World) -> None:
    here = PermitFactory(location=world.location("Lot here"), plate="ABC1")
    there = PermitFactory(location=other.location("Lot there"), plate="ABC2")
    push_of(other, "abcd1234")
    other.zone("ABCZ")
    Ticket.objects.create(
        company=other.company, connection=other.connection, subject="Set-up", opened_at=timezone.now()
    )
    mine = ("Permits", here.plate_typed, world.url("permit", here.pk))
    theirs = ("Permits", there.plate_typed, other.url("permit", there.pk))
    assert found(world.manager, "abc", other.company) == [mine]
    for typed in ("abcd1234", "Lot there", "ABCZ", "OFF-1001", other.connection.operator_id, "Harbor"):
        assert found(world.manager, typed, other.company) == []
    assert [one for one in found(world.support, "abc") if one[0] == "Permits"] == [mine, theirs]
    assert ("Companies", "Harbor District", other.company.get_absolute_url()) in found(
        world.support, "harbor"
    )


def test_who_belongs_to_several_companies_finds_the_present_ones_first(world: World, other: World) -> None:
    person = UserFactory()
    for company in (world.company, other.company):
        MembershipFactory(company=company, user=person, role=Role.VIEWER)
    permits = [PermitFactory(location=place.location("Lot"), plate="ABC1") for place in (world, other)]
    in_order = [one[2] for one in found(signed_in(person), "abc1", other.company) if one[0] == "Permits"]
    assert in_order == [other.url("permit", permits[1].pk), world.url("permit", permits[0].pk)]


def test_a_company_with_two_step_sign_in_shows_nothing_to_who_has_none(world: World) -> None:
    PermitFactory(location=world.location("Lot 10"), plate="ABC1")
    Company.objects.update(two_step_required=True)
    assert found(world.manager, "ABC1", world.company) == []
    assert found(world.support, "ABC1", world.company) == []


def test_support_s_search_is_in_the_security_log_once(world: World) -> None:
    client = world.support
    for _time in range(2):
        found(client, "ABC1")
    assert AuditEvent.objects.filter(kind="companies_searched").count() == 1


def test_nobody_searches_without_signing_in(client: Client) -> None:
    response = client.post(reverse("search"), {"q": "ABC"})
    assert response.status_code == 302
    assert "/accounts/login/" in response["Location"]


# --- The page ---------------------------------------------------------------------------------------------------------


def test_the_page_works_without_scripts_and_keeps_what_was_typed_out_of_its_address(world: World) -> None:
    PermitFactory(location=world.location("Lot 10"), plate="ABC1")
    response = world.viewer.post(reverse("search"), {"q": "abc1"})
    page = response.content.decode()
    assert 'value="abc1"' in page
    assert "<h1" in page
    assert "data-search-result" in page
    assert world.viewer.get(reverse("search") + "?q=abc1").content.decode().count("abc1") == 0


def test_what_is_found_is_text(world: World) -> None:
    ConnectionFactory(company=world.company)
    world.location("<i hx-get=/ hx-trigger=load>Lot")
    page = world.viewer.post(reverse("search"), {"q": "<i hx"}, headers=HTMX).content.decode()
    assert "<i hx" not in page
    assert "&lt;i hx-get" in page
