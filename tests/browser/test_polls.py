"""Parts of a page that refresh themselves: they don't disturb the reader, and pause while the page is hidden."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.face import Watched
from tests.browser.scene import ODD
from tests.browser.staging import Stage
from tests.servers import eventually

pytestmark = pytest.mark.timeout(120, func_only=True)

# The overview of a company in which something is under way: it refreshes every three seconds.
PAUSE_MS = 3_000
_MARK = "document.querySelector('#overview').isOld = true"
_IS_OLD = "document.querySelector('#overview').isOld === true"
_HIDE = "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); \
document.dispatchEvent(new Event('visibilitychange')); }"


@pytest.fixture
def watched(stage: Stage) -> Iterator[Watched]:
    found = stage.person("manager")
    found.page.goto(stage.url("overview", ODD))
    expect(found.page.locator("#overview")).to_have_attribute(
        "hx-trigger", "every 3s, visibilitychange from:document"
    )
    yield found
    found.page.close()


def renewed(page: Page) -> None:
    """Wait until the part has been replaced."""
    page.evaluate(_MARK)
    eventually(lambda: not page.evaluate(_IS_OLD), timeout_s=20, what="the part to be renewed")


def test_a_poll_keeps_the_keyboards_place_and_what_was_unfolded(watched: Watched) -> None:
    page = watched.page
    summary = page.locator("#overview details summary").first
    summary.focus()
    page.keyboard.press("Enter")
    renewed(page)
    assert summary.evaluate("(summary) => summary.parentElement.open")
    expect(summary).to_be_focused()
    link = page.locator("#overview a[href]:visible").last
    link.focus()
    renewed(page)
    expect(link).to_be_focused()
    watched.check()


def test_a_poll_waits_while_text_is_selected(watched: Watched) -> None:
    page = watched.page
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#overview h2'))")
    page.evaluate(_MARK)
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers, timeout=20_000):
        pass
    page.wait_for_timeout(300)
    assert page.evaluate(_IS_OLD)
    page.evaluate("getSelection().removeAllRanges()")
    renewed(page)


def test_polling_stops_while_the_page_is_hidden_and_resumes_at_once_when_it_is_shown(
    watched: Watched,
) -> None:
    page = watched.page
    renewed(page)
    page.evaluate(_HIDE, True)
    before = len(watched.responses)
    page.wait_for_timeout(2 * PAUSE_MS)
    assert len(watched.responses) == before
    with page.expect_response(lambda answer: "hx-request" in answer.request.headers, timeout=PAUSE_MS):
        page.evaluate(_HIDE, False)
