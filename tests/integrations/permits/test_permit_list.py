"""The list of permits: its order, its filters, its pages, and how it keeps up with deliveries."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.permits import listing
from locations.models import Location, Membership, Permit
from locations.services import cancel_permit
from tests.factories import LocationFactory, PermitFactory
from tests.integrations.permits.pages import accept, plates, text_of, url

pytestmark = pytest.mark.django_db


def test_the_list_shows_the_newest_first_with_state_and_zone(operator: Client, place: Location) -> None:
    PermitFactory(location=place, plate="OLD1")
    accept(PermitFactory(location=place, plate="NEW 2"))
    response = operator.get(url("permits"))
    assert plates(response) == ["NEW2", "OLD1"]
    words = text_of(response)
    assert "waiting to be sent" in words
    assert "accepted" in words
    assert "Z123" in words


@pytest.mark.parametrize(
    "query", ["abc 12", "ABC-12", "a.b.c", "C-12", "1234", "UNIT", "unit 7", "r-004", "R-00412"]
)
def test_a_permit_is_found_by_plate_however_typed_by_unit_and_by_external_id(
    operator: Client, place: Location, query: str
) -> None:
    PermitFactory(location=place, plate="ABC 1234", unit="Unit 7", external_id="R-00412")
    PermitFactory(location=place, plate="ZZZ 9", unit="9", external_id="X-1")
    assert plates(operator.post(url("permits_search"), {"q": query}, follow=True)) == ["ABC1234"]


def test_filters_narrow_and_stay_in_the_address(
    operator: Client, member: Membership, place: Location
) -> None:
    now = timezone.now()
    other = LocationFactory(company=member.company, name="Lot B")
    PermitFactory(location=place, plate="NOW1", type="Visitor")
    PermitFactory(location=other, plate="LOTB1", subdivision="CA-ON")
    PermitFactory(location=place, plate="SOON1", start=now + timedelta(days=1), end=now + timedelta(days=2))
    PermitFactory(location=place, plate="OVER1", start=now - timedelta(days=2), end=now - timedelta(days=1))
    cancel_permit(permit=PermitFactory(location=place, plate="GONE1"))

    def found(**query: Any) -> list[str]:
        return sorted(plates(operator.get(url("permits"), query, follow=True)))

    assert found(location=other.pk) == ["LOTB1"]
    assert found(state="CA-ON") == ["LOTB1"]
    assert found(type="Visitor") == ["NOW1"]
    assert found(when="current") == ["LOTB1", "NOW1"]
    assert found(when="coming") == ["SOON1"]
    assert found(when="ended") == ["GONE1", "OVER1"]
    assert found(when="cancelled") == ["GONE1"]
    assert found(when="current", state="US-NC") == ["NOW1"]
    assert found(q="L", when="current") == ["LOTB1"]
    # A place in the list that can't be read is its beginning.
    assert len(found(after="-1")) == 5


def test_permits_are_found_by_what_became_of_them(
    operator: Client, member: Membership, place: Location
) -> None:
    accept(PermitFactory(location=place, plate="IN1"))
    accept(PermitFactory(location=place, plate="BAD1"), state="refused", remote_state=None, remote_until=None)
    PermitFactory(location=place, plate="DUE1")
    later = timezone.now() + timedelta(days=1)
    PermitFactory(location=place, plate="LATER1", start=later, end=later + timedelta(days=1))
    PermitFactory(location=LocationFactory(company=member.company), plate="NOZONE1")

    def found(push: str) -> list[str]:
        return sorted(plates(operator.get(url("permits"), {"push": push})))

    assert found("accepted") == ["IN1"]
    assert found("refused") == ["BAD1"]
    assert found("waiting") == ["DUE1", "LATER1", "NOZONE1"]
    assert found("unprotected") == ["BAD1", "DUE1", "NOZONE1"]


def test_test_plates_are_shown_only_when_asked_for_and_are_marked(operator: Client, place: Location) -> None:
    PermitFactory(location=place, plate="TEST123", is_test=True)
    assert plates(operator.get(url("permits"))) == []
    response = operator.get(url("permits"), {"tests": "on"})
    assert plates(response) == ["TEST123"]
    assert "os-badge" in response.content.decode()


def test_pages_are_walked_by_key_forth_and_back(operator: Client, place: Location, monkeypatch: Any) -> None:
    monkeypatch.setattr(
        listing.list_permits,
        "__kwdefaults__",
        {**(listing.list_permits.__kwdefaults__ or {}), "rows": 3},
    )
    for number in range(8):
        PermitFactory(location=place, plate=f"P{number}")
    first = operator.get(url("permits"), {"when": "current"})
    assert plates(first) == ["P7", "P6", "P5"]
    assert first.context["newer"] == ""
    second = operator.get(first.context["older"])
    assert plates(second) == ["P4", "P3", "P2"]
    assert "when=current" in second.context["older"]
    third = operator.get(second.context["older"])
    assert plates(third) == ["P1", "P0"]
    assert third.context["older"] == ""
    back = operator.get(third.context["newer"])
    assert plates(back) == ["P4", "P3", "P2"]
    assert plates(operator.get(back.context["newer"])) == ["P7", "P6", "P5"]
    summaries = [one.context["summary"] for one in (first, second, third, back)]
    monkeypatch.setattr("integrations.permits.views.PAGE_ROWS", 3)
    assert summaries[:3] == ["1–3 of 8 permits", "4–6 of 8 permits", "7–8 of 8 permits"]


@pytest.mark.parametrize("name", ["plate", "-plate", "end", "-end"])
def test_a_list_is_sorted_by_its_columns_and_paged_in_that_order(
    operator: Client, place: Location, monkeypatch: Any, name: str
) -> None:
    rows = {**(listing.list_permits.__kwdefaults__ or {}), "rows": 3}
    monkeypatch.setattr(listing.list_permits, "__kwdefaults__", rows)
    now = timezone.now()
    # Some share their plate or their end: the id decides between them.
    for number, plate in enumerate(["B2", "A1", "C3", "A1", "D4", "B2", "E5"]):
        PermitFactory(location=place, plate=plate, end=now + timedelta(days=1 + number % 3))
    column = name.removeprefix("-")
    wanted = sorted(Permit.objects.values_list(column, "pk"), reverse=name.startswith("-"))
    walked, address, ways_back = [], f"{url('permits')}?sort={name}", []
    while address:
        page = operator.get(address)
        walked += [row.permit.pk for row in page.context["page"].rows]
        ways_back.append((page.context["newer"], page))
        address = page.context["older"]
    assert walked == [pk for _value, pk in wanted]
    newer, _last = ways_back[-1]
    back = [row.permit.pk for row in operator.get(newer).context["page"].rows]
    assert back == walked[3:6]
    # No plate in an address, whatever it is sorted by.
    assert not any(plate in newer for plate in ("A1", "B2", "C3", "D4", "E5"))


def test_an_order_that_there_is_not_is_the_usual_one(operator: Client, place: Location) -> None:
    for number in range(3):
        PermitFactory(location=place, plate=f"P{number}")
    for query in ("?sort=company__name", "?sort=--plate", "?sort=plate&after=999999", "?from=x&after=y"):
        assert len(plates(operator.get(url("permits") + query))) == 3


def test_a_total_stops_where_counting_would_cost_more_than_it_says(
    operator: Client, place: Location, monkeypatch: Any
) -> None:
    rows = {**(listing.list_permits.__kwdefaults__ or {}), "rows": 3}
    monkeypatch.setattr(listing.list_permits, "__kwdefaults__", rows)
    monkeypatch.setattr("integrations.permits.listing.MOST_COUNTED", 5)
    monkeypatch.setattr("integrations.permits.views.MOST_COUNTED", 5)
    for number in range(7):
        PermitFactory(location=place, plate=f"P{number}")
    assert operator.get(url("permits")).context["summary"] == "1–3 of 5+ permits"
    found = operator.post(url("permits_search"), {"q": "P"}, follow=True)
    assert found.context["summary"] == "The first 3 of 5+ matches. Type more to see others."


def test_a_list_that_waits_polls_and_stops_when_nothing_waits(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    page = operator.get(url("permits")).content.decode()
    assert f"{url('permit_states')}?id={permit.pk}&amp;" in page
    poll = operator.get(url("permit_states"), {"id": permit.pk})
    assert poll.status_code == 200
    assert f'id="state-{permit.pk}"' in poll.content.decode()
    accept(permit)
    poll = operator.get(url("permit_states"), {"id": permit.pk})
    assert poll.status_code == 286
    assert "accepted" in poll.content.decode()
    assert url("permit_states") not in operator.get(url("permits")).content.decode()


def test_a_poll_for_permits_of_others_tells_nothing(operator: Client, place: Location) -> None:
    foreign = PermitFactory()
    poll = operator.get(url("permit_states"), {"id": [foreign.pk, "x", "-1", "9" * 40]})
    assert poll.status_code == 286
    assert "state-" not in poll.content.decode()


def test_an_empty_list_says_what_to_do_first_and_an_empty_search_what_to_do_next(
    operator: Client, place: Location
) -> None:
    assert "Register a vehicle" in text_of(operator.get(url("permits")))
    assert "Show all permits" in text_of(operator.get(url("permits"), {"q": "NONE"}, follow=True))
