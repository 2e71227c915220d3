"""An operator's day with permits in a real browser: register one, watch it arrive, cancel it, and undo that."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from integrations.models import PermitSync
from locations.models import Location, Membership, Permit, User
from tests.browser.face import Watched
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    PermitFactory,
    ZoneFactory,
    ZoneMappingFactory,
)

pytestmark = [pytest.mark.timeout(240), pytest.mark.django_db(transaction=True)]


@pytest.fixture
def member() -> Membership:
    """An operator of a company with one mapped location and one that requires a space number."""
    found: Membership = MembershipFactory(company__name="University", company__slug="university")
    connection = ConnectionFactory(company=found.company, live=True)
    for name, number, kind in (("North Campus Garage", "Z123", "vehicle"), ("Short stay", "SP-01", "space")):
        raw = {"spaces": ["1", "4A"]} if kind == "space" else {}
        zone = ZoneFactory(connection=connection, number=number, name=name, session_type=kind, raw=raw)
        ZoneMappingFactory(location=LocationFactory(company=found.company, name=name), zone=zone)
    return found


@pytest.fixture
def garage(member: Membership) -> Location:
    """The mapped location."""
    return Location.objects.get(name="North Campus Garage")


@pytest.fixture
def operator(
    member: Membership,
    live_server: Any,
    open_page: Callable[..., Watched],
    sign_in: Callable[[Watched, str, User], None],
) -> Watched:
    """The operator's browser."""
    watched = open_page()
    sign_in(watched, live_server.url, member.user)
    return watched


def choose(page: Page, field: str, text: str) -> None:
    """Choose from a searching dropdown: type, then pick."""
    box = page.locator(f"#{field}-ts-control")
    box.click()
    box.type(text)
    page.get_by_role("option", name=text).first.click()


def test_the_form_asks_about_look_alikes_double_hours_and_spaces_while_one_types(
    operator: Watched, live_server: Any, garage: Location
) -> None:
    PermitFactory(location=garage, plate="ABC1204")
    page = operator.page
    operator.go(f"{live_server.url}/c/university/permits/add/")
    page.get_by_label("Plate", exact=True).fill("abc 12O4")
    expect(page.get_by_text("Is ABC12O4 right?")).to_be_visible()
    choose(page, "id_subdivision", "North Carolina")
    choose(page, "id_location", "Short stay")
    expect(page.get_by_label("Space number")).to_be_visible()
    choose(page, "id_location", "North Campus Garage")
    expect(page.get_by_label("Space number")).to_have_count(0)
    page.get_by_label("From", exact=True).fill("2026-11-01T01:30")
    page.get_by_label("the second", exact=False).check()
    page.get_by_label("Until", exact=True).fill("2030-12-05T18:00")
    expect(page.locator("#end-hint")).to_contain_text("23:00 UTC")
    expect(page.locator("#permit-preview")).to_contain_text("1 Nov 2026, 06:30 UTC")
    page.get_by_label("Yes, the plate on the vehicle is").check()
    operator.check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("abc 12O4")
    permit = Permit.objects.get(plate="ABC12O4")
    assert permit.start == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
    operator.check()


def test_a_permit_is_ended_and_the_end_is_undone(
    operator: Watched, live_server: Any, garage: Location
) -> None:
    permit = PermitFactory(location=garage, plate="ABC 1234")
    page = operator.page
    operator.go(f"{live_server.url}/c/university/permits/{permit.pk}/")
    page.get_by_role("link", name="Cancel permit").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel permit").click()
    expect(page.get_by_text("ABC 1234 was cancelled.")).to_be_visible()
    assert Permit.objects.get().status == "cancelled"
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("ABC 1234 was reinstated.")).to_be_visible()
    assert Permit.objects.get().status == "active"
    operator.check()


def test_a_list_that_waits_shows_the_acceptance_automatically_and_stops_polling(
    operator: Watched, live_server: Any, garage: Location
) -> None:
    permit = PermitFactory(location=garage, plate="ABC 1234")
    page = operator.page
    operator.go(f"{live_server.url}/c/university/permits/")
    expect(page.get_by_text("waiting to be sent")).to_be_visible()
    now = timezone.now()
    PermitSync.objects.filter(permit=permit).update(
        state="done",
        remote_state={"session_id": "s"},
        remote_until=now + timedelta(days=1),
        accepted_at=now,
        session_count=1,
    )
    expect(page.locator(".os-badge")).to_contain_text("accepted", timeout=15_000)
    asked = len(operator.responses)
    page.wait_for_timeout(4_500)
    assert len(operator.responses) == asked
    operator.check()


def test_a_pasted_time_is_read_and_asked_about_and_no_end_is_a_button(
    member: Membership,
    garage: Location,
    live_server: Any,
    open_page: Callable[..., Watched],
    sign_in: Callable[[Watched, str, User], None],
) -> None:
    watched = open_page()
    sign_in(watched, live_server.url, member.user)
    page = watched.page
    page.goto(f"{live_server.url}/c/university/permits/add/")
    page.get_by_label("Plate", exact=True).fill("ABC 1234")
    page.locator("#id_subdivision").evaluate("box => box.tomselect.setValue('DEU')")
    page.locator("#id_location").evaluate("(box, key) => box.tomselect.setValue(key)", str(garage.pk))
    start = page.get_by_label("From", exact=True)
    expect(start).to_have_attribute("type", "datetime-local")
    start.evaluate(
        """field => {
            const data = new DataTransfer();
            data.setData("text/plain", " 11/12/2026 8:00:00 AM ");
            field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
        }"""
    )
    expect(start).to_have_attribute("type", "text")
    expect(start).to_have_value("11/12/2026 8:00:00 AM")
    page.get_by_label("12 November 2026").check()
    expect(page.locator("#start-hint")).to_contain_text("12 Nov 2026, 08:00")
    page.get_by_role("button", name="+30 days").click()
    expect(page.get_by_label("Until", exact=True)).to_have_value("2026-12-12T08:00")
    page.get_by_role("button", name="No end").click()
    expect(page.get_by_label("Until", exact=True)).to_have_value("2099-12-30T23:59")
    watched.check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ABC 1234")
    permit = Permit.objects.get()
    assert (permit.country, permit.subdivision) == ("DE", "")
    assert permit.start.isoformat() == "2026-11-12T13:00:00+00:00"


def test_everything_works_without_javascript(
    member: Membership,
    garage: Location,
    live_server: Any,
    open_page: Callable[..., Watched],
    sign_in: Callable[[Watched, str, User], None],
) -> None:
    watched = open_page(javascript=False)
    sign_in(watched, live_server.url, member.user)
    page = watched.page
    page.goto(f"{live_server.url}/c/university/permits/add/")
    page.get_by_label("Plate", exact=True).fill("ABC 1234")
    page.get_by_label("State or country").select_option("US-NC")
    page.get_by_label("Location").select_option(label="North Campus Garage")
    page.get_by_label("From", exact=True).fill("2026-11-01T01:30")
    page.get_by_label("Until", exact=True).fill("2030-12-05T18:00")
    page.get_by_role("button", name="Save", exact=True).click()
    # The hour occurs twice: the form comes back with a choice.
    page.get_by_label("the first", exact=False).check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("ABC 1234")
    page.get_by_role("link", name="Cancel permit").click()
    page.get_by_role("button", name="Cancel permit").click()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("ABC 1234 was reinstated.")).to_be_visible()
    page.goto(f"{live_server.url}/c/university/permits/?when=current")
    page.get_by_role("checkbox", name="Select ABC 1234").check()
    page.get_by_role("button", name="Cancel selected").click()
    page.get_by_role("button", name="Cancel 1 permit").click()
    assert Permit.objects.get().status == "cancelled"
