"""A person's address: one for each account, and it counts only once a mailed link has verified it."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core import mail
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from locations.addresses import clean_address, has_verified_address, verify_address
from locations.invitations import accept_invitation, invite_person, token_of
from locations.models import Invitation, Membership, User
from tests.factories import PASSWORD, CompanyFactory, MembershipFactory, UserFactory
from tests.pages import World, reauthenticate, signed_in, text_of

pytestmark = pytest.mark.django_db
STRONG = "quite-a-long-passphrase-7"
OTHER = "another-long-passphrase-8"
EMAIL = "/accounts/email/"


@pytest.fixture(autouse=True)
def fresh_counts() -> Iterator[None]:
    """Each test counts its attempts from zero."""
    cache.clear()
    yield
    cache.clear()


def sign_in(email: str, password: str) -> Client:
    """Fill in the sign-in page and return the client, signed in or not."""
    client = Client()
    client.post(reverse("account_login"), {"login": email, "password": password})
    return client


def is_in(client: Client) -> bool:
    """Whether someone is signed in."""
    return "_auth_user_id" in client.session


def links_to(email: str) -> list[str]:
    """Return the paths of all links that were mailed to an address, oldest first."""
    sent = [one for one in mail.outbox if one.to == [email]]
    return [path for one in sent for path in re.findall(r"https?://[^/\s]+(/accounts/\S+)", str(one.body))]


def set_password(link: str, password: str) -> None:
    """Open a mailed link to a new password and set one, where the link works."""
    client = Client()
    answer = client.get(link)
    if answer.status_code == 302:
        client.post(answer["Location"], {"password1": password, "password2": password})


def reset_password(email: str, password: str) -> None:
    """Ask for a link to a new password and use it, where one is mailed."""
    own = email.lower()
    before = len(links_to(own))
    Client().post(reverse("account_reset_password"), {"email": email})
    for link in links_to(own)[before:]:
        if "/reset/key/" in link:
            set_password(link, password)


def invite(email: str, company: Any = None) -> Invitation:
    """Invite an address as an operator."""
    company = company or CompanyFactory()
    return invite_person(company=company, email=email, role="operator", actor=UserFactory(support=True))


def path_of(invitation: Invitation) -> str:
    """Return the address in the mail."""
    return reverse("invitation", args=[token_of(invitation.pk)])


# --- Taking over --------------------------------------------------------------------------------------------------


def test_who_claims_a_strangers_address_does_not_get_into_the_company_that_invites_the_stranger() -> None:
    own, victim = "mallory@a.example", "victim@b.example"
    mallory = MembershipFactory(user__email=own).user
    company = CompanyFactory(slug="theirs")

    attacker = sign_in(own, PASSWORD)
    reauthenticate(attacker)
    attacker.post(EMAIL, {"action_add": "", "email": victim})
    attacker.post(EMAIL, {"action_primary": "", "email": victim})

    path = path_of(invite(victim, company))
    visitor = Client()
    if "Sign in to join" in text_of(visitor.get(path)):
        reset_password(victim, STRONG)
        visitor = sign_in(victim, STRONG)
    visitor.post(path, {"password": STRONG})
    overview = reverse("overview", args=["theirs"])
    assert visitor.get(overview).status_code == 200

    for email in (own, victim):
        for password in (PASSWORD, STRONG):
            if (email, password) != (victim, STRONG):
                assert sign_in(email, password).get(overview).status_code != 200
    reset_password(own, OTHER)
    for email in (own, victim):
        assert sign_in(email, OTHER).get(overview).status_code != 200
    assert attacker.get(overview).status_code != 200
    assert not Membership.objects.filter(company=company, user=mallory).exists()


def test_who_already_waits_with_a_strangers_address_gains_nothing_either() -> None:
    # Like accounts from before addresses had to be verified: a claimed address, with the old one kept beside it.
    victim, company = "victim@b.example", CompanyFactory(slug="theirs")
    mallory = UserFactory(email=victim, verified=False)
    EmailAddress.objects.create(user=mallory, email="mallory@a.example", verified=True)
    path = path_of(invite(victim, company))
    assert "Sign in to join" in text_of(Client().get(path))
    sent = Client().post(path, {"password": STRONG})
    assert sent.status_code == 422
    assert "Sign in with it to accept the invitation." in text_of(sent)
    reset_password(victim, STRONG)
    assert links_to(victim) == [one for one in links_to(victim) if "/reset/key/" not in one]
    client = signed_in(mallory)
    answer = client.post(path)
    assert answer.status_code == 422
    assert "Confirm your email address first" in text_of(answer)
    assert not Membership.objects.filter(company=company).exists()
    assert not is_in(sign_in(victim, PASSWORD))


# --- Verified addresses alone ---------------------------------------------------------------------------------------


def test_who_signs_in_with_an_unverified_address_gets_a_link_to_confirm_it_first() -> None:
    person = UserFactory(email="kim@example.org", verified=False)
    client = sign_in(person.email, PASSWORD)
    assert not is_in(client)
    link = links_to(person.email)[-1]
    assert "confirm-email" in link
    assert not is_in(sign_in(person.email, PASSWORD))
    # Opening it changes nothing: mail scanners open links.
    assert "kim@example.org" in text_of(Client().get(link))
    assert not has_verified_address(person)
    Client().post(link)
    assert has_verified_address(person)
    assert is_in(sign_in(person.email, PASSWORD))


def test_a_link_to_a_new_password_goes_to_a_verified_address_alone_and_the_answer_is_the_same() -> None:
    UserFactory(email="yes@example.org")
    UserFactory(email="no@example.org", verified=False)
    answers = {
        email: Client().post(reverse("account_reset_password"), {"email": email})
        for email in ("yes@example.org", "no@example.org", "nobody@example.org")
    }
    assert {(one.status_code, one["Location"]) for one in answers.values()} == {
        (302, reverse("account_reset_password_done"))
    }
    with_link = [one.to for one in mail.outbox if "/reset/key/" in one.body]
    assert with_link == [["yes@example.org"]]


def test_the_page_of_an_invitation_reveals_nothing_about_an_unused_account() -> None:
    waiting = UserFactory(email="kim@example.org", verified=False)
    waiting.set_unusable_password()
    waiting.save()
    assert "Set the password and join" in text_of(Client().get(path_of(invite(waiting.email))))


def test_an_account_that_support_has_made_becomes_the_invited_persons() -> None:
    waiting = UserFactory(email="kim@example.org", verified=False)
    waiting.set_unusable_password()
    waiting.save()
    made = invite("Kim@example.org")
    visitor = Client()
    visitor.post(path_of(made), {"first_name": "Kim", "last_name": "Lee", "password": STRONG})
    waiting.refresh_from_db()
    assert waiting.label == "Kim Lee"
    assert has_verified_address(waiting)
    assert is_in(visitor)
    assert Membership.objects.get(company=made.company).user == waiting
    assert is_in(sign_in("kim@example.org", STRONG))


def test_an_inactive_account_is_not_taken_over_by_an_invitation() -> None:
    gone = UserFactory(email="kim@example.org", verified=False, is_active=False)
    gone.set_unusable_password()
    gone.save()
    assert Client().post(path_of(invite(gone.email)), {"password": STRONG}).status_code == 422
    gone.refresh_from_db()
    assert not gone.has_usable_password()


def test_joining_as_a_new_person_verifies_the_address() -> None:
    Client().post(path_of(invite("New@example.org")), {"password": STRONG})
    person = User.objects.get(email="new@example.org")
    assert has_verified_address(person)
    assert is_in(sign_in("NEW@example.org", STRONG))


# --- One address, in one case ---------------------------------------------------------------------------------------


def test_an_address_is_one_in_any_case() -> None:
    person = UserFactory(email="Kim.Lee@Example.org")
    assert person.email == "kim.lee@example.org"
    assert is_in(sign_in("KIM.LEE@example.org", PASSWORD))
    assert User.objects.get_by_natural_key("Kim.Lee@example.ORG") == person
    reset_password("KIM.lee@example.org", STRONG)
    assert is_in(sign_in("kim.lee@example.org", STRONG))
    made = invite("kim.LEE@example.org")
    assert "Sign in to join" in text_of(Client().get(path_of(made)))
    assert accept_invitation(invitation=made, user=person).user == person


@pytest.mark.parametrize("typed", ["\u017fam@example.org", "\u212aim@example.org", "jos\u00e9@example.org"])
def test_letters_that_fold_to_others_are_no_part_of_an_address(typed: str) -> None:
    with pytest.raises(ValidationError, match="without accents"):
        clean_address(typed)
    world = World.build()
    answer = world.manager.post(world.url("invite"), {"email": typed, "role": "viewer"})
    assert answer.status_code == 422
    client = signed_in(UserFactory())
    reauthenticate(client)
    client.post(EMAIL, {"action_add": "", "email": typed})
    assert all(email.isascii() for email in EmailAddress.objects.values_list("email", flat=True))
    assert all(to.isascii() for one in mail.outbox for to in one.to)


# --- Changing it ----------------------------------------------------------------------------------------------------


def test_an_address_changes_once_the_new_one_is_confirmed_and_the_old_one_opens_nothing_any_more() -> None:
    person = UserFactory(email="old@example.org")
    client = signed_in(person)
    assert client.post(EMAIL, {"action_add": "", "email": "new@example.org"})["Location"].startswith(
        reverse("account_reauthenticate")
    )
    reauthenticate(client)
    client.post(EMAIL, {"action_add": "", "email": "new@example.org"})
    person.refresh_from_db()
    assert person.email == "old@example.org"
    assert "open the link in the email that was sent there" in text_of(client.get(EMAIL))
    assert is_in(sign_in("old@example.org", PASSWORD))

    client.post(links_to("new@example.org")[-1])
    person.refresh_from_db()
    assert person.email == "new@example.org"
    assert list(EmailAddress.objects.values_list("email", "verified", "primary")) == [
        ("new@example.org", True, True)
    ]
    assert not is_in(sign_in("old@example.org", PASSWORD))
    assert is_in(sign_in("new@example.org", PASSWORD))
    # If someone else did it, the owner learns of it at the address that they still read.
    assert any(one.to == ["old@example.org"] and "new@example.org" in one.body for one in mail.outbox)


def test_an_account_has_no_second_address() -> None:
    person = UserFactory(email="old@example.org")
    client = signed_in(person)
    reauthenticate(client)
    for email in ("one@example.org", "two@example.org"):
        client.post(EMAIL, {"action_add": "", "email": email})
        client.post(EMAIL, {"action_primary": "", "email": email})
    person.refresh_from_db()
    assert person.email == "old@example.org"
    assert set(EmailAddress.objects.values_list("email", "verified")) == {
        ("old@example.org", True),
        ("two@example.org", False),
    }
    # The link to the address that was abandoned before confirms nothing.
    client.post(links_to("one@example.org")[-1])
    assert not EmailAddress.objects.filter(email="one@example.org").exists()


def test_an_address_that_another_account_has_is_neither_revealed_nor_taken() -> None:
    other, person = UserFactory(email="taken@example.org"), UserFactory(email="own@example.org")
    client = signed_in(person)
    reauthenticate(client)
    asked = client.post(EMAIL, {"action_add": "", "email": "taken@example.org"})
    free = signed_in(UserFactory())
    reauthenticate(free)
    assert asked.status_code == free.post(EMAIL, {"action_add": "", "email": "free@example.org"}).status_code
    answer = client.post(links_to("taken@example.org")[-1], follow=True)
    assert answer.status_code == 200
    assert "already belongs to another account" in text_of(answer)
    person.refresh_from_db()
    assert person.email == "own@example.org"
    assert has_verified_address(person)
    assert has_verified_address(other)


def test_a_change_that_the_database_refuses_leaves_the_account_as_it_was() -> None:
    # No one has verified it, and yet it belongs to another account, which support has just made.
    UserFactory(email="taken@example.org", verified=False)
    person = UserFactory(email="own@example.org")
    client = signed_in(person)
    reauthenticate(client)
    client.post(EMAIL, {"action_add": "", "email": "taken@example.org"})
    answer = client.post(links_to("taken@example.org")[-1], follow=True)
    assert answer.status_code == 200
    assert "already belongs to another account" in text_of(answer)
    person.refresh_from_db()
    assert person.email == "own@example.org"
    assert EmailAddress.objects.get(user=person, primary=True).email == "own@example.org"
    assert is_in(sign_in("own@example.org", PASSWORD))


def test_another_accounts_verified_address_is_never_verified_twice() -> None:
    EmailAddress.objects.create(user=UserFactory(), email="taken@example.org", verified=True)
    person = UserFactory(email="taken@example.org", verified=False)
    with pytest.raises(ValidationError, match="Another account"):
        verify_address(person)


def test_a_second_step_does_not_wait_for_a_change_of_address() -> None:
    person = UserFactory(email="own@example.org")
    client = signed_in(person)
    reauthenticate(client)
    client.post(EMAIL, {"action_add": "", "email": "new@example.org"})
    assert client.get(reverse("mfa_activate_totp")).status_code == 200
    assert not Authenticator.objects.exists()


# --- Accounts of before ---------------------------------------------------------------------------------------------


def test_what_is_verified_of_the_addresses_of_before() -> None:
    settle = import_module("locations.migrations.0012_verified_addresses").settle_addresses
    plain = UserFactory(email="plain@example.org", verified=False)
    invited = UserFactory(email="invited@example.org", verified=False)
    left = UserFactory(email="left@example.org", verified=False)
    claims = UserFactory(email="claimed@example.org", verified=False)
    noted = UserFactory(email="noted@example.org", verified=False)
    both = UserFactory(email="both@example.org", verified=False)
    User.objects.filter(pk=invited.pk).update(email="Invited@example.org")
    for person, email in ((invited, "INVITED@example.org"), (left, "left@example.org")):
        made = invite(email)
        Invitation.objects.filter(pk=made.pk).update(accepted_at=made.created_at, email=email)
        if person is invited:
            Membership.objects.create(user=person, company=made.company)
    for person, email, verified, primary in (
        (claims, "claimed@example.org", False, True),
        (claims, "proven@example.org", True, False),
        (noted, "noted@example.org", True, True),
        (noted, "second@example.org", True, False),
        # Someone else's address, verified by a person who keeps it beside their own.
        (both, "plain@example.org", True, False),
    ):
        EmailAddress.objects.create(user=person, email=email, verified=verified, primary=primary)
    settle(apps, None)
    rows = EmailAddress.objects.filter(user__is_staff=False).order_by("email")
    assert list(rows.values_list("user", "email", "verified", "primary")) == [
        (invited.pk, "invited@example.org", True, True),
        (noted.pk, "noted@example.org", True, True),
        (claims.pk, "proven@example.org", True, True),
    ]
    assert set(User.objects.filter(is_staff=False).values_list("pk", "email")) == {
        (plain.pk, "plain@example.org"),
        (invited.pk, "invited@example.org"),
        (left.pk, "left@example.org"),
        (claims.pk, "proven@example.org"),
        (noted.pk, "noted@example.org"),
        (both.pk, "both@example.org"),
    }
