"""Permits in the admin: what is added, changed and cancelled there goes through the service."""

from datetime import UTC, time
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from integrations.models import PermitSync, ZoneMapping
from locations.models import Permit, User
from tests.factories import LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.offstreet.admin_pages import form_of, url

pytestmark = pytest.mark.django_db


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


def test_more_permits_than_are_cancelled_unasked_are_left_to_the_page_that_asks(
    client: Client, support: User, permit: Permit, settings: Any
) -> None:
    settings.HELD_CHANGE_RIGHTS = 2
    chosen = [permit.pk, *(PermitFactory(location=permit.location).pk for _number in range(2))]
    answer = client.post(
        url(Permit, "changelist"), {"action": "cancel", "_selected_action": chosen}, follow=True
    )
    assert "Nothing was cancelled. More than 2 permits are cancelled" in answer.content.decode()
    assert set(Permit.objects.values_list("status", flat=True)) == {Permit.Status.ACTIVE}
    client.post(url(Permit, "changelist"), {"action": "cancel", "_selected_action": chosen[:2]})
    assert Permit.objects.filter(status=Permit.Status.CANCELLED).count() == 2


def test_a_mapping_is_shown_and_not_changed_here(client: Client, support: User) -> None:
    mapping = ZoneMappingFactory()
    assert client.get(url(ZoneMapping, "change", mapping.pk)).status_code == 200
    other = ZoneFactory(connection=mapping.zone.connection)
    form = {"location": mapping.location_id, "zone": other.pk}
    for name in ("change", "delete"):
        assert client.post(url(ZoneMapping, name, mapping.pk), form).status_code == 403
    assert client.post(url(ZoneMapping, "add"), form).status_code == 403
    assert ZoneMapping.objects.get().zone == mapping.zone


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


def test_a_permit_from_abroad_is_added_and_shown_in_the_admin(client: Client, support: User) -> None:
    page = client.post(url(Permit, "add"), form_of(LocationFactory(), subdivision="DEU"))
    assert page.status_code == 302, page.context["errors"]
    permit = Permit.objects.get()
    assert (permit.country, permit.subdivision) == ("DE", "")
    shown = client.get(url(Permit, "change", permit.pk)).content.decode()
    assert '<option value="DEU" selected>Germany' in shown
