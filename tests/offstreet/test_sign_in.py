"""Signing in: guessing is slowed down everywhere, a mailed link sets a password, and sessions can be ended."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import unquote

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.core import mail
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from locations.models import User
from offstreet.accounts import pause_s
from tests.factories import PASSWORD, UserFactory
from tests.pages import signed_in, text_of

pytestmark = pytest.mark.django_db
STRONG = "quite-a-long-passphrase-7"
LOGIN = "/accounts/login/"
# How many wrong passwords are allowed for one account and from one address (allauth's own limits).
TRIES_AT_ONE, TRIES_FROM_ONE = 5, 10


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    """Each test counts its attempts from zero."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def person() -> User:
    return UserFactory(email="olivia@university.example")


def try_password(email: str, password: str = "wrong", client: Client | None = None, via: str = "") -> Any:
    """Try to sign in; with `via`, through a proxy that writes it into X-Forwarded-For."""
    headers = {"X-Forwarded-For": via} if via else None
    return (client or Client()).post(LOGIN, {"login": email, "password": password}, headers=headers)


def is_in(client: Client) -> bool:
    """Whether someone is signed in."""
    return "_auth_user_id" in client.session


# --- Throttling -------------------------------------------------------------------------------------------------------


def test_after_a_few_wrong_passwords_the_right_one_has_to_wait(person: User) -> None:
    for _ in range(TRIES_AT_ONE):
        assert "Too many failed" not in text_of(try_password(person.email))
    client = Client()
    assert "Too many failed login attempts" in text_of(try_password(person.email, PASSWORD, client))
    assert not is_in(client)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        try_password(person.email, PASSWORD, client)
    assert is_in(client)


def test_guessing_at_one_account_locks_no_one_else_out(person: User) -> None:
    for _ in range(TRIES_AT_ONE + 1):
        try_password("somebody@university.example")
    client = Client()
    try_password(person.email, PASSWORD, client)
    assert is_in(client)


def test_a_guesser_is_locked_out_and_the_owner_elsewhere_is_not(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for _ in range(TRIES_AT_ONE):
        try_password(person.email, via="203.0.113.9")
    assert not sign_in_is_open(person, "203.0.113.9")
    assert sign_in_is_open(person, "198.51.100.7")
    # An owner who mistypes as often as allowed isn't slowed down by anyone else.
    for _ in range(TRIES_AT_ONE - 1):
        try_password(person.email, via="198.51.100.7")
    assert sign_in_is_open(person, "198.51.100.7")


def test_guessing_from_many_addresses_slows_each_of_them_down_and_locks_no_one_out(
    person: User, settings: Any
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(60):
        try_password(person.email, via=f"203.0.113.{number}")
    # A second attempt from there has to wait, though there were few; the first one from any address is allowed.
    assert not sign_in_is_open(person, "203.0.113.59")
    assert sign_in_is_open(person, "198.51.100.7")
    try_password(person.email, via="198.51.100.8")
    assert not sign_in_is_open(person, "198.51.100.8")
    with time_machine.travel(timezone.now() + timedelta(seconds=pause_s(61) + 1)):
        assert sign_in_is_open(person, "198.51.100.8")


def test_a_new_password_by_a_mailed_link_ends_the_pauses(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(60):
        try_password(person.email, via=f"203.0.113.{number}")
    try_password(person.email, via="198.51.100.7")
    link = ask_for_link(person.email)
    client = Client()
    client.post(client.get(link)["Location"], {"password1": STRONG, "password2": STRONG})
    fresh = Client()
    try_password(person.email, STRONG, fresh, "198.51.100.7")
    assert is_in(fresh)


def test_whole_networks_of_the_newer_kind_count_as_one_address(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(TRIES_AT_ONE):
        try_password(person.email, via=f"2001:db8:1:2::{number}")
    assert not sign_in_is_open(person, "2001:db8:1:2::99")
    assert sign_in_is_open(person, "2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (14, 0), (15, 30), (25, 130), (102, 900), (10_000, 900)]
)
def test_the_pause_grows_with_the_failures_of_the_last_hour(failures: int, seconds: int) -> None:
    assert pause_s(failures) == seconds


def test_failures_of_more_than_an_hour_ago_are_forgotten(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(60):
        try_password(person.email, via=f"203.0.113.{number}")
    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=1)):
        try_password(person.email, via="203.0.113.1")
        assert sign_in_is_open(person, "203.0.113.1")


def test_a_flood_of_attempts_gets_a_page_that_says_when_to_try_again() -> None:
    answers = [try_password(f"{number}@university.example") for number in range(31)]
    assert [answer.status_code for answer in answers].count(429) == 1
    assert "Too many attempts" in text_of(answers[-1])
    assert "os-plain" in text_of(answers[-1])


def sign_in_is_open(person: User, via: str) -> bool:
    """Whether the right password lets a person in from there."""
    client = Client()
    try_password(person.email, PASSWORD, client, via)
    return is_in(client)


def test_behind_a_proxy_each_visitor_is_counted_alone(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    for number in range(TRIES_FROM_ONE):
        try_password(f"{number}@university.example", via="203.0.113.9")
    assert not sign_in_is_open(person, "203.0.113.9")
    assert sign_in_is_open(person, "198.51.100.7")


@pytest.mark.parametrize("proxies", [1, 2])
def test_an_address_that_a_visitor_makes_up_does_not_hide_theirs(
    person: User, settings: Any, proxies: int
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    written = ", ".join(["203.0.113.9", "10.0.0.1"][:proxies])
    for number in range(TRIES_FROM_ONE):
        try_password(f"{number}@university.example", via=f"192.0.2.{number}, {written}")
    assert not sign_in_is_open(person, f"192.0.2.99, {written}")


def test_without_a_proxy_the_header_is_not_believed(person: User) -> None:
    for number in range(TRIES_FROM_ONE):
        try_password(f"{number}@university.example", via=f"192.0.2.{number}")
    assert not sign_in_is_open(person, "192.0.2.99")


# --- The admin's own sign-in ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("path", ["/admin/login/", "/admin/login/?next=/admin/"])
def test_the_admins_sign_in_is_the_products(method: str, path: str) -> None:
    support = UserFactory(support=True)
    client = Client()
    data = {"username": support.email, "password": PASSWORD} if method == "post" else None
    answer = getattr(client, method)(path, data, headers={"Referer": f"http://testserver{path}"})
    assert answer.status_code == 302
    assert unquote(answer["Location"]).startswith(f"{LOGIN}?next=/admin/")
    assert not is_in(client)


def test_a_password_alone_does_not_open_the_admin_to_someone_with_a_second_step() -> None:
    support = UserFactory(support=True)
    Authenticator.objects.create(user=support, type=Authenticator.Type.TOTP, data={"secret": "x"})
    client = Client()
    client.post("/admin/login/", {"username": support.email, "password": PASSWORD, "next": "/admin/"})
    assert not is_in(client)
    answer = client.post(f"{LOGIN}?next=/admin/", {"login": support.email, "password": PASSWORD})
    assert answer["Location"].startswith(reverse("mfa_authenticate"))
    assert not is_in(client)
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_who_is_signed_in_but_not_support_is_told_so_by_the_admin(person: User) -> None:
    client = signed_in(person)
    assert client.get("/admin/", follow=True).status_code == 403


def test_where_support_needs_two_steps_the_admin_leads_there_too(settings: Any) -> None:
    settings.MFA_REQUIRED_FOR_SUPPORT = True
    assert Client().get("/admin/login/")["Location"].startswith(LOGIN)
    client = signed_in(UserFactory(support=True))
    for path in ("/admin/", "/admin/login/", "/admin/password_change/"):
        assert client.get(path)["Location"] == reverse("mfa_index")


def test_a_password_is_changed_where_tries_are_counted() -> None:
    client = signed_in(UserFactory(support=True))
    for answer in (client.get("/admin/password_change/"), client.post("/admin/password_change/")):
        assert answer["Location"] == reverse("account_change_password")


# --- A forgotten password ---------------------------------------------------------------------------------------------


def ask_for_link(email: str) -> str:
    """Ask for a link to a new password; return its path, or "" where none was mailed."""
    answer = Client().post(reverse("account_reset_password"), {"email": email})
    assert answer["Location"] == reverse("account_reset_password_done")
    links = re.findall(r"https?://[^/\s]+(/accounts/password/reset/key/\S+)", str(mail.outbox[-1].body))
    return links[0] if links else ""


def test_a_forgotten_password_is_reset_by_a_mailed_link_that_works_once(person: User) -> None:
    elsewhere = signed_in(person)
    link = ask_for_link(person.email)
    assert mail.outbox[-1].to == [person.email]

    client = Client()
    form = client.get(link)["Location"]
    assert "password" in text_of(client.get(form))
    assert "too common" in text_of(client.post(form, {"password1": "12345678", "password2": "12345678"}))
    done = client.post(form, {"password1": STRONG, "password2": STRONG})
    assert done["Location"] == reverse("account_reset_password_from_key_done")

    assert not sign_in_is_open(person, "")
    fresh = Client()
    try_password(person.email, STRONG, fresh)
    assert is_in(fresh)
    # Anyone who knew the old password is signed out.
    assert elsewhere.get("/")["Location"].startswith(LOGIN)
    again = Client().get(link, follow=True)
    assert "password1" not in text_of(again)


def test_an_unknown_address_gets_the_same_answer_and_no_link(person: User) -> None:
    assert ask_for_link("stranger@university.example") == ""


# --- Sessions ---------------------------------------------------------------------------------------------------------


def test_the_list_shows_each_session_with_its_visitors_address(person: User, settings: Any) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    clients = [Client(), Client()]
    for number, client in enumerate(clients):
        try_password(person.email, PASSWORD, client, f"192.0.2.1, 203.0.113.{number}")
    page = text_of(clients[0].get(reverse("usersessions_list")))
    assert "203.0.113.0" in page
    assert "203.0.113.1" in page
    assert "192.0.2.1" not in page
    assert page.count("this browser") == 1


def test_signing_out_everywhere_else_ends_the_other_sessions_and_not_this_one(person: User) -> None:
    here, there, other = Client(), Client(), Client()
    for client in (here, there):
        try_password(person.email, PASSWORD, client)
    try_password(UserFactory(email="other@university.example").email, PASSWORD, other)
    where = reverse("usersessions_list")
    assert "Sign out everywhere else" in text_of(here.get(where))
    here.post(where)
    assert there.get(where)["Location"].startswith(LOGIN)
    assert here.get(where).status_code == 200
    assert other.get(where).status_code == 200
    assert UserSession.objects.filter(user=person).count() == 1
