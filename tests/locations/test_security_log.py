"""The security log: what happened to accounts, roles and companies, with who and from where."""

from datetime import timedelta
from typing import Any

import pytest
import structlog
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.cache import cache
from django.db.models import ProtectedError
from django.test import Client
from django.urls import reverse

from integrations.audit_log.labels import WORDS as DEED_WORDS
from integrations.audit_log.security_labels import GROUPS, WORDS
from locations import audit_log, security_log
from locations.invitations import accept_invitation, change_role, invite_person, remove_member
from locations.models import AuditEvent, Role, User
from locations.security_log import describe_stranger, record
from tests.factories import PASSWORD, UserFactory
from tests.pages import World, reauthenticate, signed_in, text_of

pytestmark = pytest.mark.django_db
STRONG = "quite-a-long-passphrase-7"
CLIENT = "203.0.113.9"


def browser() -> Client:
    """A browser at an address of its own."""
    return Client(REMOTE_ADDR=CLIENT)


def sign_in(person: User, password: str = PASSWORD) -> Client:
    """Return a client that has signed in on the page."""
    client = browser()
    client.post(reverse("account_login"), {"login": person.email, "password": password})
    return client


def logged(*kinds: str) -> list[tuple[str, int | None, int | None, str | None, dict[str, Any]]]:
    """The log's events of these kinds (or all), oldest first: kind, actor, whose account, address, details."""
    rows = AuditEvent.objects.order_by("pk")
    found = rows.filter(kind__in=kinds) if kinds else rows.filter(kind__in=WORDS)
    return [(row.kind, row.actor_id, row.person_id, row.address, row.params) for row in found]


# --- Sign-in ---------------------------------------------------------------------------------------------


def test_signing_in_and_out_is_logged(person: User) -> None:
    sign_in(person).post(reverse("account_logout"))
    assert logged() == [
        ("signed_in", person.pk, person.pk, CLIENT, {"methods": ["password"]}),
        ("signed_out", person.pk, person.pk, CLIENT, {}),
    ]


def test_a_wrong_password_names_the_account_but_no_actor(person: User) -> None:
    sign_in(person, "wrong-secret-word")
    assert logged() == [("sign_in_failed", None, person.pk, CLIENT, {})]
    assert "wrong-secret-word" not in str(list(AuditEvent.objects.values()))


def test_guessing_that_is_turned_down_leaves_one_row_a_minute(person: User) -> None:
    with time_machine.travel("2030-03-04T10:10:00Z", tick=False):
        for _ in range(9):
            sign_in(person, "wrong-secret-word")
    assert [row[:4] for row in logged()] == [("sign_in_failed", None, person.pk, CLIENT)] * 5 + [
        ("sign_in_blocked", None, person.pk, CLIENT)
    ]


def test_an_unknown_address_is_kept_masked_and_its_tries_are_seen_together() -> None:
    for typed in ("Stranger@elsewhere.example", "stranger@elsewhere.example", "other@elsewhere.example"):
        browser().post(reverse("account_login"), {"login": typed, "password": "wrong-secret-word"})
    params = [row[4] for row in logged("sign_in_failed")]
    assert [one["typed"] for one in params] == ["s•••@elsewhere.example"] * 2 + ["o•••@elsewhere.example"]
    assert params[0] == params[1] != params[2]
    assert "stranger" not in str(list(AuditEvent.objects.values())).casefold()


def test_a_password_typed_into_the_wrong_field_leaves_no_trace(settings: Any) -> None:
    assert describe_stranger("hunter2 is my password") == {"typed": ""}
    first = describe_stranger("a@b.example")
    settings.SECRET_KEY = "another" * 10
    assert describe_stranger("a@b.example")["fingerprint"] != first["fingerprint"]


def test_the_address_is_what_our_own_proxy_wrote_down_and_not_what_a_visitor_claims(
    person: User, settings: Any
) -> None:
    Client(REMOTE_ADDR=CLIENT, HTTP_X_FORWARDED_FOR="198.51.100.1").post(
        reverse("account_login"), {"login": person.email, "password": "wrong"}
    )
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    Client(REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR="6.6.6.6, 198.51.100.7").post(
        reverse("account_login"), {"login": person.email, "password": "wrong"}
    )
    assert [row[3] for row in logged("sign_in_failed")] == [CLIENT, "198.51.100.7"]


@pytest.mark.parametrize("said", ["not an address", "999.1.1.1", "<b>x</b>"])
def test_a_forwarded_address_that_is_none_refuses_no_sign_in(person: User, settings: Any, said: str) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    record("signed_in", actor=person)
    assert audit_log.record(company=None, kind="x", actor=person).address is None


def code_of(secret: str) -> str:
    """The code that an authenticator shows now."""
    return str(format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time())))))


# --- Second factors --------------------------------------------------------------------------------------


def test_a_second_factor_is_logged_when_added_used_failed_and_removed(
    person: User, django_capture_on_commit_callbacks: Any
) -> None:
    def send(client: Client, name: str, **data: str) -> None:
        cache.clear()
        # allauth reports a factor once it is committed.
        with django_capture_on_commit_callbacks(execute=True):
            client.post(reverse(name), data)

    client = sign_in(person)
    send(client, "account_reauthenticate", password=PASSWORD)
    secret = client.get(reverse("mfa_activate_totp")).context["form"].secret
    send(client, "mfa_activate_totp", code=code_of(secret))
    send(client, "account_logout")
    again = sign_in(person)
    send(again, "mfa_authenticate", code="000000")
    cache.clear()
    send(again, "mfa_authenticate", code=code_of(secret))
    send(again, "mfa_reauthenticate", code=code_of(secret))
    send(again, "mfa_generate_recovery_codes")
    send(again, "mfa_deactivate_totp")
    kinds = [row[0] for row in logged()]
    assert kinds[:1] == ["signed_in"]
    assert sorted(kinds[1:3]) == ["recovery_codes_made", "two_step_added"]
    assert kinds[3:7] == ["signed_out", "two_step_failed", "two_step_used", "signed_in"]
    assert kinds.count("recovery_codes_made") == 2
    assert kinds[-1] == "two_step_removed"
    assert {row[2] for row in logged()} == {person.pk}
    assert {row[3] for row in logged()} == {CLIENT}
    assert secret not in str(list(AuditEvent.objects.values()))
    assert logged("two_step_failed")[0][1] is None
    assert logged("signed_in")[1][4]["methods"] == ["password", "totp"]


def test_a_second_factor_that_support_takes_away_is_logged(person: User) -> None:
    TOTP.activate(person, "ABCDEFGHIJKLMNOP")
    RecoveryCodes.activate(person)
    root = UserFactory(is_staff=True, is_superuser=True)
    client = signed_in(root)
    reauthenticate(client)
    client.post(
        reverse("admin:locations_user_changelist"),
        {"action": "remove_second_factor", "_selected_action": [person.pk]},
    )
    assert not Authenticator.objects.exists()
    assert [row[1:3] for row in logged("two_step_removed")] == [(root.pk, person.pk)]


# --- Accounts --------------------------------------------------------------------------------------------


def test_a_password_that_its_owner_changes_is_logged_also_by_a_mailed_link(
    person: User, mailoutbox: list[Any]
) -> None:
    client = sign_in(person)
    client.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": STRONG, "password2": STRONG},
    )
    browser().post(reverse("account_reset_password"), {"email": person.email})
    path = next(word for word in mailoutbox[-1].body.split() if "/password/reset/key/" in word)
    other = browser()
    form = other.get(path.removeprefix("http://127.0.0.1:8000"), follow=True)
    other.post(form.request["PATH_INFO"], {"password1": STRONG + "x", "password2": STRONG + "x"})
    assert [(row[1], row[2], row[4]) for row in logged("password_changed")] == [
        (person.pk, person.pk, {"how": "own"}),
        (None, person.pk, {"how": "mailed_link"}),
    ]
    assert len(logged("password_reset_asked")) == 1
    assert STRONG not in str(list(AuditEvent.objects.values()))


def test_a_command_that_sets_a_password_is_logged_and_a_rehash_is_not(person: User, settings: Any) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher", "django.contrib.auth.hashers.MD5PasswordHasher",
    ]  # fmt: skip
    before = person.password
    sign_in(person)
    person.refresh_from_db()
    assert person.password != before
    assert logged("password_changed") == []
    person.set_password(STRONG)
    person.save()
    assert logged("password_changed") == [("password_changed", None, person.pk, None, {"how": "command"})]


def test_an_address_and_rights_that_support_changes_are_logged(person: User) -> None:
    root = UserFactory(is_staff=True, is_superuser=True)
    person.email, person.is_staff = "new@university.example", True
    person.save()
    User.objects.get(pk=person.pk).save()
    assert [(row[0], row[4]) for row in logged("address_changed", "rights_changed")] == [
        ("address_changed", {"was": "olivia@university.example"}),
        ("rights_changed", {"rights": {"is_staff": True}}),
    ]
    made = logged("account_made")
    assert made[-1][2:] == (root.pk, None, {"rights": ["is_active", "is_staff", "is_superuser"]})


# --- Roles -----------------------------------------------------------------------------------------------


def test_a_membership_is_logged_from_its_invitation_to_its_end(world: World, person: User) -> None:
    manager = UserFactory(is_staff=True)
    invited = invite_person(company=world.company, email=person.email, role=Role.VIEWER, actor=manager)
    member = accept_invitation(invitation=invited, user=person)
    change_role(membership=member, role=Role.MANAGER, actor=manager)
    change_role(membership=member, role=Role.MANAGER, actor=manager)
    remove_member(membership=member, actor=manager)
    assert [
        (row[0], row[1], row[2], row[4]) for row in logged("member_added", "role_changed", "member_removed")
    ] == [
        ("member_added", manager.pk, person.pk, {"role": "viewer"}),
        ("role_changed", manager.pk, person.pk, {"role": "manager", "was": "viewer"}),
        ("member_removed", manager.pk, person.pk, {"role": "manager"}),
    ]
    assert set(AuditEvent.objects.filter(kind="role_changed").values_list("company", flat=True)) == {
        world.company.pk
    }


# --- Support looking at a company----------------------------------------------------------------------------------


def test_support_looking_at_a_company_is_one_line_an_hour_and_a_member_leaves_none(world: World) -> None:
    other = World.build(name="Other", slug="other")
    support = UserFactory(is_staff=True)
    client, second = signed_in(support), signed_in(support)
    with time_machine.travel("2026-03-04T10:10:00Z", tick=False) as clock:
        for _ in range(3):
            client.get(world.url("overview"))
            client.get(world.url("permits"))
        client.get(other.url("overview"))
        client.get(world.url("overview"))
        assert len(logged("company_read")) == 2
        second.get(world.url("overview"))
        assert len(logged("company_read")) == 3
        clock.shift(timedelta(hours=1))
        client.get(world.url("overview"))
    rows = AuditEvent.objects.filter(kind="company_read").order_by("pk")
    assert [(row.actor, row.company) for row in rows] == [
        (support, world.company), (support, other.company), (support, world.company), (support, world.company),
    ]  # fmt: skip
    world.manager.get(world.url("overview"))
    assert rows.count() == 4


def test_support_looking_into_the_admin_leaves_a_line(world: World) -> None:
    client = signed_in(UserFactory(is_staff=True, is_superuser=True))
    for _ in range(2):
        client.get(reverse("admin:locations_company_changelist"))
        client.get(reverse("admin:locations_company_change", args=[world.company.pk]))
        client.get("/admin/locations/company/%00x/change/")
    things = list(AuditEvent.objects.filter(kind="admin_read").order_by("pk").values_list("thing", flat=True))
    assert things == ["locations.company", f"locations.company {world.company.pk}"]


# --- The log as a log ------------------------------------------------------------------------------------


def test_each_event_is_one_structured_line_once_it_is_committed(
    person: User, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = structlog.testing.CapturingLogger()
    monkeypatch.setattr(security_log, "log", written)
    with django_capture_on_commit_callbacks(execute=True):
        sign_in(person)
        assert written.calls == []
    (line,) = written.calls
    assert (line.method_name, line.args) == ("info", ("security_event",))
    assert line.kwargs == {
        "kind": "signed_in", "row": AuditEvent.objects.get().pk, "user": person.pk, "account": person.pk, "company": None,
        "client": CLIENT, "methods": ["password"],
    }  # fmt: skip


def test_every_kind_that_is_recorded_has_words_and_the_two_lists_share_none(
    world: World, person: User
) -> None:
    assert {words.group for words in WORDS.values()} == set(GROUPS)
    assert not WORDS.keys() & DEED_WORDS.keys()
    for kind in WORDS:
        record(kind, actor=person, person=person, company=world.company)
    page = text_of(world.manager.get(world.url("security_log")))
    for kind, words in WORDS.items():
        assert str(words.sentence) in page, kind


def test_who_has_done_something_is_not_deleted(person: User) -> None:
    record("signed_in", actor=person, person=person)
    with pytest.raises(ProtectedError):
        person.delete()
