"""Settings: members and their roles, invitations by email, contacts, company, locations; and support's second step."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Contact, Mail
from integrations.notifications import email_queue
from locations.invitations import accept_invitation, fingerprint, token_of
from locations.models import Company, Invitation, Location, Membership, Role, User
from tests.factories import MembershipFactory, UserFactory
from tests.pages import World, count_queries, signed_in, text_of

pytestmark = pytest.mark.django_db
STRONG = "quite-a-long-passphrase-7"


def said(response: Any) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def invite(world: World, email: str = "new@example.org", role: str = "operator") -> Invitation:
    """Invite someone through the page and return the row."""
    response = world.manager.post(world.url("invite"), {"email": email, "role": role})
    assert response.status_code == 302
    return Invitation.objects.latest("pk")


def link_in(sent: Any) -> str:
    """Return the path of the link in a mail."""
    line = next(part for part in sent.body.split() if "/invitations/" in part)
    return "/" + str(line).split("/", 3)[3]


# --- Inviting ---------------------------------------------------------------------------------------------------------


def test_an_invitation_goes_out_by_mail_and_its_link_makes_a_member(world: World) -> None:
    invite(world)
    assert email_queue.send_due(timezone.now()) == 1
    assert mail.outbox[0].to == ["new@example.org"]
    path = link_in(mail.outbox[0])
    visitor = Client()
    assert "Join University" in text_of(visitor.get(path))
    response = visitor.post(path, {"first_name": "New", "last_name": "Person", "password": STRONG})
    assert response.status_code == 302
    assert response["Location"] == world.url("overview")
    assert visitor.get(response["Location"]).status_code == 200
    member = Membership.objects.get(user__email="new@example.org")
    assert (member.role, member.user.label) == ("operator", "New Person")


def test_neither_the_row_nor_the_waiting_mail_holds_the_link(world: World) -> None:
    made = invite(world)
    token = token_of(made.pk)
    waiting = Mail.objects.get()
    assert token not in waiting.text + waiting.html
    assert made.secret_hash == fingerprint(token)


def test_opening_the_link_changes_nothing(world: World) -> None:
    made = invite(world)
    Client().get(reverse("invitation", args=[token_of(made.pk)]))
    made.refresh_from_db()
    assert made.accepted_at is None
    assert not User.objects.filter(email="new@example.org").exists()


def test_a_link_works_once(world: World) -> None:
    path = reverse("invitation", args=[token_of(invite(world).pk)])
    assert Client().post(path, {"password": STRONG}).status_code == 302
    second = Client().post(path, {"password": STRONG})
    assert second.status_code == 410
    assert "can no longer be used" in text_of(second)


@pytest.mark.parametrize("token", ["x", "1", "1.abc", "a" * 500])
def test_a_link_that_we_did_not_make_is_not_found(world: World, token: str) -> None:
    assert Client().get(reverse("invitation", args=[token])).status_code == 404


def test_an_ended_or_withdrawn_link_says_so(world: World) -> None:
    ended, withdrawn = invite(world, "a@example.org"), invite(world, "b@example.org")
    Invitation.objects.filter(pk=ended.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    world.manager.post(world.url("invitation_withdraw", withdrawn.pk))
    for one in (ended, withdrawn):
        assert Client().get(reverse("invitation", args=[token_of(one.pk)])).status_code == 410
    assert "expired" in text_of(world.manager.get(world.url("settings")))


def test_a_new_invitation_makes_the_earlier_one_worthless(world: World) -> None:
    first = invite(world)
    invite(world, "NEW@example.org", "viewer")
    assert Client().get(reverse("invitation", args=[token_of(first.pk)])).status_code == 410


def test_a_person_with_an_account_signs_in_first_and_then_joins(world: World) -> None:
    person = UserFactory(email="Known@example.org")
    path = reverse("invitation", args=[token_of(invite(world, "known@example.org").pk)])
    assert "Sign in to join" in text_of(Client().get(path))
    assert Client().post(path, {"password": STRONG}).status_code == 422
    assert signed_in(person).post(path).status_code == 302
    assert Membership.objects.filter(company=world.company, user=person).exists()


def test_a_link_for_another_address_makes_no_one_a_member(world: World) -> None:
    other = UserFactory()
    path = reverse("invitation", args=[token_of(invite(world).pk)])
    client = signed_in(other)
    assert "You are signed in as" in text_of(client.get(path))
    assert client.post(path).status_code == 422
    assert not Membership.objects.filter(user=other).exists()


def test_a_weak_password_is_refused_beside_its_field(world: World) -> None:
    path = reverse("invitation", args=[token_of(invite(world).pk)])
    response = Client().post(path, {"password": "12345678"})
    assert response.status_code == 422
    assert "too common" in text_of(response)


def test_a_form_sent_after_the_account_was_made_elsewhere_is_refused_in_a_sentence(world: World) -> None:
    path = reverse("invitation", args=[token_of(invite(world, "known@example.org").pk)])
    visitor = Client()
    assert "Set the password and join" in text_of(visitor.get(path))
    UserFactory(email="known@example.org")
    response = visitor.post(path, {"password": STRONG})
    assert response.status_code == 422
    assert "There is an account with this address already." in text_of(response)
    assert "_auth_user_id" not in visitor.session
    assert not Membership.objects.filter(user__email="known@example.org").exists()


def test_a_member_is_not_invited_again(world: World) -> None:
    MembershipFactory(company=world.company, user__email="there@example.org")
    response = world.manager.post(world.url("invite"), {"email": "There@example.org", "role": "viewer"})
    assert response.status_code == 422
    assert "already a member" in text_of(response)


def test_accepting_twice_keeps_the_role_that_a_member_has(world: World) -> None:
    made = invite(world, "known@example.org", "viewer")
    person = UserFactory(email="known@example.org")
    MembershipFactory(company=world.company, user=person, role=Role.MANAGER)
    assert accept_invitation(invitation=made, user=person).role == Role.MANAGER
    with pytest.raises(ValidationError):
        accept_invitation(invitation=made, user=person)


# --- Roles ------------------------------------------------------------------------------------------------------------


def test_a_manager_changes_a_role_and_the_history_says_who(world: World) -> None:
    member = MembershipFactory(company=world.company, role=Role.VIEWER)
    response = world.manager.post(world.url("member_change", member.pk), {"role": "operator"})
    assert "is now Operator" in said(response)
    member.refresh_from_db()
    assert member.role == Role.OPERATOR
    assert member.history.latest().history_user is not None


def test_an_unknown_role_changes_nothing(world: World) -> None:
    member = MembershipFactory(company=world.company, role=Role.VIEWER)
    assert "Nothing was changed" in said(
        world.manager.post(world.url("member_change", member.pk), {"role": "king"})
    )


def test_the_last_manager_can_neither_go_nor_step_down(world: World) -> None:
    manager = world.manager
    last = Membership.objects.get(company=world.company, role=Role.MANAGER)
    for response in (
        manager.post(world.url("member_change", last.pk), {"role": "viewer"}),
        manager.post(world.url("member_remove", last.pk)),
    ):
        assert "needs at least one manager" in said(response)
    assert Membership.objects.filter(pk=last.pk, role=Role.MANAGER).exists()


def test_support_may_take_the_last_manager(world: World) -> None:
    last = MembershipFactory(company=world.company, role=Role.MANAGER)
    world.support.post(world.url("member_remove", last.pk))
    assert not Membership.objects.filter(pk=last.pk).exists()


def test_a_member_who_removes_themselves_is_redirected_to_the_home_page(world: World) -> None:
    MembershipFactory(company=world.company, role=Role.MANAGER)
    client = world.manager
    own = Membership.objects.filter(company=world.company, role=Role.MANAGER).latest("pk")
    assert client.post(world.url("member_remove", own.pk))["Location"] == "/"
    assert client.get(world.url("overview")).status_code == 404


def test_a_member_of_another_company_is_not_found(world: World) -> None:
    foreign = MembershipFactory()
    assert world.manager.post(world.url("member_remove", foreign.pk)).status_code == 404
    assert world.manager.post(world.url("member_change", foreign.pk), {"role": "viewer"}).status_code == 404


def test_without_javascript_removing_a_member_is_asked_on_a_page_of_its_own(world: World) -> None:
    member = MembershipFactory(company=world.company, user__first_name="Kim", user__last_name="<Lee>")
    where = world.url("member_remove", member.pk)
    assert f'href="{where}"' in text_of(world.manager.get(world.url("settings")))
    page = text_of(world.manager.get(where))
    assert "Remove Kim &lt;Lee&gt;?" in page
    assert f'action="{where}"' in page
    assert Membership.objects.filter(pk=member.pk).exists()
    assert world.operator.get(where).status_code == 403


def test_operators_see_the_members_and_no_way_to_change_them(world: World) -> None:
    page = text_of(world.operator.get(world.url("settings")))
    assert "person" in page
    assert "Send invitation" not in page
    assert "member_change" not in page


def test_the_members_queries_do_not_grow_with_members(world: World) -> None:
    for _number in range(10):
        MembershipFactory(company=world.company)
    few = count_queries(world.manager, world.url("settings"))
    for _number in range(190):
        MembershipFactory(company=world.company)
    assert count_queries(world.manager, world.url("settings")) <= few


# --- Contacts, company, locations -------------------------------------------------------------------------------------


def test_a_contact_is_added_once_and_removed(world: World) -> None:
    values = {"kind": "enforcement", "name": "Night shift", "email": "officers@example.org"}
    assert world.operator.post(world.url("contacts"), values).status_code == 302
    assert world.operator.post(world.url("contacts"), values).status_code == 422
    contact = Contact.objects.get()
    assert "Night shift" in text_of(world.viewer.get(world.url("contacts")))
    world.operator.post(world.url("contact_remove", contact.pk))
    assert not Contact.objects.exists()


def test_a_manager_renames_the_company_and_others_may_not(world: World) -> None:
    assert world.operator.post(world.url("settings_company"), {"name": "X"}).status_code == 403
    world.manager.post(world.url("settings_company"), {"name": "The University"})
    assert Company.objects.get(pk=world.company.pk).name == "The University"
    assert world.manager.post(world.url("settings_company"), {"name": ""}).status_code == 422


def test_a_company_has_a_state_a_time_zone_and_an_order_of_dates_that_forms_begin_with(world: World) -> None:
    values = {
        "name": "The University",
        "default_region": "US-MI",
        "default_timezone": "America/Chicago",
        "date_order": "mdy",
    }
    world.manager.post(world.url("settings_company"), values)
    company = Company.objects.get(pk=world.company.pk)
    assert {name: getattr(company, name) for name in values} == values
    form = world.operator.get(world.url("location_add")).context["form"]
    assert form["timezone"].value() == "America/Chicago"
    wrong = {"default_region": "MI", "default_timezone": "Mars/Base", "date_order": "ymd"}
    for name, value in wrong.items():
        refused = world.manager.post(world.url("settings_company"), {**values, name: value})
        assert list(refused.context["form"].errors) == [name]


def test_a_stored_time_zone_that_the_list_leaves_out_is_kept(world: World) -> None:
    Company.objects.filter(pk=world.company.pk).update(default_timezone="UTC")
    world.manager.post(world.url("settings_company"), {"name": "Renamed", "default_timezone": "UTC"})
    company = Company.objects.get(pk=world.company.pk)
    assert (company.name, company.default_timezone) == ("Renamed", "UTC")


def test_a_location_is_added_changed_and_made_inactive(world: World) -> None:
    values = {"name": "Lot B", "external_id": "7", "timezone": "America/Chicago", "active": "on"}
    response = world.operator.post(world.url("location_add"), values)
    assert "Now choose its zone" in said(response)
    location = Location.objects.get()
    values = {"name": "Lot C", "external_id": "", "timezone": "America/Denver"}
    world.operator.post(world.url("location_change", location.pk), values)
    location.refresh_from_db()
    assert (location.name, location.external_id, location.timezone, location.active) == (
        "Lot C",
        "",
        "America/Denver",
        False,
    )
    assert location.history.latest().history_user is not None


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "This field is required"),
        ("name", "Taken", "Another location already has this name"),
        ("name", "x" * 121, "at most 120"),
        ("external_id", "T1", "Another location already has this reference"),
        ("timezone", "Mars/Olympus", "Select a valid choice"),
    ],
)
def test_what_is_wrong_with_a_location_stands_beside_its_field(
    world: World, field: str, value: str, words: str
) -> None:
    world.location("Taken", external_id="T1")
    values = {"name": "Lot B", "timezone": "America/New_York", "active": "on"} | {field: value}
    response = world.operator.post(world.url("location_add"), values)
    assert response.status_code == 422
    assert words in text_of(response)


def test_names_of_locations_may_differ_in_case_alone(world: World) -> None:
    world.location("Lot B")
    values = {"name": "LOT B", "timezone": "America/New_York", "active": "on"}
    assert world.operator.post(world.url("location_add"), values).status_code == 302


# --- Support's second step ----------------------------------------------------------------------------------------


def test_support_is_redirected_to_two_step_sign_in_where_it_is_required(world: World, settings: Any) -> None:
    settings.MFA_REQUIRED_FOR_SUPPORT = True
    assert world.support.get(world.url("overview"))["Location"] == reverse("mfa_index")
    assert world.support.get("/admin/")["Location"] == reverse("mfa_index")
    htmx = world.support.get(world.url("overview"), headers={"HX-Request": "true"})
    assert (htmx.status_code, htmx["HX-Redirect"]) == (204, reverse("mfa_index"))
    assert world.support.get(reverse("account_logout")).status_code == 200
    assert world.operator.get(world.url("overview")).status_code == 200


def test_support_with_two_step_sign_in_works_on(world: World, settings: Any) -> None:
    from allauth.mfa.models import Authenticator

    settings.MFA_REQUIRED_FOR_SUPPORT = True
    client = world.support
    Authenticator.objects.create(
        user=User.objects.get(is_staff=True), type=Authenticator.Type.TOTP, data={"secret": "x"}
    )
    assert client.get(world.url("overview")).status_code == 200
