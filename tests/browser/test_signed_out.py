"""After signing out, “Back” shows nothing: in a Chromium whose back/forward cache is on, as people's browsers have it.

Playwright turns that cache off, so these tests start a browser of their own.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserType, Page, expect

from offstreet.seeding import PASSWORD
from tests.browser.scene import SEEDED, SESSIONS
from tests.browser.staging import Stage

pytestmark = pytest.mark.timeout(120, func_only=True)


@pytest.fixture(scope="module")
def remembering(browser_type: BrowserType, browser_type_launch_args: dict[str, Any]) -> Iterator[Browser]:
    """A browser that keeps the pages it leaves alive, as far as the pages allow it."""
    browser = browser_type.launch(
        **browser_type_launch_args, ignore_default_args=["--disable-back-forward-cache"]
    )
    yield browser
    browser.close()


@pytest.fixture
def page(remembering: Browser, stage: Stage) -> Iterator[Page]:
    """A page of that browser, not signed in yet."""
    context = remembering.new_context()
    yield context.new_page()
    context.close()


def sign_in(page: Page, stage: Stage, who: str) -> None:
    """Sign in on the page, not by a session of the stage's: each of these tests ends its session."""
    page.goto(stage.url("account_login"))
    page.get_by_label("Email address").fill(SESSIONS[who])
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).not_to_have_url(stage.url("account_login"))


def go_back(page: Page) -> None:
    """Press “Back”. Playwright's own method waits for a page to load, and a page that was kept alive doesn't."""
    page.evaluate("void setTimeout(() => history.back(), 0)")


def test_this_browser_keeps_pages_alive_that_let_it(page: Page, stage: Stage) -> None:
    """If it didn't, the other tests would pass for any page."""
    address = f"{stage.stack.web_url}/static/js/back.js"
    page.goto(address)
    page.evaluate("window.alive = 'yes'")
    page.goto(f"{stage.stack.web_url}/healthz")
    go_back(page)
    expect(page).to_have_url(address)
    assert page.evaluate("window.alive") == "yes"


@pytest.mark.parametrize(
    ("who", "name", "args", "shown"),
    [
        ("manager", "permits", (SEEDED,), "table .os-plate"),
        ("manager", "permit", (SEEDED, "permit accepted"), "h1"),
        ("support", "admin:locations_permit_changelist", (), "#result_list .field-plate"),
    ],
    ids=["list", "permit", "admin"],
)
def test_after_signing_out_back_leads_to_sign_in(
    page: Page, stage: Stage, who: str, name: str, args: tuple[str, ...], shown: str
) -> None:
    sign_in(page, stage, who)
    page.goto(stage.url(name, *args))
    plate = page.locator(shown).first.inner_text()
    assert plate.strip()
    if who == "manager":
        page.locator("summary.os-account__face").click()
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url(re.compile("/accounts/"))
    go_back(page)
    expect(page).to_have_url(re.compile("/accounts/login/"))
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    assert plate.strip() not in page.locator("body").inner_text()


def test_a_page_that_a_browser_restores_is_reloaded_and_hidden_until_then(page: Page, stage: Stage) -> None:
    """What browsers do that keep a page alive no matter what it says (WebKit): the event is theirs, the answer ours."""
    sign_in(page, stage, "manager")
    for name, args in (("permits", (SEEDED,)), ("account_change_password", ())):
        page.goto(stage.url(name, *args))
        page.evaluate("window.alive = 'yes'")
        with page.expect_navigation():
            hidden = page.evaluate(
                """() => { window.dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}));
                           return !document.body.checkVisibility(); }"""
            )
        assert hidden
        assert page.evaluate("window.alive") is None
