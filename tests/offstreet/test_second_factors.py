"""Secrets of the second step at rest, passkeys besides the app, and who must have a second step."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from cryptography.fernet import Fernet, InvalidToken
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from locations.models import Company, Membership, User
from offstreet.second_factors import MfaAdapter
from tests.factories import PASSWORD, UserFactory
from tests.pages import HTMX, World, reauthenticate, signed_in, text_of

pytestmark = pytest.mark.django_db
OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    """Used codes and attempts are counted from zero."""
    cache.clear()


@pytest.fixture(autouse=True)
def still_clock() -> Iterator[None]:
    """A code is valid for its thirty seconds; none expires between being made and being used."""
    with time_machine.travel(datetime.now(UTC), tick=False):
        yield


def code_of(secret: str) -> str:
    """The code that an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time()))))


def turn_on(person: User) -> tuple[str, list[str]]:
    """Give a person an app and recovery codes; return the secret and the codes."""
    secret = generate_totp_secret()
    TOTP.activate(person, secret)
    return secret, RecoveryCodes.activate(person).get_unused_codes()


def sign_in(person: User, code: str) -> bool:
    """Sign in with the password and a code; return whether it worked."""
    client = Client()
    client.post(reverse("account_login"), {"login": person.email, "password": PASSWORD})
    client.post(reverse("mfa_authenticate"), {"code": code})
    return "_auth_user_id" in client.session


def kept() -> str:
    """Everything that the database stores about second steps, as one text."""
    return str(list(Authenticator.objects.values_list("data", flat=True)))


# --- Secrets at rest --------------------------------------------------------------------------------------------------


def test_neither_the_apps_secret_nor_a_recovery_code_is_readable_in_the_database() -> None:
    person = UserFactory()
    client = signed_in(person)
    reauthenticate(client)
    page = client.get(reverse("mfa_activate_totp"))
    secret = page.context["form"].secret
    client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    codes = RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes()
    assert len(codes) == 10
    assert secret not in kept()
    assert not any(code in kept() for code in codes)
    assert Authenticator.objects.get(type="totp").data["secret"].startswith("gAAAAA")
    cache.clear()
    assert sign_in(person, code_of(secret))
    assert sign_in(person, codes[0])
    assert not sign_in(person, codes[0])


def test_an_app_that_another_tab_turns_on_at_the_same_moment_is_said_and_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person = UserFactory()
    client = signed_in(person)
    reauthenticate(client)
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    other = generate_totp_secret()
    TOTP.activate(person, other)
    # The page was opened before the other tab was done.
    monkeypatch.setattr("allauth.mfa.totp.views.is_mfa_enabled", lambda *_: False)
    response = client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)}, follow=True)
    assert "turned on in another tab" in text_of(response)
    kept_secret = Authenticator.objects.get(type="totp").data["secret"]
    assert MfaAdapter().decrypt(kept_secret) == other


def test_what_was_kept_in_plain_text_works_and_is_encrypted_when_it_is_used() -> None:
    person, secret, seed = UserFactory(), generate_totp_secret(), RecoveryCodes.generate_seed()
    app = Authenticator.objects.create(user=person, type="totp", data={"secret": secret})
    codes = Authenticator.objects.create(
        user=person, type="recovery_codes", data={"seed": seed, "used_mask": 0}
    )
    first, second = RecoveryCodes(codes).generate_codes()[:2]
    assert sign_in(person, code_of(secret))
    app.refresh_from_db()
    assert MfaAdapter().decrypt(app.data["secret"]) == secret
    assert secret not in kept()
    assert sign_in(person, first)
    codes.refresh_from_db()
    assert seed not in kept()
    # A code that was used before it was encrypted is still used up.
    assert (MfaAdapter().decrypt(codes.data["seed"]), codes.data["used_mask"]) == (seed, 1)
    assert not sign_in(person, first)
    assert sign_in(person, second)


def test_a_key_is_replaced_without_locking_anyone_out(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    person, plain = UserFactory(), UserFactory()
    secret, codes = turn_on(person)
    Authenticator.objects.create(
        user=plain,
        type="recovery_codes",
        data={"migrated_codes": ["11112222", MfaAdapter().encrypt("33334444")]},
    )
    Authenticator.objects.create(user=plain, type="totp", data={"secret": generate_totp_secret()})
    settings.FIELD_ENCRYPTION_KEYS = [NEW, OLD]
    assert sign_in(person, codes[0])
    out = io.StringIO()
    call_command("encrypt_second_factors", stdout=out)
    # One of the four was re-encrypted when it was used just now.
    assert out.getvalue() == "3 of 4 second steps were re-encrypted.\n"
    call_command("encrypt_second_factors", stdout=out)
    assert out.getvalue().endswith("0 of 4 second steps were re-encrypted.\n")

    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    assert sign_in(person, code_of(secret))
    assert sign_in(person, codes[1])
    assert sign_in(plain, "33334444")
    assert sign_in(plain, "11112222")


def test_a_secret_under_a_key_that_is_gone_opens_nothing(settings: Any) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [OLD]
    kept_text = MfaAdapter().encrypt("secret")
    settings.FIELD_ENCRYPTION_KEYS = [NEW]
    with pytest.raises(InvalidToken):
        MfaAdapter().decrypt(kept_text)


# --- Who has to have one ----------------------------------------------------------------------------------------------


@pytest.fixture
def strict() -> World:
    """A company that requires two steps of everyone."""
    world = World.build(name="University", slug="university")
    Company.objects.filter(pk=world.company.pk).update(two_step_required=True)
    return world


def test_a_company_may_require_two_steps_of_everyone(strict: World) -> None:
    for client in (strict.viewer, strict.manager, strict.support):
        answer = client.get(strict.url("overview"), follow=True)
        assert answer.redirect_chain == [(reverse("mfa_index"), 302)]
        assert "University requires two-step sign-in" in text_of(answer)
        assert client.post(strict.url("settings_company"), {"name": "X"})["Location"] == reverse("mfa_index")
        part = client.get(strict.url("overview"), headers=HTMX)
        assert (part.status_code, part["HX-Redirect"]) == (204, reverse("mfa_index"))
    assert Company.objects.get().name == "University"
    for member in Membership.objects.select_related("user"):
        turn_on(member.user)
    assert strict.viewer.get(strict.url("overview")).status_code == 200
    # Someone who isn't a member learns nothing about it.
    assert signed_in(UserFactory()).get(strict.url("overview")).status_code == 404


def test_other_companies_are_as_open_as_before(strict: World) -> None:
    other = World.build()
    assert other.viewer.get(other.url("overview")).status_code == 200


def test_a_manager_asks_for_it_once_they_have_it_and_others_may_not() -> None:
    world = World.build(name="University", slug="university")
    wanted = {"name": "University", "two_step_required": "on"}
    page = world.url("settings_company")
    assert world.operator.post(page, wanted).status_code == 403
    answer = world.manager.post(page, wanted)
    assert answer.status_code == 422
    assert "Set up your own second step first" in text_of(answer)
    turn_on(User.objects.get(memberships__role="manager"))
    assert world.manager.post(page, wanted).status_code == 302
    assert Company.objects.get().two_step_required
    assert Company.history.first().two_step_required
    assert world.manager.post(page, {"name": "University"}).status_code == 302
    assert not Company.objects.get().two_step_required


# --- Passkeys ---------------------------------------------------------------------------------------------------------


def test_a_passkey_is_made_only_after_reauthentication_and_never_signs_in_alone() -> None:
    client = signed_in(UserFactory())
    assert client.get(reverse("mfa_add_webauthn"))["Location"].startswith(reverse("account_reauthenticate"))
    reauthenticate(client)
    page = client.get(reverse("mfa_add_webauthn"))
    options = page.context["js_data"]["creation_options"]["publicKey"]
    assert (options["rp"]["name"], options["rp"]["id"]) == ("Offstreet", "testserver")
    assert client.get("/accounts/2fa/webauthn/login/").status_code == 404


@pytest.mark.parametrize(
    "sent", ["", "{}", "[]", "1", "nonsense", '{"id": "x", "rawId": "x", "response": {}}']
)
def test_what_is_no_passkey_is_refused_on_the_page(sent: str) -> None:
    client = signed_in(UserFactory())
    reauthenticate(client)
    answer = client.post(reverse("mfa_add_webauthn"), {"name": "Key", "credential": sent})
    assert answer.status_code == 200
    assert not Authenticator.objects.exists()
