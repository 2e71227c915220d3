"""The permits' pages: who may open which, how many queries each takes, and what none may contain."""

import re
from typing import Any

import pytest
from django.db import connection as db
from django.test import Client
from django.test.utils import CaptureQueriesContext

from locations.models import Location, Membership, Permit, Role
from tests.factories import LocationFactory, MembershipFactory, PermitFactory, UserFactory
from tests.fakes import FakeVendor
from tests.integrations.permits.pages import MAX_QUERIES, accept, plates, typed, url

pytestmark = pytest.mark.django_db
READ = ["permits", "permit", "permit_states", "validity"]
WRITE = ["permit_add", "permit_change", "permit_cancel"]
POSTS = ["permit_hints", "permit_cancel", "permit_reinstate", "permits_cancel", "permit_add", "permit_change"]
WITH_ID = {"permit", "permit_change", "permit_cancel", "permit_reinstate", "permit_check"}


def address(name: str, permit: Permit) -> str:
    return url(name, permit.pk) if name in WITH_ID else url(name)


# --- Access ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_a_viewer_reads(client: Client, member: Membership, place: Location, name: str) -> None:
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert client.get(address(name, PermitFactory(location=place))).status_code in (200, 286)


@pytest.mark.parametrize(
    ("method", "name"), [*(("get", name) for name in WRITE), *(("post", name) for name in POSTS)]
)
def test_a_viewer_writes_nothing(
    client: Client, member: Membership, place: Location, method: str, name: str
) -> None:
    permit = PermitFactory(location=place)
    client.force_login(MembershipFactory(company=member.company, role=Role.VIEWER).user)
    assert getattr(client, method)(address(name, permit)).status_code == 403
    assert Permit.objects.get(pk=permit.pk).revision == 1


@pytest.mark.parametrize(("method", "name"), [
    *(("get", name) for name in [*READ, *WRITE]), *(("post", name) for name in [*POSTS, "permit_check", "validity"])
])  # fmt: skip
def test_for_an_outsider_nothing_exists(client: Client, place: Location, method: str, name: str) -> None:
    permit = PermitFactory(location=place)
    client.force_login(MembershipFactory(role=Role.MANAGER).user)
    assert getattr(client, method)(address(name, permit)).status_code == 404
    assert Permit.objects.get(pk=permit.pk).revision == 1


@pytest.mark.parametrize("name", sorted(WITH_ID))
def test_a_permit_of_another_company_does_not_exist_below_ones_own(operator: Client, name: str) -> None:
    foreign = PermitFactory()
    assert operator.post(url(name, foreign.pk)).status_code in (404, 405)
    assert operator.get(url(name, foreign.pk)).status_code in (404, 405)


def test_someone_who_is_not_signed_in_is_asked_to_sign_in(client: Client, place: Location) -> None:
    response = client.get(url("permits"))
    assert response.status_code == 302
    assert "login" in response.headers["Location"]


def test_support_sees_every_company(client: Client, place: Location) -> None:
    PermitFactory(location=place, plate="ABC1234")
    client.force_login(UserFactory(support=True))
    assert plates(client.get(url("permits"))) == ["ABC1234"]


# --- What none may contain--------------------------------------------------------------------------------


def test_names_that_look_like_markup_stay_text(operator: Client, member: Membership) -> None:
    place = LocationFactory(company=member.company, name="<script>alert(1)</script>")
    permit = PermitFactory(location=place, type="<b>x</b>", unit="<i>")
    for page in (
        url("permits"),
        url("permit", permit.pk),
        url("permit_change", permit.pk),
        url("permit_add"),
    ):
        body = operator.get(page).content.decode()
        assert "<script>alert" not in body
        assert "<b>x</b>" not in body


# --- What pages cost -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query", ["", "?q=ABC", "?push=waiting&q=ABC&when=current", "?push=unprotected", "?before=1"]
)
def test_the_list_costs_the_same_however_many_rows_it_has(
    operator: Client, place: Location, query: str
) -> None:
    counts = []
    for _round in range(2):
        for _number in range(5):
            accept(PermitFactory(location=place))
            PermitFactory(location=place)
        answer = operator.get(url("permits") + query, follow=True)
        address = f"{answer.request['PATH_INFO']}?{answer.request['QUERY_STRING']}"
        with CaptureQueriesContext(db) as queries:
            assert operator.get(address).status_code == 200
        counts.append(len(queries))
    assert counts[1] <= counts[0]
    assert counts[1] <= MAX_QUERIES


def test_no_page_needs_more_than_fifteen_queries(
    operator: Client, place: Location, vendor: FakeVendor, django_assert_max_num_queries: Any
) -> None:
    permit = PermitFactory(location=place, plate="ABC1234")
    PermitFactory(location=place, plate="ABCI234")
    accept(permit)
    for page in (
        url("permit_add"),
        url("permit", permit.pk),
        url("permit_change", permit.pk),
        url("permit_cancel", permit.pk),
    ):
        with django_assert_max_num_queries(MAX_QUERIES):
            assert operator.get(page).status_code == 200
    for page, data in (
        (url("permit_hints"), typed(place, plate="ABCI234")),
        (url("permits_cancel"), {"permit": permit.pk}),
        (url("permit_check", permit.pk), {}),
        (url("validity"), {"plate": "ABC1234", "location": place.pk}),
    ):
        with django_assert_max_num_queries(MAX_QUERIES):
            assert operator.post(page, data).status_code in (200, 302)


def test_pages_hold_the_content_security_policy(operator: Client, place: Location) -> None:
    permit = PermitFactory(location=place)
    for page in (url("permits"), url("permit_add"), url("permit", permit.pk), url("validity")):
        body = operator.get(page).content.decode()
        assert not re.search(r"<[^>]+\sstyle=", body)
        assert not re.search(r"<[^>]+\son[a-z]+=", body)
        assert not re.search(r"<script(?![^>]+src=)", body)
