"""What people do with many vehicles at once is shown before, done by keyboard, and undone: on a desk and a phone."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.browser.acts import rest
from tests.browser.face import HEIGHT_PX, Watched
from tests.browser.staging import seeded_stack
from tests.servers import Stack, eventually

pytestmark = pytest.mark.timeout(150, func_only=True)

UNIVERSITY = "072e8b73-87ba-52be-ad93-16807143d145"
PASSWORD = "demo-passport"
HOME = "/c/university/"
WIDTHS = pytest.mark.parametrize("width", [1440, 390], ids=["desk", "phone"])


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with seeded_stack() as running:
        yield running


@pytest.fixture
def person(stack: Stack, open_page: Callable[..., Watched]) -> Callable[..., Watched]:
    """Open a browser for a signed-in person."""

    def person(email: str = "operator@university.example", width: int = 1440) -> Watched:
        watched = open_page(width=width, height=HEIGHT_PX[width])
        page = watched.page
        page.goto(f"{stack.web_url}/accounts/login/")
        page.get_by_label("Email address").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "/accounts/login" not in url)
        return watched

    return person


def zone_of(stack: Stack, location: str) -> str:
    """The number of the zone that a location is mapped to, or an empty text."""
    rows = stack.query(
        "SELECT zone.number FROM integrations_zonemapping AS mapping "
        "JOIN integrations_zone AS zone ON zone.id = mapping.zone_id "
        "JOIN locations_location AS place ON place.id = mapping.location_id WHERE place.name = ?",
        [location],
    )
    return str(rows[0]["number"]) if rows else ""


def hold(watched: Watched, shot: str) -> None:
    """Keep a picture, and hold the page to what every page keeps to."""
    watched.shot(f"safe-{shot}")
    watched.check()
    watched.check_targets()
    watched.check_axe()


def tab_to(page: Page, name: str, *, role: str = "button") -> None:
    """Press Tab until the keyboard is on the thing of this name."""
    wanted = page.get_by_role(role, name=re.compile(f"^{re.escape(name)}")).first  # type: ignore[arg-type]
    for _ in range(40):
        page.keyboard.press("Tab")
        if wanted.evaluate("(one) => one === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {name}")


def fill_permit(page: Page, stack: Stack, plate: str, *, begin: int, end: int) -> None:
    """Fill in the form of a permit at Rec Garage that begins and ends so many days from now, by keyboard; leave it unsent."""
    page.goto(f"{stack.web_url}{HOME}permits/add/")
    page.get_by_role("combobox", name="Location").focus()
    page.keyboard.type("Rec Garage")
    page.keyboard.press("Enter")
    page.get_by_role("textbox", name="Plate").fill(plate)
    page.get_by_role("combobox", name="State or country").focus()
    page.keyboard.type("North Carolina")
    page.keyboard.press("Enter")
    today = datetime.now(UTC)
    for field, days in (("#id_start", begin), ("#id_end", end)):
        page.locator(field).fill((today + timedelta(days=days)).strftime("%Y-%m-%dT08:00"))


@WIDTHS
def test_a_plate_that_has_a_permit_ahead_is_told_and_that_one_is_extended_by_keyboard(
    stack: Stack, person: Callable[..., Watched], width: int
) -> None:
    watched, plate = person(width=width), f"TWICE{width}"[:10]
    page = watched.page
    fill_permit(page, stack, plate, begin=3, end=5)
    tab_to(page, "Save")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(plate)
    first = page.url
    fill_permit(page, stack, plate, begin=4, end=9)
    extend = page.get_by_role("radio", name=re.compile("Extend that one until"))
    expect(extend).to_be_visible()
    # Nothing is preselected: Save asks first.
    tab_to(page, "Save")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Choose what to do.").first).to_be_visible()
    hold_errors(watched)
    extend.focus()
    # The hints are loaded again, and keep the choice and the keyboard's position.
    with page.expect_response(re.compile("/permits/hints/")):
        page.keyboard.press("Space")
    rest(page)
    expect(extend).to_be_checked()
    expect(extend).to_be_focused()
    # Looked at last: axe leaves an empty style on what it looked at, which a swap would carry over.
    hold(watched, f"twice-{width}")
    tab_to(page, "Save")
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(re.compile("was extended until .* No second permit was registered"))
    ).to_be_visible()
    assert page.url == first
    # Two of them: ending one says that the other still shows the plate.
    fill_permit(page, stack, plate, begin=2, end=12)
    page.get_by_role("radio", name="Register a second permit all the same").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("This plate has another permit here.")).to_be_visible()
    tab_to(page, "Cancel permit", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Officers will still see this plate, by another permit:")).to_be_visible()
    hold(watched, f"one-of-two-{width}")
    tab_to(page, "Cancel permit")
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(re.compile("Another permit still shows this plate at Rec Garage"))
    ).to_be_visible()
    hold(watched, f"other-left-{width}")


@WIDTHS
def test_a_location_is_moved_and_taken_out_by_keyboard_after_a_look_and_each_is_undone(
    stack: Stack, person: Callable[..., Watched], width: int
) -> None:
    watched = person(width=width)
    page = watched.page
    page.goto(f"{stack.web_url}{HOME}locations/?q=Lot+B")
    zone = page.get_by_role("combobox", name="Zone of Lot B")
    expect(zone).to_have_accessible_description(re.compile("LotB"))
    zone.focus()
    # Enter right after typing, and the letters as they are.
    page.keyboard.type("LOTB")
    page.keyboard.press("Enter")
    expect(page.get_by_text("You picked LOTB.")).to_be_visible()
    expect(page.get_by_text(re.compile("Saving moves [0-9]+ permits here from LotB"))).to_be_visible()
    expect(zone).to_have_accessible_description(re.compile("^LOTB"))
    expect(page.locator("#chosen-said")).to_contain_text("LOTB")
    hold(watched, f"chosen-{width}")
    tab_to(page, "Save the zone of Lot B")
    page.keyboard.press("Enter")
    expect(
        page.get_by_text(re.compile("permits move from LotB to LOTB; officers will see them"))
    ).to_be_visible()
    hold(watched, f"move-{width}")
    assert zone_of(stack, "Lot B") == "LotB"
    tab_to(page, "Move ")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Lot B sends to LOTB")).to_be_visible()
    expect(page).to_have_url(re.compile(r"/locations/\?q=Lot"))
    assert zone_of(stack, "Lot B") == "LOTB"
    hold(watched, f"moved-{width}")
    tab_to(page, "Undo")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Undone: 1 location sends where it did before.")).to_be_visible()
    assert zone_of(stack, "Lot B") == "LotB"

    page.goto(f"{stack.web_url}{HOME}locations/?q=Lot+B")
    zone.focus()
    page.keyboard.press("ArrowUp")
    page.get_by_role("option", name="no zone", exact=True).click()
    tab_to(page, "Save the zone of Lot B")
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name=re.compile("Take [0-9]+ permits out of Passport"))
    expect(button).to_be_visible()
    tab_to(page, "Type “remove” to confirm", role="textbox")
    page.keyboard.type("yes")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing was changed. Type “remove”, or keep the zone.")).to_be_visible()
    expect(page.get_by_role("textbox", name="Type “remove” to confirm")).to_be_focused()
    hold_errors(watched)
    hold(watched, f"take-out-{width}")
    assert zone_of(stack, "Lot B") == "LotB"
    page.keyboard.press("Control+A")
    page.keyboard.type("remove")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Lot B has no zone now")).to_be_visible()
    assert zone_of(stack, "Lot B") == ""
    tab_to(page, "Undo")
    page.keyboard.press("Enter")
    eventually(lambda: zone_of(stack, "Lot B") == "LotB", what="the zone to be back")


def hold_errors(watched: Watched) -> None:
    """Forget what the browser notes of an answer that says what is wrong: the status is meant."""
    watched.errors[:] = [one for one in watched.errors if "status of 422" not in one]


def test_a_saved_row_keeps_the_keyboard(stack: Stack, person: Callable[..., Watched]) -> None:
    page = person().page
    page.goto(f"{stack.web_url}{HOME}locations/")
    zone = page.get_by_role("combobox", name="Zone of Visitor lane")
    zone.focus()
    page.keyboard.type("Lot 66")
    page.keyboard.press("Enter")
    tab_to(page, "Save the zone of Visitor lane")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Visitor lane sends to Lot 66")).to_be_visible()
    expect(zone).to_be_focused()
    expect(page.get_by_role("option").first).to_be_hidden()
    expect(zone).to_have_accessible_description(re.compile("^Lot 66"))


def test_the_exact_number_is_taken_also_where_the_server_searches(
    stack: Stack, person: Callable[..., Watched]
) -> None:
    for old, new in (("0001", "LotB"), ("0002", "LOTB"), ("0003", "XLOTBX")):
        stack.query("UPDATE integrations_zone SET number = ? WHERE number = ?", [new, old])
    page = person("operator@harbor-properties.example").page
    page.goto(f"{stack.web_url}/c/harbor-properties/locations/")
    zone = page.get_by_role("combobox", name="Zone of Pier garage")
    for typed in ("LOTB", "LotB", "LOTB"):
        zone.focus()
        # Enter comes before the server's answer.
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        expect(zone).to_have_accessible_description(re.compile(f"^{typed} "))
        page.keyboard.press("Tab")
    zone.focus()
    page.keyboard.type("lotb")
    page.keyboard.press("Enter")
    # Several fit, and none letter for letter: nothing is taken unseen.
    for number in ("LotB", "LOTB", "XLOTBX"):
        expect(page.get_by_role("option", name=re.compile(f"^{number} "))).to_be_visible()
    expect(zone).to_have_accessible_description(re.compile("^LOTB "))


@WIDTHS
def test_a_cancelled_permit_is_reinstated_from_its_page_by_keyboard(
    stack: Stack, person: Callable[..., Watched], width: int
) -> None:
    watched, plate = person(width=width), f"BACK{width}"
    page = watched.page
    fill_permit(page, stack, plate, begin=1, end=5)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(plate)
    permit = int(page.url.rstrip("/").rpartition("/")[2])
    tab_to(page, "Cancel permit", role="link")
    page.keyboard.press("Enter")
    tab_to(page, "Cancel permit")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{plate} was cancelled.")).to_be_visible()
    # Long after the ten seconds.
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    stack.query("UPDATE locations_permit SET cancelled_at = ? WHERE id = ?", [an_hour_ago, permit])
    page.reload()
    tab_to(page, "Reinstate", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{plate} will be valid again at Rec Garage")).to_be_visible()
    hold(watched, f"reinstate-{width}")
    tab_to(page, "Reinstate")
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"{plate} was reinstated.")).to_be_visible()
    eventually(
        lambda: plate in {right["vehicle"]["vehicle_plate"] for right in stack.sandbox.rights(UNIVERSITY)},
        what="the plate to be back",
    )


@WIDTHS
def test_the_form_that_corrects_a_refused_permit_says_why_and_begins_at_the_field(
    stack: Stack, person: Callable[..., Watched], width: int
) -> None:
    watched = person(width=width)
    page = watched.page
    page.goto(f"{stack.web_url}{HOME}activity/refused/")
    hold(watched, f"refused-{width}")
    tab_to(page, "Fix", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Passport refused this permit:")).to_be_visible()
    space = page.get_by_label("Space number")
    expect(space).to_be_focused()
    expect(space).to_have_attribute("aria-invalid", "true")
    expect(space).to_have_accessible_description(re.compile("Enter a space number that exists in the zone"))
    hold(watched, f"refused-form-{width}")


def test_support_starts_a_set_up_anew_by_keyboard(stack: Stack, person: Callable[..., Watched]) -> None:
    watched = person("support@offstreet.example")
    page = watched.page
    page.goto(f"{stack.web_url}/c/lakeshore-city/setup/")
    tab_to(page, "Start the set-up anew", role="link")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The new set-up begins at its first step.")).to_be_visible()
    tab_to(page, "Reason", role="textbox")
    page.keyboard.type("The account manager sent another company's ID")
    tab_to(page, "Type “end” to confirm", role="textbox")
    page.keyboard.type("end")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The set-up begins anew.")).to_be_visible()
    hold(watched, "anew")
    rows = stack.query(
        "SELECT one.status FROM integrations_connection AS one JOIN locations_company AS company "
        "ON company.id = one.company_id WHERE company.slug = ? ORDER BY one.id",
        ["lakeshore-city"],
    )
    assert [row["status"] for row in rows] == ["ended", "setup"]
