"""The admin: support only, nothing is deleted, no inline script or style, and large tables are never counted."""

import re
from typing import Any

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from integrations.models import Connection, Notice, PermitSync, Push, PushEvent, ZoneRefresh
from locations import admin_base
from locations.models import Company, Location, Permit, User
from tests.factories import (
    CompanyFactory,
    ConnectionFactory,
    MembershipFactory,
    PermitFactory,
    UserFactory,
    ZoneFactory,
)
from tests.offstreet.admin_pages import form_of, url
from tests.pages import reauthenticate

pytestmark = pytest.mark.django_db
OURS = [model for model in admin.site._registry if model._meta.app_label in ("locations", "integrations")]
INLINE = re.compile(
    r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")"
)


def test_every_model_of_ours_can_be_looked_at() -> None:
    from django.apps import apps

    models = [
        *apps.get_app_config("locations").get_models(),
        *apps.get_app_config("integrations").get_models(),
    ]
    missing = [
        model for model in models if model not in admin.site._registry and "Historical" not in model.__name__
    ]
    # Shown with its ticket; and look-ups for pages, which are deleted after an hour.
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
def test_no_one_can_delete_and_only_support_can_look(client: Client, model: type[Model]) -> None:
    client.force_login(MembershipFactory(role="manager").user)
    assert client.get(url(model, "changelist")).status_code == 302
    client.force_login(UserFactory(support=True))
    row = model._default_manager.first()
    assert client.post(url(model, "delete", row.pk if row else 1)).status_code in (302, 403)
    page = client.get(url(model, "changelist")).content.decode()
    assert "delete_selected" not in page


# --- Permits ---------------------------------------------------------------------------------------------


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


# --- The rest --------------------------------------------------------------------------------------------


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
    assert "The operator ID has not been entered yet" in page.content.decode()


def test_notices_are_marked_as_done(client: Client, support: User) -> None:
    notice = Notice.objects.create(kind="x", text="Look here", created_at=timezone.now())
    client.post(url(Notice, "changelist"), {"action": "close", "_selected_action": [notice.pk]})
    notice.refresh_from_db()
    assert notice.done_by == support


# --- People: who is still there, and whose password it is ------------------------------------------------


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
        # The first look within an hour is recorded.
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
