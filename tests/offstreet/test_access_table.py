"""Every address × every role × own and foreign company.

*Let in* is any answer of the page itself (a page, a form with errors, a redirect within the company); 403 is for members
whose role doesn't allow it; for everyone else there is nothing (404).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from locations.access import SUPPORT
from tests.factories import MembershipFactory
from tests.fakes import fake_vendor
from tests.offstreet.access_table import (
    ADMIN,
    ANYBODY,
    COMPANY,
    MANAGER,
    OPERATOR,
    OTHERS,
    OWN_ACCOUNT,
    SIGN_IN,
    SIGNED_IN,
    VIEWER,
    Access,
    Side,
    address,
    ask,
    build_side,
    filled,
)
from tests.pages import signed_in, take_refreshes
from tests.routes import all_routes

pytestmark = pytest.mark.django_db
ROLES = ("anonymous", "outsider", "viewer", "operator", "manager", "support")
LET_IN = {200, 202, 204, 286, 301, 302, 303, 400, 409, 410, 422}


def test_every_address_is_in_the_table() -> None:
    found = {name for route, name in all_routes() if not route.startswith(ADMIN)}
    assert found == COMPANY.keys() | OTHERS.keys() | SIGN_IN | OWN_ACCOUNT


def test_every_page_of_a_company_is_below_its_address() -> None:
    routes = {name: route for route, name in all_routes()}
    assert all(routes[name].startswith("c/<slug:company_slug>/") for name in COMPANY)


@pytest.fixture
def own() -> Side:
    return build_side()


@pytest.fixture
def foreign() -> Side:
    return build_side()


@pytest.fixture
def clients(own: Side) -> dict[str, Client]:
    """A client for each role; members belong to `own`."""
    return {
        "anonymous": Client(),
        "outsider": signed_in(MembershipFactory(role=MANAGER).user),
        "viewer": own.world.viewer,
        "operator": own.world.operator,
        "manager": own.world.manager,
        "support": own.world.support,
    }


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> Iterator[None]:
    """No page of this table reaches a vendor or a worker; the demo's mailbox is there."""
    settings.DEMO_MAILBOX = str(tmp_path / "mail")
    take_refreshes(monkeypatch, lambda _pk: None)
    with fake_vendor():
        yield


def methods(access: Access) -> Iterator[tuple[str, str]]:
    """Return the methods of an address with the role that each needs."""
    for method, needed in (("get", access.get), ("post", access.post)):
        if needed is not None:
            yield method, needed


def reaches(role: str, needed: str) -> bool:
    """Whether a role is let in to its own company's page."""
    order = (VIEWER, OPERATOR, MANAGER, SUPPORT)
    return role in order and order.index(role) >= order.index(needed)


def verdict(answer: HttpResponse, url: str) -> str:
    """Return “sign in”, “403”, “404”, “let in”, or the status that should not be."""
    if answer.status_code == 302 and answer["Location"].startswith(reverse("account_login")):
        return "sign in"
    if answer.status_code in (403, 404):
        return str(answer.status_code)
    return "let in" if answer.status_code in LET_IN else f"{answer.status_code} at {url}"


@pytest.mark.parametrize("name", sorted(COMPANY))
def test_a_companys_page_lets_in_whom_the_table_says(
    name: str, own: Side, foreign: Side, clients: dict[str, Client]
) -> None:
    access = COMPANY[name]
    found, expected = {}, {}
    for method, needed in methods(access):
        for role in ROLES:
            for which, side in (("own", own), ("foreign", foreign)):
                key = (method, role, which)
                url = side.url(name, access)
                found[key] = verdict(ask(clients[role], method, url, access.data), url)
                if role == "anonymous":
                    expected[key] = "sign in"
                elif role == "outsider" or (which == "foreign" and role != "support"):
                    expected[key] = "404"
                else:
                    expected[key] = "let in" if reaches(role, needed) else "403"
    assert found == expected


@pytest.mark.parametrize("name", sorted(name for name, access in COMPANY.items() if access.pk))
def test_another_companys_thing_is_not_found_below_ones_own_address(
    name: str, own: Side, foreign: Side, clients: dict[str, Client]
) -> None:
    access = COMPANY[name]
    url = own.url(name, access, of=foreign)
    for method, _needed in methods(access):
        assert ask(clients["support"], method, url, access.data).status_code == 404
        if access.post != SUPPORT:
            assert ask(clients["manager"], method, url, access.data).status_code == 404


@pytest.mark.parametrize("name", sorted(COMPANY))
def test_an_unknown_company_is_not_found_by_support_either(
    name: str, own: Side, clients: dict[str, Client]
) -> None:
    access = COMPANY[name]
    url = own.url(name, access).replace(own.world.company.slug, "no-such-company")
    for method, _needed in methods(access):
        assert ask(clients["support"], method, url, access.data).status_code == 404


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_a_page_of_no_company_lets_in_whom_the_table_says(
    name: str, own: Side, clients: dict[str, Client]
) -> None:
    access, url = OTHERS[name], address(name, own)
    for method, needed in methods(access):
        for role in ROLES:
            found = verdict(ask(clients[role], method, url, access.data), url)
            if needed == ANYBODY or role == "support" or (needed == SIGNED_IN and role != "anonymous"):
                assert found == "let in", role
            else:
                assert found == ("sign in" if role == "anonymous" else "404"), role


@pytest.mark.parametrize("name", ["invitation", "test_answer", "status_page"])
def test_a_token_that_we_did_not_make_opens_nothing(name: str, clients: dict[str, Client]) -> None:
    for token in ("1", "1.x", "nonsense", "a" * 300):
        for client in clients.values():
            answer = client.get(reverse(name, args=[token]))
            assert answer.status_code in (404, 410)


# --- Accounts and the admin ------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("name", sorted(SIGN_IN | OWN_ACCOUNT))
def test_an_account_is_for_the_person_who_is_signed_in(
    name: str, method: str, clients: dict[str, Client]
) -> None:
    url = filled(name)
    asked_to_sign_in = verdict(ask(clients["anonymous"], method, url, {}), url) == "sign in"
    assert asked_to_sign_in == (name in OWN_ACCOUNT)


@pytest.mark.parametrize("name", sorted(OWN_ACCOUNT - {"mfa_authenticate", "account_confirm_login_code"}))
def test_every_role_gets_to_its_own_account(name: str, clients: dict[str, Client]) -> None:
    url = filled(name)
    for role in ROLES[1:]:
        # 404: what belongs to a second step, for who has none.
        assert verdict(ask(clients[role], "get", url, {}), url) in ("let in", "404"), role


def test_nothing_of_the_admin_opens_to_anyone_but_support(clients: dict[str, Client]) -> None:
    found = {name for route, name in all_routes() if route.startswith(ADMIN) and name}
    urls = [reverse("admin:app_list", args=["locations"])]
    urls += [filled(name, "admin:") for name in sorted(found - {"login", "app_list", "view_on_site"})]
    for url in urls:
        for method in ("get", "post"):
            for role in ROLES[:-1]:
                answer = ask(clients[role], method, url, {})
                assert answer.status_code == 302, f"{role} {method} {url}"
                # Someone who isn't let in can't sign out of it either: that redirects to its start page, then to signing in.
                there = reverse("admin:index" if "logout" in url else "admin:login")
                assert answer["Location"].partition("?")[0] == there, f"{role} {method} {url}"
    for role in ROLES[1:-1]:
        assert clients[role].get("/admin/login/").status_code == 403
    assert clients["support"].get("/admin/").status_code == 200
