"""Search from anywhere, by the keyboard alone and on a phone."""

import pytest
from playwright.sync_api import expect

from tests.browser.scene import ODD
from tests.browser.staging import Stage

pytestmark = pytest.mark.timeout(120, func_only=True)


def test_the_keyboard_alone_gets_from_any_page_to_a_permit_and_to_a_page(stage: Stage) -> None:
    watched = stage.person("manager", "light")
    page = watched.page
    watched.go(stage.url("overview", ODD))
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox")
    expect(field).to_be_focused()
    page.keyboard.type("drift01")
    expect(page.locator("[data-search-result]").first).to_contain_text("DRIFT01")
    watched.check()
    watched.check_axe("dialog[open]")
    watched.shot("search-dialog")
    page.keyboard.press("ArrowDown")
    expect(page.locator("[data-search-result]").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("DRIFT01")
    assert "drift01" not in page.url.lower()
    page.wait_for_load_state()

    page.keyboard.press("Control+k")
    page.get_by_role("searchbox").press_sequentially("diagn")
    expect(page.locator("[data-search-result]").first).to_contain_text("Diagnostics")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Diagnostics")
    page.wait_for_load_state()

    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.close()


def test_an_enter_that_is_quicker_than_the_results_opens_the_page_of_results(stage: Stage) -> None:
    watched = stage.person("manager", "light")
    page = watched.page
    watched.go(stage.url("overview", ODD))
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.evaluate("document.querySelector('#search-text').value = 'DRIFT01'")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Search")
    expect(page.locator("[data-search-result]").first).to_contain_text("DRIFT01")
    page.close()


def test_a_phone_finds_the_search_in_its_menu(stage: Stage) -> None:
    watched = stage.person("manager", "dark", width=390)
    page = watched.page
    watched.go(stage.url("overview", ODD))
    page.locator("summary", has_text="Menu").click()
    page.get_by_role("link", name="Search").click()
    page.get_by_role("searchbox").press_sequentially("Lot 10")
    expect(page.locator("[data-search-result]").first).to_be_visible()
    watched.check()
    watched.shot("search-dialog-phone")
    page.locator("[data-search-result]").first.click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.close()
