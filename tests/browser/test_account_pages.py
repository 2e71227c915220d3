"""Signing in and a person's own pages, in a real browser: the story, accessibility, the policy."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from playwright.sync_api import expect

from locations.models import Company, User
from tests.browser.face import Watched
from tests.factories import PASSWORD, LocationFactory, MembershipFactory, UserFactory

Open = Callable[..., Watched]
SignIn = Callable[[Watched, str, User], None]

pytestmark = pytest.mark.django_db(transaction=True)

OWN_PAGES = ("password/change/", "2fa/", "sessions/", "email/", "logout/")


def totp_code(secret: str) -> str:
    """The code that an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time()))))


@pytest.fixture
def person() -> User:
    user = UserFactory(first_name="Olivia", last_name="Operator")
    MembershipFactory(user=user, company__name="University", company__slug="university")
    return user


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_signing_in_says_what_is_wrong_and_lets_the_right_person_in(
    open_page: Open, live_server: Any, person: User, scheme: str, width: int
) -> None:
    watched = open_page(scheme=scheme, width=width)
    page = watched.page
    watched.go(f"{live_server.url}/accounts/login/")
    watched.shot(f"sign-in-{scheme}-{width}", full=False)
    watched.check()
    watched.check_axe()
    page.get_by_label("Email address").fill(person.email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    watched.check_axe()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/accounts/login" not in url)
    watched.go(f"{live_server.url}/accounts/sessions/")
    expect(page.get_by_role("heading", name="Where you are signed in")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1440)])
def test_a_persons_own_pages_are_accessible_and_keep_to_the_policy(
    open_page: Open, live_server: Any, sign_in: SignIn, person: User, scheme: str, width: int
) -> None:
    watched = open_page(scheme=scheme, width=width)
    sign_in(watched, live_server.url, person)
    for path in OWN_PAGES:
        watched.go(f"{live_server.url}/accounts/{path}")
        watched.check()
        watched.check_axe()
        watched.shot(f"account-{path.strip('/')}-{scheme}-{width}", full=False)


@pytest.mark.parametrize("path", ["/accounts/password/reset/", "/accounts/signup/", "/no-such-page/"])
def test_the_pages_for_strangers_are_accessible(open_page: Open, live_server: Any, path: str) -> None:
    watched = open_page(scheme="dark", width=390)
    watched.go(f"{live_server.url}{path}")
    watched.errors.clear()  # the browser notes the 404 of the page that does not exist
    watched.check()
    watched.check_axe()


def test_two_step_sign_in_is_turned_on_and_then_asked_for(
    open_page: Open, live_server: Any, person: User
) -> None:
    watched = open_page()
    page = watched.page

    def sign_in_by_password() -> None:
        watched.go(f"{live_server.url}/accounts/login/")
        page.get_by_label("Email address").fill(person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)

    sign_in_by_password()
    watched.errors.clear()
    watched.go(f"{live_server.url}/accounts/2fa/")
    page.get_by_role("link", name="Turn on").click()
    expect(page.get_by_role("heading", name="Confirm that it's you")).to_be_visible()
    watched.check_axe()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    watched.check()
    watched.check_axe()
    watched.shot("two-step-turn-on", full=False)
    page.get_by_label("Code from the app").fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.locator("#id_code[aria-invalid=true]")).to_be_visible()
    watched.check_axe()
    page.get_by_label("Code from the app").fill(
        totp_code(page.get_by_label("Or enter this secret").input_value())
    )
    page.get_by_role("button", name="Turn on").click()
    codes = page.get_by_role("list", name="Unused codes").get_by_role("listitem")
    expect(codes).to_have_count(10)
    first_code = codes.first.inner_text()
    watched.check()
    watched.check_axe()
    watched.shot("two-step-codes", full=False)
    watched.go(f"{live_server.url}/accounts/2fa/")
    expect(page.get_by_text("Two-step sign-in is on.")).to_be_visible()
    watched.check_axe()
    watched.shot("two-step-on", full=False)

    page.context.clear_cookies()
    sign_in_by_password()
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    watched.check_axe()
    watched.shot("two-step-asked", full=False)
    page.get_by_role("textbox").fill(first_code)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/accounts/2fa/authenticate" not in url)
    watched.go(f"{live_server.url}/accounts/2fa/")
    expect(page.get_by_text("9 of 10 codes are unused.")).to_be_visible()


def add_virtual_authenticator(watched: Watched) -> None:
    """Give the page a built-in authenticator whose owner always agrees."""
    devtools = watched.page.context.new_cdp_session(watched.page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_a_passkey_is_added_and_is_the_second_step_from_then_on(
    open_page: Open, live_server: Any, person: User, scheme: str, width: int
) -> None:
    watched = open_page(scheme=scheme, width=width)
    page = watched.page

    def look(name: str) -> None:
        watched.check()
        watched.check_axe("main")
        watched.shot(f"passkey-{name}-{scheme}-{width}", full=False)

    def sign_in_by_password() -> None:
        watched.go(f"{live_server.url}/accounts/login/")
        page.get_by_label("Email address").fill(person.email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)

    add_virtual_authenticator(watched)
    sign_in_by_password()
    watched.errors.clear()
    watched.go(f"{live_server.url}/accounts/2fa/")
    look("off")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    page.get_by_label("Name").fill("My <phone>")
    look("add")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("list", name="Unused codes").get_by_role("listitem")).to_have_count(10)
    watched.go(f"{live_server.url}/accounts/2fa/")
    expect(page.get_by_text("You have 1 passkey.")).to_be_visible()
    look("on")

    page.context.clear_cookies()
    sign_in_by_password()
    expect(page.get_by_role("heading", name="Second step")).to_be_visible()
    look("asked")
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(lambda url: "/accounts/2fa/authenticate" not in url)

    # It also proves that it is still the same person, where that is asked.
    watched.go(f"{live_server.url}/accounts/2fa/webauthn/")
    expect(page.get_by_text("My <phone>", exact=True)).to_be_visible()
    look("list")
    page.get_by_role("link", name="Rename My <phone>").click()
    expect(page.get_by_role("heading", name="Confirm that it's you")).to_be_visible()
    page.get_by_role("link", name="Use a passkey").click()
    look("reauthenticate")
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_label("Name").fill("Telephone")
    look("rename")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("link", name="Remove Telephone").click()
    look("remove")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("No passkeys yet.")).to_be_visible()
    assert not Authenticator.objects.exists()


def test_a_failed_passkey_is_reported_on_the_page(
    open_page: Open, live_server: Any, sign_in: SignIn, person: User
) -> None:
    watched = open_page()
    page = watched.page
    sign_in(watched, live_server.url, person)
    watched.go(f"{live_server.url}/accounts/2fa/webauthn/add/")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("alert")).to_be_hidden()
    page.evaluate(
        "() => { navigator.credentials.create = () => Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    )
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("That didn't work")
    watched.check()
    watched.check_axe()
    watched.shot("passkey-not-made", full=False)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_admin_keeps_to_the_policy_and_is_coloured_to_match(
    open_page: Open, live_server: Any, sign_in: SignIn, person: User, scheme: str
) -> None:
    company = Company.objects.get(slug="university")
    LocationFactory(company=company)
    watched = open_page(scheme=scheme)
    page = watched.page
    sign_in(watched, live_server.url, UserFactory(support=True))
    for path in (
        "",
        "locations/company/",
        f"locations/company/{company.pk}/change/",
        f"locations/company/{company.pk}/history/",
        f"locations/user/{person.pk}/change/",
        "locations/location/",
        "integrations/connection/",
        "integrations/push/",
    ):
        response = watched.go(f"{live_server.url}/admin/{path}")
        assert response is not None
        assert response.status == 200, path
        watched.check()
        watched.check_axe()
        watched.shot(f"admin-{path.strip('/') or 'start'}-{scheme}", full=False)
    header = page.evaluate("getComputedStyle(document.querySelector('#header')).backgroundColor")
    assert header == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(26, 32, 44)")
    page.get_by_role("button", name="Toggle theme").click()
    watched.check()
    page.get_by_role("link", name="Back to the dashboard").click()
    expect(page).to_have_url(f"{live_server.url}/companies/")
