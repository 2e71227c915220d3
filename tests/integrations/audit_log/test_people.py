"""What people did, narrowed by person and plate, with what it was before, and as CSV."""

import csv
import io

import pytest
from django.test import Client

from integrations.zones import mapping
from locations import services
from locations.models import Role, User
from tests.factories import MembershipFactory, PermitFactory, UserFactory
from tests.pages import World, count_queries, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def kim(world: World) -> User:
    member = MembershipFactory(
        company=world.company, role=Role.OPERATOR, user__first_name="Kim", user__last_name="Lee"
    )
    user: User = member.user
    return user


def verbs(client: Client, world: World, **query: str) -> list[str]:
    """Narrow the list as its form does, and return what was done to what."""
    response = client.post(world.url("activity_people_search"), query, follow=True)
    assert response.status_code == 200
    return [f"{one.thing} {one.verb}" for line in response.context["lines"] for one in line.audit_events]


def table(client: Client, world: World, query: str = "") -> list[dict[str, str]]:
    response = client.get(world.url("activity_people_csv") + query)
    assert response.status_code == 200
    return list(csv.DictReader(io.StringIO(b"".join(response).decode())))


def test_one_person_s_doing_is_told_apart_from_support_s_and_from_what_no_person_did(
    world: World, kim: User
) -> None:
    location = world.location("Lot 10")
    support = UserFactory(support=True)
    for plate, actor in (("KIM001", kim), ("SUP001", support), ("BOT001", None)):
        services.cancel_permit(permit=PermitFactory(location=location, plate=plate), actor=actor)
    for who, done in ((str(kim.pk), "KIM001"), ("support", "SUP001")):
        assert verbs(world.viewer, world, who=who) == [f"{done} cancelled"]
    assert "BOT001 cancelled" in verbs(world.viewer, world, who="none")
    assert "KIM001 cancelled" not in verbs(world.viewer, world, who="none")
    # Another company's person is as good as none: the address is no way to learn of people.
    stranger = UserFactory()
    assert verbs(world.viewer, world, who=str(stranger.pk)) == verbs(world.viewer, world, who="x") == []
    assert verbs(world.viewer, world, kind="x") == []


def test_a_plate_finds_what_was_done_to_each_permit_that_has_it_or_had_it(world: World) -> None:
    location = world.location("Lot 10")
    permit = PermitFactory(location=location, plate="OLD 123")
    services.change_permit(permit=permit, plate="NEW456")
    PermitFactory(location=location, plate="OTHER1")
    for typed in ("old123", "OLD-123", "new456"):
        assert verbs(world.viewer, world, plate=typed) == ["NEW456 changed", "OLD 123 added"]
    assert verbs(world.viewer, world, plate="old123", kind="location") == []


def test_a_plate_stands_in_no_address_and_an_old_search_leads_to_the_list(world: World) -> None:
    PermitFactory(location=world.location("Lot 10"), plate="OLD123")
    response = world.viewer.post(world.url("activity_people_search"), {"plate": "OLD123", "kind": "permit"})
    assert response.status_code == 302
    assert "OLD123" not in response["Location"]
    assert "kind=permit" in response["Location"]
    # An id works for the person alone who searched.
    other = world.operator.get(response["Location"], follow=True)
    assert "This search has expired." in text_of(other)
    assert other.redirect_chain == [(world.url("activity_people") + "?kind=permit", 302)]


def test_a_moved_permit_and_a_remapped_location_tell_where_from_and_where_to(world: World) -> None:
    first, second = world.location("Lot 10", world.zone("10")), world.location("Lot 20")
    services.change_permit(permit=PermitFactory(location=first, plate="MOVED1"), location=second)
    mapping.map_location(location=first, zone=world.zone("11"))
    page = text_of(world.viewer.get(world.url("activity_people")))
    assert "location: Lot 10 → Lot 20" in page
    assert "zone: 10 → 11" in page


def test_the_csv_says_all_that_the_page_says_and_is_narrowed_with_it(world: World, kim: User) -> None:
    location = world.location("=Lot 10")
    permit = PermitFactory(location=location, plate="ABC123")
    services.change_permit(permit=permit, unit="12B", actor=kim)
    rows = table(world.viewer, world)
    [changed] = [row for row in rows if row["did"] == "changed"]
    assert (changed["who"], changed["kind"], changed["what"]) == ("Kim Lee", "Permit", "ABC123")
    assert changed["changes"] == "unit: – → 12B"
    assert changed["permit"] == str(permit.pk)
    assert changed["time (UTC)"].endswith("+00:00")
    assert "'=Lot 10" in [row["what"] for row in rows]
    assert table(world.viewer, world, f"?who={kim.pk}") == [changed]


def test_the_csv_holds_every_event_once_over_all_its_portions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("integrations.audit_log.people_views.CSV_ROWS", 3)
    for number in range(10):
        PermitFactory(location=world.location(f"Lot {number}"), plate=f"AAA{number}")
    rows = table(world.viewer, world, "?kind=permit")
    assert sorted(row["what"] for row in rows) == [f"AAA{number}" for number in range(10)]


def test_no_company_tells_another_s(world: World) -> None:
    other = World.build(name="Harbor", slug="harbor")
    PermitFactory(location=other.location("Their lot"), plate="THEIRS")
    assert verbs(world.viewer, world, plate="THEIRS") == []
    assert "THEIRS" not in str(table(world.viewer, world))
    assert signed_in(UserFactory()).get(world.url("activity_people_csv")).status_code == 404


def test_the_narrowed_list_keeps_to_its_queries(world: World, kim: User) -> None:
    first, second = world.location("Lot 10", world.zone("10")), world.location("Lot 20")
    for number in range(3):
        permit = PermitFactory(location=first, plate=f"AAA{number}")
        services.change_permit(permit=permit, location=second, actor=kim)
    mapping.map_location(location=first, zone=world.zone("11"), actor=kim)
    count_queries(world.viewer, world.url("activity_people"))
    count_queries(world.viewer, world.url("activity_people") + f"?who={kim.pk}")
