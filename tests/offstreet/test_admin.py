"""The admin: support only, nothing is deleted, no inline script or style, and large tables are never counted."""

import re
from datetime import UTC, time, timedelta
from typing import Any

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.core import mail
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection, Notice, PermitSync, Push, PushEvent, ZoneRefresh
from locations import admin_base
from locations.addresses import has_verified_address
from locations.models import Company, Location, Membership, Permit, User
from offstreet.account_mails import AccountMails
from tests.factories import (
    PASSWORD,
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)
from tests.pages import reauthenticate, signed_in

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label in ("locations", "integrations")]
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")"
)


@pytest.fixture
def support(client: Client) -> User:
    user = UserFactory(support=True)
    client.force_login(user)
    return user


def url(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


@pytest.fixture
def permit() -> Permit:
    mapping = ZoneMappingFactory()
    return PermitFactory(location=mapping.location, plate="abc 123")


def test_every_model_of_ours_can_be_looked_at() -> None:
    from django.apps import apps

    models = [
        *apps.get_app_config("locations").get_models(),
        *apps.get_app_config("integrations").get_models(),
    ]
    missing = [
        model for model in models if model not in admin.site._registry and "Historical" not in model.__name__
    ]
    # Beneath its ticket; and what pages wait for, which is forgotten after an hour.
    assert {model.__name__ for model in missing} == {"TicketEntry", "CheckRun"}


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_lists_open_for_support_without_inline_script_or_style(
    client: Client, support: User, permit: Permit, model: type[Model]
) -> None:
    page = client.get(url(model, "changelist"), {"q": "abc"}, follow=True)
    assert page.status_code == 200
    assert not INLINE.findall(page.content.decode())


@pytest.mark.parametrize(
    "model", [Company, Location, Permit, Connection, PermitSync, User], ids=lambda m: m.__name__
)
def test_pages_of_one_row_open_without_inline_script_or_style(
    client: Client, support: User, permit: Permit, model: type[Model]
) -> None:
    row = model._default_manager.first()
    assert row is not None
    page = client.get(url(model, "change", row.pk))
    assert page.status_code == 200
    assert not INLINE.findall(page.content.decode())


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_nobody_deletes_and_nobody_but_support_looks(client: Client, model: type[Model]) -> None:
    client.force_login(MembershipFactory(role="manager").user)
    assert client.get(url(model, "changelist")).status_code == 302
    client.force_login(UserFactory(support=True))
    row = model._default_manager.first()
    assert client.post(url(model, "delete", row.pk if row else 1)).status_code in (302, 403)
    page = client.get(url(model, "changelist")).content.decode()
    assert "delete_selected" not in page


# --- Permits ------------------------------------------------------------------------------------------------------


def form_of(location: Location, **changes: str) -> dict[str, str]:
    now = timezone.now().astimezone(UTC)
    return {
        "location": str(location.pk),
        "plate_typed": "xyz-987",
        "subdivision": "US-NC",
        "start_0": now.strftime("%Y-%m-%d"),
        "start_1": "00:00:00",
        "end_0": (now + timedelta(days=3)).strftime("%Y-%m-%d"),
        "end_1": "12:00:00",
        "space_number": "",
        "type": "",
        "unit": "",
        "external_id": "",
        **changes,
    }


def test_a_permit_added_in_the_admin_is_noted_for_delivery(client: Client, support: User) -> None:
    location = ZoneMappingFactory().location
    page = client.post(url(Permit, "add"), form_of(location))
    assert page.status_code == 302, page.context["errors"]
    permit = Permit.objects.get()
    assert (permit.plate, permit.plate_typed, permit.source) == ("XYZ987", "xyz-987", "admin")
    assert permit.created_by == support
    assert permit.end.astimezone(UTC).time() == time(12)
    assert permit.permit_syncs.get().state == PermitSync.State.DUE
    assert permit.history.get().history_user == support


def test_a_permit_changed_in_the_admin_is_due_again(client: Client, support: User, permit: Permit) -> None:
    PermitSync.objects.update(state=PermitSync.State.DONE)
    page = client.post(url(Permit, "change", permit.pk), form_of(permit.location))
    assert page.status_code == 302, page.context["errors"]
    permit.refresh_from_db()
    assert (permit.plate, permit.revision) == ("XYZ987", 2)
    assert permit.permit_syncs.get().state == PermitSync.State.DUE


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"plate_typed": "ÄBC 1"}, "plate_typed"),
        ({"subdivision": "XX-YY"}, "subdivision"),
        ({"end_0": "2001-01-01"}, "end"),
        ({"external_id": "taken"}, "external_id"),
    ],
)
def test_what_the_service_refuses_is_said_beside_the_field(
    client: Client, support: User, changes: dict[str, str], field: str
) -> None:
    location = LocationFactory()
    PermitFactory(location=location, external_id="taken")
    page = client.post(url(Permit, "add"), form_of(location, **changes))
    assert page.status_code == 200
    assert field in page.context["adminform"].form.errors
    assert Permit.objects.count() == 1


def test_a_permit_stays_with_its_company(client: Client, support: User, permit: Permit) -> None:
    page = client.post(url(Permit, "change", permit.pk), form_of(LocationFactory()))
    assert "location" in page.context["adminform"].form.errors


def test_permits_are_cancelled_together_through_the_service(
    client: Client, support: User, permit: Permit
) -> None:
    other = PermitFactory(location=permit.location)
    PermitSync.objects.update(state=PermitSync.State.DONE)
    client.post(url(Permit, "changelist"), {"action": "cancel", "_selected_action": [permit.pk, other.pk]})
    assert set(Permit.objects.values_list("status", flat=True)) == {Permit.Status.CANCELLED}
    assert PermitSync.objects.due().count() == 2


def test_a_cancelled_permit_is_shown_and_not_changed(client: Client, support: User, permit: Permit) -> None:
    Permit.objects.update(status=Permit.Status.CANCELLED, cancelled_at=timezone.now())
    assert client.get(url(Permit, "change", permit.pk)).status_code == 200
    assert client.post(url(Permit, "change", permit.pk), form_of(permit.location)).status_code == 403


def test_permits_are_found_by_their_plate_however_it_is_written(
    client: Client, support: User, permit: Permit
) -> None:
    PermitFactory(location=permit.location, plate="ZZZ999")
    for typed in ("ABC-123", "abc", str(permit.pk)):
        page = client.get(url(Permit, "changelist"), {"q": typed}, follow=True)
        assert permit in page.context["cl"].result_list


def test_a_large_table_is_not_counted_to_its_end(
    client: Client, support: User, permit: Permit, monkeypatch: pytest.MonkeyPatch
) -> None:
    PermitFactory.create_batch(5, location=permit.location)
    monkeypatch.setattr(admin_base, "COUNTED_ROWS", 3)
    page = client.get(url(Permit, "changelist"))
    assert page.context["cl"].result_count == 3


LARGE = [model for model, page in admin.site._registry.items() if isinstance(page, admin_base.LookedUpAdmin)]


@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.__name__)
def test_large_tables_are_looked_up_and_never_sorted_or_counted_by_a_column(
    client: Client, support: User, permit: Permit, model: type[Model]
) -> None:
    ordered = client.get(url(model, "changelist"), {"o": "1.2.3"}).context["cl"].queryset.query.order_by
    assert tuple(ordered) == admin.site._registry[model].ordering
    assert "-pk" in ordered
    assert admin.site._registry[model].search_help_text
    assert admin.site._registry[model].show_facets is admin.ShowFacets.NEVER
    for text in ("nothing-like-it", "123456789012345678901234567890", "o'Neill %_", "\ufffd"):
        assert client.get(url(model, "changelist"), {"q": text}, follow=True).status_code == 200


def test_permits_registrations_and_events_are_found_by_what_support_has_in_hand(
    client: Client, support: User, permit: Permit
) -> None:
    Permit.objects.filter(pk=permit.pk).update(external_id="R-1")
    other: Permit = PermitFactory(location=permit.location, plate="ZZZ999", external_id="R-10")
    now = timezone.now()
    events: dict[int, PushEvent] = {}
    for number, one in enumerate((permit, other)):
        row = PermitSync.objects.get(permit=one)
        push = Push.objects.create(
            connection=row.connection, kind="started", events=1, sent_at=now, answered_at=now,
            trace_id=f"trace{number}", outcome="accepted",
        )  # fmt: skip
        events[one.pk] = PushEvent.objects.create(
            permit_sync=row, push=push, kind="started", session_id=f"os-KEY-{one.pk}-1", due_since=now, result="accepted"
        )  # fmt: skip
    mine, permit_sync = events[permit.pk], PermitSync.objects.get(permit=permit)
    for model, typed, expected in (
        (Permit, "R-1", permit),
        (Permit, "abc 12", permit),
        (PermitSync, "ABC-123", permit_sync),
        (PermitSync, str(permit.pk), permit_sync),
        (Push, "trace0", mine.push),
        (PushEvent, "trace0", mine),
        (PushEvent, mine.session_id, mine),
        (PushEvent, str(permit.pk), mine),
    ):
        page = client.get(url(model, "changelist"), {"q": typed}, follow=True)
        assert list(page.context["cl"].result_list) == [expected], typed


@pytest.mark.parametrize("model", [Permit, Connection, Company], ids=lambda model: model.__name__)
def test_the_history_is_looked_at_and_never_gone_back_to(
    client: Client, support: User, permit: Permit, model: type[Model]
) -> None:
    row = model._default_manager.first()
    assert row is not None
    version = row.history.first()  # type: ignore[attr-defined]
    for page in (
        client.get(url(model, "history", row.pk)),
        client.get(url(model, "simple_history", row.pk, version.pk)),
    ):
        assert page.status_code == 200
        assert not INLINE.findall(page.content.decode())
    page = client.post(url(model, "simple_history", row.pk, version.pk), form_of(permit.location))
    assert page.status_code == 403
    permit.refresh_from_db()
    assert permit.plate == "ABC123"


# --- The rest -----------------------------------------------------------------------------------------------------


def test_a_company_saved_in_the_admin_keeps_who_did_it(client: Client, support: User) -> None:
    reauthenticate(client)
    client.post(url(Company, "add"), {"name": "Town", "slug": "town", "offstreet_id": "OS-1"})
    assert Company.objects.get().history.get().history_user == support


def test_refused_registrations_are_tried_again(client: Client, support: User, permit: Permit) -> None:
    PermitSync.objects.update(state=PermitSync.State.REFUSED)
    row = PermitSync.objects.get()
    client.post(url(PermitSync, "changelist"), {"action": "retry", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.state == PermitSync.State.DUE


def test_pulling_zones_begins_a_refresh_and_says_where_it_cannot(client: Client, support: User) -> None:
    able, unable = ConnectionFactory(), ConnectionFactory(operator_id="")
    page = client.post(
        url(Connection, "changelist"),
        {"action": "pull_zones", "_selected_action": [able.pk, unable.pk]},
        follow=True,
    )
    assert ZoneRefresh.objects.get().connection == able
    assert ZoneRefresh.objects.get().asked_by == support
    assert "The operator ID is not set" in page.content.decode()


def test_notices_are_marked_as_done(client: Client, support: User) -> None:
    notice = Notice.objects.create(kind="x", text="Look here", created_at=timezone.now())
    client.post(url(Notice, "changelist"), {"action": "close", "_selected_action": [notice.pk]})
    notice.refresh_from_db()
    assert notice.done_by == support


FORMSET = {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}


def support_client(**rights: bool) -> Client:
    """Return a client of a support user who has just shown that it is still them."""
    client = signed_in(UserFactory(**rights))
    reauthenticate(client)
    return client


def test_support_without_superuser_rights_makes_nobody_support() -> None:
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


# --- People: who is still there, and whose password it is ---------------------------------------------------------------


def test_what_somebody_may_do_is_changed_only_after_showing_anew_who_one_is(
    client: Client, support: User
) -> None:
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


def test_showing_who_one_is_lasts_five_minutes() -> None:
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


def test_an_address_that_somebody_has_is_refused_beside_its_field() -> None:
    UserFactory(email="kim@example.org")
    client = support_client(support=True)
    for typed, words in (
        ("Kim@example.org", "There is already an account"),
        ("ſam@example.org", "without accents"),
    ):
        page = client.post(url(User, "add"), {"email": typed, **FORMSET})
        assert page.status_code == 200
        assert words in page.content.decode()


def test_who_was_quicker_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    client, member = support_client(support=True), MembershipFactory()
    # The form's own check does not see what is saved a moment later.
    monkeypatch.setattr(Membership, "validate_unique", lambda *_args, **_rest: None)
    monkeypatch.setattr(Membership, "validate_constraints", lambda *_args, **_rest: None)
    role = {"user": member.user_id, "company": member.company_id, "role": "manager"}
    answer = client.post(url(Membership, "add"), role, follow=True)
    assert answer.status_code == 200
    assert "at the same time. Nothing was changed" in answer.content.decode()
    assert Membership.objects.get().role == member.role


def test_no_page_shows_secrets_of_second_factors_or_keys_of_sessions() -> None:
    labels = {model._meta.app_label for model in admin.site._registry}
    assert labels == {"locations", "integrations"}


def test_lists_cost_the_same_however_many_rows_they_show(
    client: Client, support: User, permit: Permit, django_assert_max_num_queries: Any
) -> None:
    PermitFactory.create_batch(20, location=permit.location)
    ZoneFactory.create_batch(20, connection=Connection.objects.get())
    CompanyFactory.create_batch(5)
    for model in (Permit, PermitSync, Connection):
        # The first look of an hour is written down.
        client.get(url(model, "changelist"))
        with django_assert_max_num_queries(8):
            client.get(url(model, "changelist"))


@pytest.mark.parametrize("key", ["9" * 40, "-1", "²", "x"])
def test_a_choice_by_a_number_that_no_column_can_hold_chooses_nothing(
    client: Client, support: User, key: str
) -> None:
    reauthenticate(client)
    person, fields = UserFactory(), ("location", "company", "user")
    for model in ("permit", "location", "membership"):
        page = reverse(f"admin:locations_{model}_add")
        assert client.post(page, dict.fromkeys(fields, key)).status_code == 200
    rows = {"memberships-TOTAL_FORMS": "1", "memberships-INITIAL_FORMS": "0", "memberships-0-company": key}
    page = reverse("admin:locations_user_change", args=[person.pk])
    answer = client.post(page, {**rows, "is_active": "on", "memberships-0-role": "viewer"})
    assert answer.status_code == 200
    assert not person.memberships.exists()


def test_no_form_is_filled_in_by_an_address(client: Client, support: User) -> None:
    for model in ("permit", "location", "membership", "company"):
        page = reverse(f"admin:locations_{model}_add")
        given = dict.fromkeys(
            ("start", "end", "location", "company", "user", "name", "plate_typed"), "9" * 40
        )
        answer = client.get(page, given)
        assert answer.status_code == 200
        assert "9999999999" not in answer.content.decode().partition('id="content-main"')[2]
