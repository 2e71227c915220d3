"""People in the admin: who may change whom, reauthentication, and passwords, which support never sets."""

import re
from datetime import timedelta

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from locations.addresses import has_verified_address
from locations.models import Company, Membership, User
from offstreet.account_mails import AccountMails
from tests.factories import PASSWORD, MembershipFactory, UserFactory
from tests.offstreet.admin_pages import FORMSET, support_client, url

pytestmark = pytest.mark.django_db


# --- The rest --------------------------------------------------------------------------------------------


def test_support_without_superuser_rights_can_make_no_one_support() -> None:
    client = support_client(is_staff=True)
    boss, person = UserFactory(support=True), UserFactory()
    assert client.post(url(User, "change", boss.pk), {"first_name": "Mine"}).status_code == 403
    data = {"is_active": "on", "is_staff": "on", "is_superuser": "on", "first_name": "Kim", **FORMSET}
    assert client.post(url(User, "change", person.pk), data).status_code == 302
    person.refresh_from_db()
    assert person.first_name == "Kim"
    assert not person.is_staff
    assert not person.is_superuser


def test_a_lost_second_factor_is_removed_by_superusers_alone() -> None:
    person = UserFactory()
    chosen = {"action": "remove_second_factor", "_selected_action": [person.pk]}
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "x"})
    support_client(is_staff=True).post(url(User, "changelist"), chosen)
    assert Authenticator.objects.exists()
    support_client(support=True).post(url(User, "changelist"), chosen)
    assert not Authenticator.objects.exists()


# --- People: who is still there, and whose password it is ------------------------------------------------


def test_permissions_are_changed_only_after_reauthentication(client: Client, support: User) -> None:
    person, member = UserFactory(), MembershipFactory(role="viewer", company__two_step_required=True)
    company = member.company
    Authenticator.objects.create(user=person, type=Authenticator.Type.TOTP, data={"secret": "x"})
    role = {"user": member.user_id, "company": member.company_id, "role": "manager"}
    tries = [
        (url(User, "change", person.pk), {"is_active": "on", "is_staff": "on", **FORMSET}),
        (url(User, "add"), {"email": "new@example.org", **FORMSET}),
        (url(User, "changelist"), {"action": "remove_second_factor", "_selected_action": [person.pk]}),
        (url(User, "changelist"), {"action": "send_password_link", "_selected_action": [person.pk]}),
        (url(Membership, "change", member.pk), role),
        (url(Membership, "add"), {**role, "user": person.pk}),
        (url(Company, "change", company.pk), {"name": "Uni", "slug": company.slug, "offstreet_id": "OS"}),
    ]
    for path, data in tries:
        assert client.get(path).status_code == 200
        answer = client.post(path, data)
        assert answer["Location"].startswith(reverse("account_reauthenticate")), path
    person.refresh_from_db()
    member.refresh_from_db()
    company.refresh_from_db()
    assert not person.is_staff
    assert company.two_step_required
    assert (member.role, Membership.objects.count()) == ("viewer", 1)
    assert Authenticator.objects.count() == 1
    assert not User.objects.filter(email="new@example.org").exists()
    assert mail.outbox == []


def test_what_the_form_sent_is_carried_on_with_once_the_password_is_given(
    client: Client, support: User
) -> None:
    member = MembershipFactory(role="viewer")
    role = {"user": member.user_id, "company": member.company_id, "role": "manager"}
    asked = client.post(url(Membership, "change", member.pk), role)["Location"]
    client.post(asked, {"password": "wrong", "next": url(Membership, "change", member.pk)})
    member.refresh_from_db()
    assert member.role == "viewer"
    client.post(asked, {"password": PASSWORD, "next": url(Membership, "change", member.pk)})
    member.refresh_from_db()
    assert member.role == "manager"
    assert member.history.latest().history_user == support


def test_reauthentication_lasts_five_minutes() -> None:
    client, member = support_client(support=True), MembershipFactory(role="viewer")
    role = {"user": member.user_id, "company": member.company_id, "role": "manager"}
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        client.post(url(Membership, "change", member.pk), role)
    member.refresh_from_db()
    assert member.role == "viewer"


def test_support_sets_no_password_and_changes_no_address() -> None:
    person = UserFactory(email="kim@example.org")
    before = person.password
    client = support_client(support=True)
    data = {"email": "mine@example.org", "password": "x", "is_active": "on", "first_name": "Kim", **FORMSET}
    client.post(url(User, "change", person.pk), data)
    word = {
        "password1": "a long enough secret",
        "password2": "a long enough secret",
        "usable_password": "true",
    }
    assert client.post(f"{url(User, 'change', person.pk)[:-7]}password/", word).status_code in (302, 404)
    person.refresh_from_db()
    assert (person.first_name, person.email, person.password) == ("Kim", "kim@example.org", before)
    page = client.get(url(User, "change", person.pk)).content.decode()
    assert before not in page
    assert 'name="password' not in page


def link_in_last_mail() -> str:
    """Return the path of the link in the mail that was sent last."""
    found = re.search(r"https?://[^/\s]+(/accounts/\S+)", str(mail.outbox[-1].body))
    assert found is not None
    return found[1]


def test_a_person_added_by_support_chooses_the_password_by_a_mailed_link_which_verifies_the_address() -> None:
    client, word = support_client(support=True), "a long enough secret"
    sent = {"email": "New@Example.org", "password1": word, "password2": word, **FORMSET}
    assert client.post(url(User, "add"), sent).status_code == 302
    person = User.objects.get(email="new@example.org")
    assert not person.has_usable_password()
    assert not has_verified_address(person)
    assert mail.outbox[-1].to == ["new@example.org"]

    visitor = Client()
    form = visitor.get(link_in_last_mail())["Location"]
    visitor.post(form, {"password1": word, "password2": word})
    person.refresh_from_db()
    assert person.check_password(word)
    assert has_verified_address(person)
    visitor.post(reverse("account_login"), {"login": "new@example.org", "password": word})
    assert "_auth_user_id" in visitor.session


def test_support_mails_a_link_to_a_password_and_tells_where_it_could_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, inactive = UserFactory(), UserFactory(is_active=False)
    client = support_client(support=True)
    chosen = {"action": "send_password_link", "_selected_action": [person.pk, inactive.pk]}
    page = client.post(url(User, "changelist"), chosen, follow=True).content.decode()
    assert [one.to for one in mail.outbox] == [[person.email]]
    assert f"No link went to {inactive.email}" in page

    def refuse(*_args: object, **_rest: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(AccountMails, "send_mail", refuse)
    page = client.post(url(User, "changelist"), chosen, follow=True).content.decode()
    assert f"The link to {person.email} could not be mailed (ConnectionRefusedError)" in page


def test_support_without_superuser_rights_mails_a_superuser_no_link() -> None:
    boss = UserFactory(support=True)
    chosen = {"action": "send_password_link", "_selected_action": [boss.pk]}
    support_client(is_staff=True).post(url(User, "changelist"), chosen)
    assert mail.outbox == []


def test_an_address_that_is_in_use_is_refused_beside_its_field() -> None:
    UserFactory(email="kim@example.org")
    client = support_client(support=True)
    for typed, words in (
        ("Kim@example.org", "There is already an account"),
        ("ſam@example.org", "without accents"),
    ):
        page = client.post(url(User, "add"), {"email": typed, **FORMSET})
        assert page.status_code == 200
        assert words in page.content.decode()


def test_the_slower_of_two_gets_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    client, member = support_client(support=True), MembershipFactory()
    # The form's own check doesn't see what another request saves a moment later.
    monkeypatch.setattr(Membership, "validate_unique", lambda *_args, **_rest: None)
    monkeypatch.setattr(Membership, "validate_constraints", lambda *_args, **_rest: None)
    role = {"user": member.user_id, "company": member.company_id, "role": "manager"}
    answer = client.post(url(Membership, "add"), role, follow=True)
    assert answer.status_code == 200
    assert "at the same time. Nothing was changed" in answer.content.decode()
    assert Membership.objects.get().role == member.role
