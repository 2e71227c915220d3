"""A filter that can't be read matches nothing, on every list: an address with a slip in it never stands for more rows.

The walk goes over every address, so a list that is added is asked too.
"""

from collections.abc import Iterator
from html import unescape

import pytest
from django.contrib.admin.sites import site
from django.urls import reverse

from integrations.permits.queries import MAX_TYPES
from locations.models import Location, Permit
from locations.searches import to_id
from tests.factories import LocationFactory, MembershipFactory, PermitFactory
from tests.fakes import fake_vendor
from tests.offstreet.access_table import COMPANY, OPERATOR, OTHERS, Side, address, build_side
from tests.pages import reauthenticate, signed_in, take_refreshes, text_of

pytestmark = [pytest.mark.django_db, pytest.mark.pages]

HOSTILE = (
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "%01%1b[31m",
    "%e2%80%8b",
    "'",
    "%25",
    "_",
    "x" * 81,
    "x" * 3_000,
    "9" * 40,
)
READ_BY_LISTS = (
    "q", "location", "when", "push", "type", "state", "outcome", "kind", "span", "trace", "reason", "who", "plate", "show",
    "sort", "page", "before", "after", "company", "check", "zone", "id",
)  # fmt: skip


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Iterator[Side]:
    take_refreshes(monkeypatch, lambda _pk: None)
    with fake_vendor():
        yield build_side()


def pages(own: Side) -> list[str]:
    """Every address that answers a GET: the company's, those outside of one, and the admin's lists."""
    return [
        *(own.url(name, access) for name, access in COMPANY.items() if access.get),
        *(address(name, own) for name, access in OTHERS.items() if access.get),
        *(
            reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            for model in site._registry
        ),
    ]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:12])
def test_hostile_text_in_any_filter_is_never_an_error(value: str, own: Side) -> None:
    client = own.world.support
    client.raise_request_exception = False
    wrong = {}
    for url in pages(own):
        # One at a time, since the first that can't be read may hide the rest; all together reaches what asks for two.
        queries = [f"{name}={value}" for name in READ_BY_LISTS if name in ("q", "kind", "plate", "location")]
        queries.append("&".join(f"{name}={value}" for name in READ_BY_LISTS))
        for query in queries:
            answer = client.get(f"{url}?{query}", follow=True)
            if answer.status_code >= 500:
                wrong[f"{url}?{query[:60]}"] = answer.status_code
    assert wrong == {}


@pytest.mark.parametrize("value", ["%00", "a%00b", "%ff"])
@pytest.mark.parametrize(
    "name", ["permits", "zones", "locations", "activity", "activity_people", "companies", "setups"]
)
def test_a_search_for_what_no_text_can_hold_is_an_empty_list_with_a_sentence(
    name: str, value: str, own: Side
) -> None:
    url = reverse(name) if name in ("companies", "setups") else own.world.url(name)
    parameter = {"activity": "kind", "activity_people": "kind"}.get(name, "q")
    answer = own.world.support.get(f"{url}?{parameter}={value}", follow=True)
    assert answer.status_code == 200
    said = text_of(answer)
    assert any(word in said for word in ("match", "Nothing yet", "No set-ups"))


UNREADABLE = (
    "when=nonsense", "location=x", "location=999999", "push='", "state=ZZ", "type=none", "q=" + "x" * 81, "when=a%00",
)  # fmt: skip


@pytest.mark.parametrize("query", UNREADABLE, ids=lambda query: query[:12])
def test_all_that_match_a_filter_that_cannot_be_read_are_no_permits(query: str, own: Side) -> None:
    place = own.things["location"]
    kept = PermitFactory(location=place, plate="KEEP1")
    member = MembershipFactory(company=own.world.company, role=OPERATOR)
    client = signed_in(member.user)
    if query.startswith("q="):
        query = f"q={to_id(query.removeprefix('q='), member.user)}"
    address_of = f"{own.world.url('permits_cancel')}?location={place.pk}&{query}"
    for data in ({"matching": "yes"}, {"matching": "yes", "confirm": "yes", "ids": f"{kept.pk:x}"}):
        answer = client.post(address_of, data, follow=True)
        assert answer.status_code == 200
        assert "KEEP1" not in text_of(answer)
        assert "can't be read" in unescape(text_of(answer)) or "No permits match" in text_of(answer)
    assert not Permit.objects.filter(status=Permit.Status.CANCELLED).exists()


def test_a_type_that_the_list_is_too_long_to_name_still_narrows(own: Side) -> None:
    place = own.things["location"]
    for number in range(MAX_TYPES + 1):
        PermitFactory(location=place, plate=f"T{number}", type=f"Type {number:03}")
    last = f"Type {MAX_TYPES:03}"
    answer = own.world.operator.get(own.world.url("permits"), {"type": last})
    assert [row.permit.type for row in answer.context["page"].rows] == [last]


@pytest.mark.parametrize("query", ["active__exact=maybe", "nonsense=1", "id__exact=x"])
def test_an_admin_list_with_a_filter_that_cannot_be_read_is_empty_and_says_so(query: str, own: Side) -> None:
    url = reverse("admin:locations_location_changelist")
    answer = own.world.support.get(f"{url}?{query}", follow=True)
    assert "can't be read" in unescape(text_of(answer))
    assert answer.context["cl"].result_count == 0


def test_an_admin_action_on_all_of_a_list_that_cannot_be_read_acts_on_nothing(own: Side) -> None:
    client = own.world.support
    reauthenticate(client)
    kept = PermitFactory(location=own.things["location"], plate="KEEP1")
    url = reverse("admin:locations_permit_changelist")
    data = {"action": "cancel", "select_across": "1", "index": "0", "_selected_action": [kept.pk]}
    assert Permit.objects.filter(status=Permit.Status.CANCELLED).count() == 0
    client.post(f"{url}?nonsense=1", data, follow=True)
    assert Permit.objects.filter(status=Permit.Status.CANCELLED).count() == 0
    client.post(url, data, follow=True)
    assert Permit.objects.filter(status=Permit.Status.CANCELLED).count() > 0


@pytest.mark.parametrize("zone", ["UTC", "EST", "Etc/GMT+5", "US/Eastern"])
def test_a_location_keeps_its_time_zone_when_only_its_name_is_changed(zone: str, own: Side) -> None:
    place = LocationFactory(company=own.world.company, name="Old name", timezone=zone)
    url = own.world.url("location_change", place.pk)
    page = own.world.operator.get(url)
    form = page.context["form"]
    sent = {name: form[name].value() for name in form.fields}
    assert sent["timezone"] in {key for key, _label in form.fields["timezone"].choices}
    answer = own.world.operator.post(url, {**sent, "name": "New name", "active": "on"})
    assert answer.status_code == 302
    saved = Location.objects.get(pk=place.pk)
    assert (saved.name, saved.timezone) == ("New name", zone)
