"""The search for a plate, in Chromium: the list narrows while one types, and the plate never appears in a URL."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.acts import rest
from tests.browser.scene import ODD
from tests.browser.staging import Stage

pytestmark = pytest.mark.timeout(120, func_only=True)


def test_a_typed_plate_narrows_the_list_and_appears_in_no_address(stage: Stage) -> None:
    watched = stage.person("manager")
    page = watched.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.url} {request.headers.get('referer', '')}"))
    page.goto(stage.url("permits", ODD))
    rest(page)
    plates = page.locator("tbody .os-plate")
    everything = plates.count()
    assert everything > 1
    page.get_by_role("searchbox").press_sequentially("retry 0")
    expect(plates).to_have_count(1)
    expect(plates).to_contain_text("RETRY01")
    expect(page).to_have_url(re.compile(r"\?q=~"))
    # What was typed stays in the field, even after a reload, and “Back” leads to the previous page.
    page.reload()
    expect(page.get_by_role("searchbox")).to_have_value("retry 0")
    expect(plates).to_have_count(1)
    watched.shot("permits-searched")
    page.go_back()
    expect(plates).to_have_count(everything)
    page.close()
    assert [one for one in asked if re.search("retry", one, re.IGNORECASE)] == []


def test_supports_search_in_the_admin_appears_in_no_address(stage: Stage) -> None:
    page = stage.person("support").page
    page.goto(stage.url("admin:locations_permit_changelist"))
    page.locator("#searchbar").fill("RETRY01")
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#searchbar")).to_have_value("RETRY01")
    expect(page).to_have_url(re.compile(r"\?q=~"))
    page.close()
