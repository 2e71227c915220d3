"""Every address × every role × own and foreign company.

The table says, for each address and method, the least role that is let in. An address that is not in the table fails the
test, so that nobody adds a page without saying who may see it. *Let in* is any answer of the page itself (a page, a form
with errors, a redirect within the company); 403 is for members whose role does not reach; for everybody else there is
nothing (404).
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse
from django.utils import timezone

from integrations.models import Connection, Contact, Notice, Push, StatusLink, TestPlate, ZoneRefresh
from integrations.notifications import signed_links
from locations.access import SUPPORT
from locations.invitations import invite_person, token_of
from locations.models import Role
from tests.factories import MembershipFactory, PermitFactory, UserFactory
from tests.fakes import fake_vendor
from tests.pages import World, signed_in, take_refreshes

pytestmark = pytest.mark.django_db

ROLES = ("anonymous", "outsider", "viewer", "operator", "manager", "support")
LET_IN = {200, 202, 204, 286, 302, 303, 400, 409, 410, 422}
VIEWER, OPERATOR, MANAGER = Role.VIEWER.value, Role.OPERATOR.value, Role.MANAGER.value
ANYBODY, SIGNED_IN = "anybody", "signed in"


@dataclass(frozen=True)
class Access:
    """Who is let in by each method (None: the method is not for anybody), and what the address is filled with."""

    get: str | None = None
    post: str | None = None
    pk: str = ""
    link: str = ""
    data: dict[str, str] = field(default_factory=dict)


COMPANY: dict[str, Access] = {
    # Overview, locations, zones
    "overview": Access(get=VIEWER),
    "locations": Access(get=VIEWER),
    "location_add": Access(get=OPERATOR, post=OPERATOR),
    "location_change": Access(get=VIEWER, post=OPERATOR, pk="location"),
    "location_map": Access(get=OPERATOR, post=OPERATOR, pk="location"),
    "locations_map": Access(post=OPERATOR),
    "suggestions_accept": Access(post=OPERATOR),
    "zone_options": Access(get=OPERATOR),
    "zones": Access(get=VIEWER),
    "zone": Access(get=VIEWER, pk="zone"),
    "zones_refresh": Access(post=OPERATOR),
    "zone_refreshes": Access(get=VIEWER),
    "zone_refresh": Access(get=VIEWER, pk="refresh"),
    "zone_refresh_decide": Access(post=SUPPORT, pk="refresh"),
    # Permits
    "permits": Access(get=VIEWER),
    "permits_search": Access(post=VIEWER),
    "permit_add": Access(get=OPERATOR, post=OPERATOR),
    "permit_hints": Access(post=OPERATOR),
    "permit_states": Access(get=VIEWER),
    "permits_cancel": Access(post=OPERATOR),
    "permits_reinstate": Access(post=OPERATOR),
    "permit": Access(get=VIEWER, pk="permit"),
    "permit_change": Access(get=OPERATOR, post=OPERATOR, pk="permit"),
    "permit_cancel": Access(get=OPERATOR, post=OPERATOR, pk="permit"),
    "permit_reinstate": Access(post=OPERATOR, pk="permit"),
    "permit_check": Access(post=VIEWER, pk="permit"),
    "permit_held": Access(get=VIEWER, pk="permit"),
    "validity": Access(get=VIEWER, post=VIEWER),
    # Activity
    "activity": Access(get=VIEWER),
    "push": Access(get=VIEWER, pk="push"),
    "refused": Access(get=VIEWER),
    "retry": Access(post=OPERATOR, data={"reason": "x"}),
    "activity_people": Access(get=VIEWER),
    "security_log": Access(get=MANAGER),
    "security_log_csv": Access(get=MANAGER),
    # Settings
    "settings": Access(get=VIEWER),
    "settings_company": Access(get=VIEWER, post=MANAGER),
    "invite": Access(post=MANAGER),
    "invitation_withdraw": Access(post=MANAGER, pk="invitation"),
    "member_change": Access(post=MANAGER, pk="member"),
    "member_remove": Access(get=MANAGER, post=MANAGER, pk="member"),
    "notifications": Access(get=VIEWER, post=VIEWER),
    "contacts": Access(get=VIEWER, post=OPERATOR),
    "contact_remove": Access(post=OPERATOR, pk="contact"),
    # Set-up
    "setup": Access(get=VIEWER),
    "setup_another": Access(get=OPERATOR, post=OPERATOR),
    "setup_begin_request": Access(post=OPERATOR),
    "setup_begin_operator_id": Access(post=OPERATOR),
    "setup_connection": Access(get=VIEWER, pk="connection"),
    "setup_request": Access(post=OPERATOR, pk="connection"),
    "setup_contact": Access(post=SUPPORT, pk="connection"),
    "setup_confirm_operator": Access(post=SUPPORT, pk="connection"),
    "setup_operator_id": Access(post=OPERATOR, pk="connection"),
    "setup_recheck": Access(post=OPERATOR, pk="connection"),
    "setup_set_up": Access(post=OPERATOR, pk="connection"),
    "setup_test": Access(post=OPERATOR, pk="connection"),
    "setup_check_plates": Access(post=OPERATOR, pk="connection"),
    "setup_live": Access(post=OPERATOR, pk="connection"),
    "setup_pause": Access(post=MANAGER, pk="connection"),
    "setup_resume": Access(post=MANAGER, pk="connection"),
    "status_link_make": Access(post=OPERATOR, pk="connection"),
    "status_link_renew": Access(post=OPERATOR, pk="connection", link="status_link"),
    "status_link_revoke": Access(post=OPERATOR, pk="connection", link="status_link"),
    "test_plate": Access(get=VIEWER, pk="test_plate"),
    "test_plate_answer": Access(post=OPERATOR, pk="test_plate"),
    "test_plate_ask": Access(post=OPERATOR, pk="test_plate"),
    "test_plate_withdraw": Access(post=OPERATOR, pk="test_plate"),
    "doctor": Access(get=VIEWER, post=VIEWER),
    "notice_dismiss": Access(post=OPERATOR, pk="notice"),
}
# Outside of any company. The tokens of the last three are what lets in.
OTHERS: dict[str, Access] = {
    "home": Access(get=SIGNED_IN),
    "companies": Access(get=SUPPORT),
    "company_add": Access(get=SUPPORT, post=SUPPORT),
    "setups": Access(get=SUPPORT),
    "security_log_all": Access(get=SUPPORT),
    "security_log_all_csv": Access(get=SUPPORT),
    "support_notice_dismiss": Access(post=SUPPORT),
    "support_notifications": Access(get=SUPPORT, post=SUPPORT),
    "healthz": Access(get=ANYBODY),
    "styleguide": Access(get=ANYBODY),
    "styleguide_part": Access(get=ANYBODY),
    "styleguide_zones": Access(get=ANYBODY),
    "invitation": Access(get=ANYBODY, post=ANYBODY),
    "test_answer": Access(get=ANYBODY, post=ANYBODY),
    "status_page": Access(get=ANYBODY),
}
# Signing in, by `django-allauth`: what somebody needs who is not in yet, and what a person does with their own account.
SIGN_IN = frozenset({
    "account_login", "account_logout", "account_inactive", "account_signup", "account_email_verification_sent",
    "account_confirm_email", "account_reset_password", "account_reset_password_done",
    "account_reset_password_from_key", "account_reset_password_from_key_done",
})  # fmt: skip
OWN_ACCOUNT = frozenset({
    "account_reauthenticate", "account_email", "account_change_password", "account_set_password", "mfa_index",
    "mfa_reauthenticate", "mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes",
    "mfa_generate_recovery_codes", "mfa_download_recovery_codes", "usersessions_list", "mfa_list_webauthn",
    "mfa_add_webauthn", "mfa_edit_webauthn", "mfa_remove_webauthn", "mfa_reauthenticate_webauthn",
    # The second half of a sign-in: without the first there is nothing to go on with.
    "mfa_authenticate", "account_confirm_login_code",
})  # fmt: skip
ACCOUNTS, ADMIN = "accounts/", "admin/"


def names(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Return (address, name) of every address of the project."""
    for one in patterns:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from names(one.url_patterns, route)
        else:
            yield route, one.name or ""


def test_every_address_is_in_the_table() -> None:
    found = {name for route, name in names(get_resolver().url_patterns) if not route.startswith(ADMIN)}
    assert found == COMPANY.keys() | OTHERS.keys() | SIGN_IN | OWN_ACCOUNT


def test_every_page_of_a_company_is_below_its_address() -> None:
    routes = {name: route for route, name in names(get_resolver().url_patterns)}
    assert all(routes[name].startswith("c/<slug:company_slug>/") for name in COMPANY)


@dataclass
class Side:
    """A company with one of each thing that an address can name."""

    world: World
    things: dict[str, Any]

    def url(self, name: str, access: Access, of: "Side | None" = None) -> str:
        """Return the address of a page; `of` takes the things from another company."""
        things = (of or self).things
        args = [things[key].pk for key in (access.pk, access.link) if key]
        return self.world.url(name, *args)


def build_side() -> Side:
    """Make a company with one of each thing."""
    world, now = World.build(), timezone.now()
    # Verified by a test, or only support could set it live.
    Connection.objects.filter(pk=world.connection.pk).update(verified_at=now)
    zone = world.zone("Z1")
    location = world.location("Lot", zone)
    permit = PermitFactory(location=location)
    at = {"started_at": now, "finished_at": now, "outcome": ZoneRefresh.Outcome.HELD}
    test_permit = PermitFactory(location=location, is_test=True)
    things = {
        "location": location,
        "zone": zone,
        "permit": permit,
        "connection": world.connection,
        "refresh": ZoneRefresh.objects.create(connection=world.connection, **at),
        "push": Push.objects.create(
            connection=world.connection, kind="started", events=1, sent_at=now, answered_at=now, trace_id="t",
            outcome="accepted",
        ),
        "member": MembershipFactory(company=world.company, role=VIEWER),
        "invitation": invite_person(
            company=world.company, email="invited@example.org", role=VIEWER, actor=UserFactory(support=True)
        ),
        "contact": Contact.objects.create(company=world.company, kind="enforcement", email="o@example.org"),
        "status_link": StatusLink.objects.create(connection=world.connection, created_at=now),
        "notice": Notice.objects.create(company=world.company, kind="live", text="Live.", created_at=now),
        "test_plate": TestPlate.objects.create(
            connection=world.connection, location=location, zone=zone, permit=test_permit, saved_at=now
        ),
    }  # fmt: skip
    return Side(world, things)


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
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No page of this table reaches a vendor or a worker."""
    take_refreshes(monkeypatch, lambda _pk: None)
    with fake_vendor():
        yield


def ask(client: Client, method: str, url: str, data: dict[str, str]) -> HttpResponse:
    """Ask for a page and undo what it did."""
    with contextlib.suppress(_Undo), transaction.atomic():
        answer: HttpResponse = getattr(client, method)(url, data if method == "post" else None)
        raise _Undo
    return answer


class _Undo(Exception):
    """Raised to roll back."""


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


def address(name: str, own: Side) -> str:
    """Return the address of a page outside of companies, with a token that works."""
    if name == "invitation":
        return reverse(name, args=[token_of(own.things["invitation"].pk)])
    if name == "status_page":
        return reverse(name, args=[signed_links.status_token(own.things["status_link"])])
    if name == "test_answer":
        test = own.things["test_plate"]
        issue = signed_links.issue_of(timezone.now() + timedelta(hours=1))
        TestPlate.objects.filter(pk=test.pk).update(
            link_hash=signed_links.fingerprint(test.pk, issue),
            link_expires_at=timezone.now() + timedelta(hours=1),
        )
        return reverse(name, args=[signed_links.test_token(signed_links.TestLink(test.pk, issue, 0))])
    if name == "support_notice_dismiss":
        return reverse(
            name, args=[Notice.objects.create(kind="held", text="Held.", created_at=timezone.now()).pk]
        )
    return reverse(name)


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


# --- Accounts and the admin -------------------------------------------------------------------------------------------


def filled(name: str, prefix: str = "") -> str:
    """Return an address by its name, with something made up for each part that it asks for."""
    for parts in (0, 1, 2):
        with contextlib.suppress(NoReverseMatch):
            return reverse(prefix + name, args=["1"] * parts)
    raise AssertionError(name)


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


def test_nothing_of_the_admin_opens_to_anybody_but_support(clients: dict[str, Client]) -> None:
    found = {name for route, name in names(get_resolver().url_patterns) if route.startswith(ADMIN) and name}
    urls = [reverse("admin:app_list", args=["locations"])]
    urls += [filled(name, "admin:") for name in sorted(found - {"login", "app_list", "view_on_site"})]
    for url in urls:
        for method in ("get", "post"):
            for role in ROLES[:-1]:
                answer = ask(clients[role], method, url, {})
                assert answer.status_code == 302, f"{role} {method} {url}"
                # Who is not let in can't sign out of it either: that leads to its start, and on to signing in.
                there = reverse("admin:index" if "logout" in url else "admin:login")
                assert answer["Location"].partition("?")[0] == there, f"{role} {method} {url}"
    for role in ROLES[1:-1]:
        assert clients[role].get("/admin/login/").status_code == 403
    assert clients["support"].get("/admin/").status_code == 200
