"""Every component in every state, in a real browser: accessibility (axe), behaviour, keyboard, and the strict policy."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.face import Watched

Open = Callable[..., Watched]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def styleguide(live_server: Any) -> str:
    return f"{live_server.url}/styleguide/"


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_component_is_accessible_and_keeps_to_the_policy(
    open_page: Open, styleguide: str, scheme: str, width: int
) -> None:
    watched = open_page(scheme=scheme, width=width)
    watched.go(styleguide)
    watched.shot(f"styleguide-{scheme}-{width}")
    watched.check()
    watched.check_axe()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_form_with_errors_is_accessible_and_lands_on_the_first_of_them(
    open_page: Open, styleguide: str, scheme: str
) -> None:
    watched = open_page(scheme=scheme)
    watched.go(styleguide)
    watched.page.get_by_role("textbox", name="Plate").first.fill("BAD!")
    watched.page.get_by_role("button", name="Save").click()
    plate = watched.page.locator("#id_plate")
    expect(plate).to_be_focused()
    expect(plate).to_have_attribute("aria-invalid", "true")
    expect(plate).to_have_accessible_description(
        "A plate has letters and digits only. As it appears on the vehicle; spaces don't matter."
    )
    expect(watched.page.get_by_role("alert")).to_contain_text("Nothing was saved")
    watched.errors.clear()  # the browser notes the answer's status 422, which is meant
    watched.check_axe()
    watched.shot(f"form-errors-{scheme}")


def test_the_reader_chooses_the_colours_and_the_choice_is_there_before_the_first_paint(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page(scheme="light")
    page = watched.page
    watched.go(styleguide)
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "light"
    page.evaluate("window.setTheme('dark')")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(16, 22, 30)"
    page.goto(styleguide, wait_until="commit")
    page.wait_for_function("document.body !== null")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    watched.check()


def test_a_dropdown_is_searched_and_chosen_with_the_keyboard_alone(open_page: Open, styleguide: str) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    page.get_by_role("textbox", name="From").focus()
    page.keyboard.press("Shift+Tab")
    zone = page.get_by_role("combobox", name="Passport zone")
    expect(zone).to_be_focused()
    page.keyboard.type("campus")
    expect(page.get_by_role("option", name="Z123 · North Campus Garage")).to_be_visible()
    watched.check_axe()
    watched.shot("dropdown-light", full=False)
    page.keyboard.press("Enter")
    assert page.locator("#id_zone").input_value() == "Z123"
    watched.check()


def test_letters_that_differ_in_case_alone_stay_two_zones(open_page: Open, styleguide: str) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    zone = page.get_by_role("combobox", name="Passport zone")
    zone.click()
    zone.press_sequentially("lotb")
    expect(page.get_by_role("option", name="LotB · Lot B", exact=True)).to_be_visible()
    page.get_by_role("option", name="LOTB · Lot B, upper deck").click()
    assert page.locator("#id_zone").input_value() == "LOTB"


def test_a_long_list_is_searched_on_the_server(open_page: Open, styleguide: str) -> None:
    watched = open_page(scheme="dark")
    page = watched.page
    watched.go(styleguide)
    zone = page.get_by_role("combobox", name="Zone of Rec Garage")
    zone.click()
    expect(page.get_by_role("option", name="Lot 70 · E. 24th Street")).to_be_visible()
    watched.shot("dropdown-dark", full=False)
    zone.press_sequentially("216")
    expect(page.get_by_role("option", name="Lot 70 · E. 24th Street")).to_have_count(0)
    page.get_by_role("option", name="216 · All Passport spaces").click()
    assert page.locator("select[data-url]").input_value() == "216"
    watched.check()


def test_a_dialog_opens_over_the_page_traps_the_focus_and_closes_with_escape(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    opener = page.get_by_role("link", name="Open dialog")
    opener.click()
    dialog = page.get_by_role("dialog", name="Cancel this permit?")
    expect(dialog).to_be_visible()
    watched.shot("dialog", full=False)
    watched.check_axe("#end")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    watched.check()


def test_a_dialog_from_the_server_opens_with_its_name_its_focus_and_its_dropdowns(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page(width=390)
    page = watched.page
    watched.go(styleguide)
    page.get_by_role("link", name="Change…").click()
    dialog = page.get_by_role("dialog", name="Change the plate")
    expect(dialog).to_be_visible()
    dialog.get_by_role("combobox", name="Zone in the dialog").click()
    page.get_by_role("option", name="LotB · Lot B").last.click()
    expect(dialog.locator(".ts-control .item")).to_be_visible()
    expect(dialog.locator("select")).to_have_value("a")
    watched.check_axe("#shared-dialog")
    watched.shot("dialog-from-the-server", full=False)
    dialog.get_by_role("button", name="Cancel").click()
    expect(dialog).to_be_hidden()
    watched.check()


def test_a_poll_ends_when_the_server_says_that_there_is_nothing_more_to_wait_for(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page()
    watched.page.clock.install()
    watched.go(styleguide)
    watched.page.clock.run_for(400)
    expect(watched.page.locator("#poll")).to_have_text("All 100,000 permits are registered.")
    watched.page.clock.run_for(5_000)
    polls = [response for response in watched.responses if "part=done" in response.url]
    # None of the sixteen that fit into five seconds is sent; on a busy machine, the one that was under way may be.
    assert {response.status for response in polls} == {286}
    assert len(polls) <= 2


def test_a_server_that_cannot_be_reached_is_said_once(open_page: Open, styleguide: str) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    page.context.set_offline(True)
    for _ in range(3):
        page.get_by_role("link", name="Change…").click()
    expect(page.locator("#toasts").get_by_text("can't be reached")).to_have_count(1)


def test_a_toast_is_announced_closed_by_its_button_and_leaves_after_its_time(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page()
    page = watched.page
    page.clock.install()
    watched.go(styleguide)
    page.evaluate("window.showToast('Saved.', 'success')")
    page.evaluate("window.showToast('Not saved.', 'danger')")
    holder = page.locator("#toasts")
    expect(holder).to_have_attribute("aria-live", "polite")
    expect(holder.get_by_text("Not saved.")).to_be_visible()
    watched.check_axe("#toasts")
    page.clock.run_for(9_000)
    expect(holder.get_by_text("Saved.", exact=True)).to_have_count(0)
    expect(holder.get_by_text("Not saved.")).to_be_visible()
    holder.get_by_role("button", name="Dismiss").click()
    expect(holder.locator("[data-toast]")).to_have_count(0)
    watched.check()


def test_rows_are_selected_one_by_one_and_all_together(open_page: Open, styleguide: str) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    button = page.get_by_role("button", name="Map to…")
    expect(button).to_be_disabled()
    page.get_by_label("Select Lot B").check()
    expect(page.locator("[data-check-count=row]")).to_have_text("1")
    expect(button).to_be_enabled()
    assert page.get_by_label("Select all").evaluate("(box) => box.indeterminate")
    page.get_by_label("Select all").check()
    expect(page.locator("[data-check-count=row]")).to_have_text("3")


def test_the_page_is_usable_without_javascript(open_page: Open, styleguide: str) -> None:
    watched = open_page(javascript=False, width=390)
    page = watched.page
    page.goto(styleguide)
    page.get_by_text("Menu", exact=True).click()
    expect(page.get_by_role("navigation", name="Main").last).to_be_attached()
    page.locator("#id_zone").select_option("Z123")
    expect(page.get_by_role("button", name="Copy trace id")).to_have_count(0)
    page.get_by_text("Show as a table").first.click()
    expect(page.get_by_role("rowheader", name="20:00").first).to_be_visible()


_FOCUS_AND_ESCAPE = """(input) => {
  input.focus();
  input.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', keyCode: 27, bubbles: true, cancelable: true}));
}"""


def test_a_list_that_was_sent_away_comes_back_only_when_it_is_asked_for(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    field = page.get_by_role("combobox", name="Passport zone")
    # Both at once, before what the focus event has deferred.
    field.evaluate(_FOCUS_AND_ESCAPE)
    page.wait_for_timeout(200)
    expect(field).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.click()
    expect(field).to_have_attribute("aria-expanded", "true")
    watched.check()


def test_the_keyboard_meets_the_skip_link_first_and_it_leads_to_the_content(
    open_page: Open, styleguide: str
) -> None:
    watched = open_page()
    page = watched.page
    watched.go(styleguide)
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
