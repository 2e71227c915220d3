"""The shell: what the side bar shows to whom, in at most two queries."""

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from locations.models import Company, User
from offstreet.context import SWITCHER_LIMIT, Shell, is_under
from tests.factories import CompanyFactory, LocationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def company() -> Company:
    return CompanyFactory(name="University", slug="university")


@pytest.fixture
def operator(company: Company) -> User:
    user = UserFactory(first_name="Olivia", last_name="Operator")
    MembershipFactory(user=user, company=company)
    return user


def request_of(
    user: object, path: str = "/", company: Company | None = None, role: str = "operator"
) -> HttpRequest:
    request = RequestFactory().get(path)
    request.user = user  # type: ignore[assignment]
    if company is not None:
        request.company, request.membership_role = company, role  # type: ignore[attr-defined]
    return request


def test_the_side_bar_marks_where_we_are(company: Company, operator: User) -> None:
    for path, label in {
        "/c/university/": "Overview",
        "/c/university/locations/": "Locations & zones",
        "/c/university/zones/": "Locations & zones",
        "/c/university/permits/17/": "Permits",
    }.items():
        current = [item.label for item in Shell(request_of(operator, path, company)).nav if item.current]
        assert current == [label], path


def test_the_side_bar_counts_the_unmapped_locations_of_this_company_alone(
    company: Company, operator: User
) -> None:
    LocationFactory(company=company)
    LocationFactory(company=company, active=False)
    LocationFactory()
    counts = {item.label: item.count for item in Shell(request_of(operator, "/c/university/", company)).nav}
    assert counts["Locations & zones"] == 1
    assert sum(counts.values()) == 1


def test_the_whole_shell_costs_two_queries_at_most(
    company: Company, operator: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    MembershipFactory(user=operator)
    request = request_of(operator, "/c/university/", company)
    with django_assert_max_num_queries(2):
        page = render_to_string("base.html", request=request)
    assert "University" in page


def test_a_page_without_the_shell_asks_for_nothing(
    operator: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(0):
        render_to_string(
            "components/badge.html", {"tone": "info", "word": "x", "icon": "x"}, request=request_of(operator)
        )


def test_a_person_with_one_company_sees_its_side_bar_on_their_own_pages(
    company: Company, operator: User
) -> None:
    assert Shell(request_of(operator, "/accounts/2fa/")).company == company
    MembershipFactory(user=operator)
    assert Shell(request_of(operator, "/accounts/2fa/")).company is None


def test_who_has_more_companies_than_are_listed_gets_to_all_of_them(
    company: Company, operator: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for _ in range(SWITCHER_LIMIT - 1):
        MembershipFactory(user=operator)
    request = request_of(operator, "/c/university/", company)
    assert len(Shell(request).companies) == SWITCHER_LIMIT
    assert "All companies" not in render_to_string("base.html", request=request)
    MembershipFactory(user=operator)
    with django_assert_max_num_queries(2):
        page = render_to_string("base.html", request=request)
    # In the switcher and in the phone's menu; on a page outside of companies, in its list.
    assert page.count("All companies") == 2
    assert len(Shell(request).companies) == SWITCHER_LIMIT
    assert "All companies" in render_to_string("base.html", request=request_of(operator))


def test_support_sees_companies_and_admin_and_nobody_else_does(company: Company, operator: User) -> None:
    support = UserFactory(support=True)
    shell = Shell(request_of(support, "/admin/"))
    assert "Admin" in [item.label for item in shell.support_nav if item.current]
    assert shell.role == "Support"
    # On a company's page the switcher leads to all of the others.
    page = render_to_string("base.html", request=request_of(support, "/c/university/", company))
    assert page.count("All companies") == 2
    assert Shell(request_of(support)).all_companies_url == "/companies/"
    assert Shell(request_of(operator)).support_nav == []


def test_a_stranger_gets_a_page_without_names(django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_max_num_queries(0):
        page = render_to_string("404.html", request=request_of(AnonymousUser()))
    assert "Sign out" not in page


@pytest.mark.parametrize(
    ("path", "base", "under"),
    [
        ("/c/a/zones/", "/c/a/zones/", True),
        ("/c/a/zones/7/", "/c/a/zones/", True),
        ("/c/a/zonesx/", "/c/a/zones", False),
        ("/c/a/", "", False),
    ],
)
def test_an_address_is_under_another_by_whole_parts(path: str, base: str, under: bool) -> None:
    assert is_under(path, base) is under


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "405", "429", "500"])
def test_an_error_page_can_be_drawn_with_nothing_known(name: str) -> None:
    page = render_to_string(f"{name}.html")
    assert f">{name.partition('_')[0]}<" in page
    assert "{" not in page.split("<main")[1]
