"""What people use the product for, page by page: each page's main story in a real browser, on real processes and the sandbox.

Set-up is in `test_onboarding.py`, signing in with two steps in `test_account_pages.py`. Here a live company is at work: what
is asserted is what Passport has in the end, and what the person reads until then.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.face import Watched
from tests.browser.staging import seeded_stack
from tests.flows.scripts.companies import invitation_token
from tests.servers import Stack, eventually

pytestmark = pytest.mark.timeout(120, func_only=True)

Open = Callable[..., Watched]
UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"
PASSWORD = "demo-passport"
HOME = "/c/university/"
# Delivery takes a second or two; the rest is for a busy machine.
SOON_MS = 20_000
# Accepted, or a second later already seen among the parking rights.
HAS_IT = re.compile("Passport (accepted this plate|has shown officers this plate)")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with seeded_stack() as running:
        yield running


@pytest.fixture
def person(stack: Stack, open_page: Open) -> Callable[..., Page]:
    """Open a browser for a signed-in person; one session for each, as in the scene of the pages."""

    def person(role: str = "operator", *, javascript: bool = True) -> Page:
        page = open_page(javascript=javascript).page
        page.goto(f"{stack.web_url}/accounts/login/")
        page.get_by_label("Email address").fill(f"{role}@university.example")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)
        return page

    return person


def plates(stack: Stack) -> set[str]:
    """The plates that officers of the university see."""
    return {right["vehicle"]["vehicle_plate"] for right in stack.sandbox.rights(UNIVERSITY)}


def mapped_zone(stack: Stack, location: str) -> str:
    """The number of the zone that a location is mapped to, or an empty text."""
    rows = stack.query(
        "SELECT zone.number FROM integrations_zonemapping AS mapping "
        "JOIN integrations_zone AS zone ON zone.id = mapping.zone_id "
        "JOIN locations_location AS place ON place.id = mapping.location_id WHERE place.name = ?",
        [location],
    )
    return str(rows[0]["number"]) if rows else ""


def register(page: Page, stack: Stack, plate: str, location: str = "Rec Garage") -> None:
    """Fill in and send the form of a new permit, with or without JavaScript."""
    page.goto(f"{stack.web_url}{HOME}permits/add/")
    page.get_by_role("textbox", name="Plate").fill(plate)
    if page.locator(".ts-control").count():
        page.get_by_role("combobox", name="Location").click()
        page.get_by_role("option", name=location, exact=True).click()
        page.get_by_role("combobox", name="State or country").click()
        page.get_by_role("option", name="North Carolina", exact=True).click()
    else:
        page.locator("#id_location").select_option(label=location)
        page.locator("#id_subdivision").select_option(label="North Carolina")
    page.locator("#id_end").fill((datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT%H:%M"))
    page.get_by_role("button", name="Save", exact=True).click()


def end_now(page: Page) -> None:
    """End the permit whose page is open."""
    page.get_by_role("link", name="Cancel permit").click()
    page.get_by_role("button", name=re.compile("^(End|Cancel)")).last.click()


def test_a_location_is_mapped_by_keyboard_and_saved_without_leaving_the_page(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person()
    page.goto(f"{stack.web_url}{HOME}locations/")
    address = page.url
    page.evaluate("window.stayed = true")
    page.get_by_role("combobox", name="Zone of Visitor lane").focus()
    page.keyboard.type("julka")
    expect(page.get_by_role("option", name="Lot 66 · Julka Dr.")).to_be_visible()
    page.keyboard.press("Enter")
    save = page.get_by_role("button", name="Save the zone of Visitor lane")
    expect(save).to_be_visible()
    # The first Tab may just leave the dropdown.
    for _ in range(3):
        page.keyboard.press("Tab")
        if save.evaluate("(button) => button === document.activeElement"):
            break
    expect(save).to_be_focused()
    page.keyboard.press("Enter")
    eventually(lambda: mapped_zone(stack, "Visitor lane") == "Lot 66", what="the mapping to be saved")
    row = page.locator("tr:has([aria-label='Zone of Visitor lane'])")
    expect(row.get_by_text("unmapped", exact=True)).to_have_count(0)
    assert page.url == address
    assert page.evaluate("window.stayed")


def test_enter_saves_the_zone_that_was_chosen_and_accepts_nothing_by_the_way(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person()
    page.goto(f"{stack.web_url}{HOME}locations/")
    row = page.locator("tr", has=page.get_by_role("button", name="Accept")).first
    place = row.get_by_role("rowheader").inner_text().splitlines()[0]
    zone = page.get_by_role("combobox", name=f"Zone of {place}", exact=True)
    zone.focus()
    page.keyboard.press("Escape")  # Closes the list: nothing is chosen, so nothing is saved either.
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{place} stays as it is.")).to_be_visible()
    assert mapped_zone(stack, place) == ""
    zone.focus()
    page.keyboard.type("julka")
    expect(page.get_by_role("option", name="Lot 66 · Julka Dr.")).to_be_visible()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{place} sends to Lot 66")).to_be_visible()
    assert mapped_zone(stack, place) == "Lot 66"
    # And back to none with the mouse, which the list offers like any other choice.
    zone.click()
    page.get_by_role("option", name="no zone", exact=True).click()
    page.get_by_role("button", name=f"Save the zone of {place}").click()
    page.get_by_label("Type “remove” to confirm").fill("remove")
    page.get_by_role("button", name=re.compile("^(Take|Remove)")).click()
    eventually(lambda: mapped_zone(stack, place) == "", what="the location to have no zone")


def test_a_permit_is_registered_and_its_page_shows_the_acceptance_automatically(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person()
    register(page, stack, "STORY01")
    expect(page.get_by_role("heading", level=1)).to_have_text("STORY01")
    expect(page.get_by_text(HAS_IT)).to_be_visible(timeout=SOON_MS)
    assert "STORY01" in plates(stack)


def test_a_permit_is_changed_then_ended_then_taken_back_within_ten_seconds(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person()
    register(page, stack, "STORY02")
    expect(page.get_by_text(HAS_IT)).to_be_visible(timeout=SOON_MS)
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_role("textbox", name="Plate").fill("STORY22")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("STORY22 was changed.")).to_be_visible()
    eventually(lambda: {"STORY02", "STORY22"} & plates(stack) == {"STORY22"}, what="the new plate alone")
    end_now(page)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("STORY22 was reinstated.")).to_be_visible()
    expect(page.get_by_text(HAS_IT)).to_be_visible(timeout=SOON_MS)
    eventually(lambda: "STORY22" in plates(stack), what="the plate to be back")


def test_several_permits_are_cancelled_after_a_look_at_what_would_happen(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person()
    for plate in ("BULK001", "BULK002"):
        register(page, stack, plate)
        expect(page.get_by_text(HAS_IT)).to_be_visible(timeout=SOON_MS)
    page.goto(f"{stack.web_url}{HOME}permits/")
    for plate in ("BULK001", "BULK002"):
        page.get_by_label(f"Select {plate}").check()
    page.get_by_role("button", name="Cancel selected…").click()
    expect(page.get_by_text("2 permits will be cancelled.")).to_be_visible()
    assert {"BULK001", "BULK002"} <= plates(stack)
    page.get_by_role("button", name=re.compile("Cancel 2 permits")).click()
    expect(page.get_by_text("2 permits were cancelled.")).to_be_visible()
    eventually(lambda: not {"BULK001", "BULK002"} & plates(stack), what="both to be gone")


def test_the_question_whether_a_vehicle_was_covered_is_answered_with_the_reason(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person("viewer")
    page.goto(f"{stack.web_url}{HOME}valid/")
    page.get_by_role("textbox", name="Plate").fill("NOTHERE")
    page.get_by_role("combobox", name="Location").click()
    page.get_by_role("option", name="Rec Garage", exact=True).click()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_role("heading", name="Why")).to_be_visible()
    expect(page.locator(".os-answer").first).to_contain_text(re.compile("^\\s*No", re.IGNORECASE))
    assert "NOTHERE" not in page.url


def test_zones_are_refreshed_and_what_changed_is_read(stack: Stack, person: Callable[..., Page]) -> None:
    new = {"id": "5a0f6d0e-4c1b-4a53-9f0e-0d6d5f2b7a11", "number": "N1", "name": "North 1"}
    stack.sandbox.call("POST", f"operators/{UNIVERSITY}/zones", new)
    page = person()
    page.goto(f"{stack.web_url}{HOME}zones/")
    page.get_by_role("button", name="Refresh zones").click()
    expect(page.get_by_role("link", name="N1 · North 1")).to_be_visible(timeout=SOON_MS)


def test_what_was_refused_is_tried_again_by_its_reason(stack: Stack, person: Callable[..., Page]) -> None:
    page = person()
    page.goto(f"{stack.web_url}{HOME}activity/refused/")
    page.get_by_role("button", name=re.compile("Try all again")).first.click()
    expect(page.get_by_text(re.compile("(is|are) being tried again"))).to_be_visible()


def test_a_member_is_invited_and_joins_by_the_link(
    stack: Stack, person: Callable[..., Page], open_page: Open
) -> None:
    page = person("manager")
    page.goto(f"{stack.web_url}{HOME}settings/")
    page.get_by_label("Email address").fill("new@university.example")
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_text("An invitation is on its way to new@university.example.")).to_be_visible()
    token = stack.run(invitation_token, email="new@university.example")
    guest = open_page(width=390).page
    guest.goto(f"{stack.web_url}/invitations/{token}/")
    guest.get_by_label("First name").fill("Nia")
    guest.get_by_label("Last name").fill("New")
    guest.get_by_label("Password").fill("a-long-passphrase-of-her-own")
    guest.get_by_role("button", name="Set the password and join").click()
    expect(guest.get_by_text("Welcome to University.")).to_be_visible()
    guest.goto(f"{stack.web_url}/invitations/{token}/")
    expect(guest.get_by_text("This invitation can no longer be used.")).to_be_visible()


def test_without_javascript_one_maps_registers_and_cancels_all_the_same(
    stack: Stack, person: Callable[..., Page]
) -> None:
    page = person(javascript=False)
    page.goto(f"{stack.web_url}{HOME}locations/")
    page.get_by_label("Zone of LOT 70").select_option(label="Lot 70 · E. 24th Street")
    page.locator("#location-" + page.get_by_label("Select LOT 70").input_value()).get_by_text("Save").click()
    assert mapped_zone(stack, "LOT 70") == "Lot 70"
    register(page, stack, "NOJS001")
    expect(page.get_by_role("heading", level=1)).to_have_text("NOJS001")
    eventually(lambda: "NOJS001" in plates(stack), what="the plate to arrive")
    page.reload()
    expect(page.get_by_text(HAS_IT)).to_be_visible()
    end_now(page)
    eventually(lambda: "NOJS001" not in plates(stack), what="the plate to be gone")
