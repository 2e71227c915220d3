"""Text from outside stays text on every page, and markup that gets onto one anyway can't send a request.

The first test plants hostile markup into every column that a vendor, a file or a person fills, and opens every page: no part
of it becomes an element, and the page requests only what its own marked elements and static files name. So the page needn't
be opened a second time with harmless texts to compare with, and a poll that fires only once fails no test. The other test
bypasses the escaping by changing the answer on its way to the browser, as an undiscovered fault would, and checks that htmx
leaves the markup alone.
"""

import re
from collections.abc import Iterator
from urllib.parse import quote, urljoin, urlsplit

import pytest
from django.contrib import admin
from django.urls import reverse
from playwright.sync_api import Browser, Page, Route

from tests.browser import hostile
from tests.browser.acts import rest
from tests.browser.hostile import HTMX, hostile_text
from tests.browser.scene import ODD, SEEDED
from tests.browser.staging import Stage, running_stage
from tests.browser.states import STATES

# Some two hundred pages.
pytestmark = pytest.mark.timeout(900, func_only=True)

# Opens everything that is collapsed and every dropdown, so that what scripts draw is there as well.
_UNFOLD = """async () => {
  document.querySelectorAll('details').forEach((one) => { one.open = true; });
  for (const select of document.querySelectorAll('select.tomselected')) {
    select.tomselect.open();
    await new Promise((done) => setTimeout(done, select.dataset.url ? 400 : 0));
    select.tomselect.close();
  }
}"""
# Elements from the text, also within templates, and addresses from it that the page uses.
_FOUND = """() => {
  const within = (root) => [
    ...root.querySelectorAll('[data-zz]'),
    ...[...root.querySelectorAll('template')].flatMap((one) => within(one.content)),
  ];
  const base = document.baseURI === document.URL ? [] : [document.baseURI];
  return [...within(document).map((one) => one.outerHTML.slice(0, 200)), ...base];
}"""
# What the page's own parts request automatically: polls, and lists for dropdowns.
_OWN = """() => [...document.querySelectorAll('[data-page-mark][hx-get], select[data-url]')]
  .map((one) => one.getAttribute('hx-get') || one.dataset.url)"""
# What is read on the page, and what is in its fields.
_WORDS = """() => {
  const fields = [...document.querySelectorAll('input, textarea')];
  return [document.body.innerText, ...fields.map((one) => one.value)].join(' ');
}"""
_STATIC = re.compile(r"/static/|/admin/jsi18n/$|/favicon\.ico$")


@pytest.fixture(scope="module")
def planted(browser: Browser) -> Iterator[Stage]:
    """A separate stage: afterwards none of its texts are right."""
    with running_stage(browser) as stage:
        yield stage


class Look:
    """One opened page: which requests it should not have made, and the words on it."""

    def __init__(self, page: Page, url: str) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
        answer = page.goto(url)
        assert answer is not None
        own = page.evaluate(_OWN)
        rest(page)
        page.evaluate(_UNFOLD)
        rest(page)
        ways = [url, page.url, *(urljoin(page.url, address) for address in [*own, *page.evaluate(_OWN)])]
        allowed = {f"GET {urlsplit(way).path}" for way in ways}
        self.wrong = [
            *(one for one in asked if not self._is_own(one, allowed)),
            *page.evaluate(_FOUND),
            # None of our pages has a frame.
            *(frame.url for frame in page.frames[1:]),
            *([f"it answers {answer.status}"] if answer.status >= 500 else []),
        ]
        self.words = page.evaluate(_WORDS)

    @staticmethod
    def _is_own(asked: str, allowed: set[str]) -> bool:
        method, _, url = asked.partition(" ")
        path = urlsplit(url).path
        return f"{method} {path}" in allowed or (method == "GET" and bool(_STATIC.search(path)))


def pages(stage: Stage) -> Iterator[tuple[str, str]]:
    """Return each page's address and who opens it: those of every state, lists searched for the text, and the admin's."""
    for state in STATES:
        if state.act is None:
            yield state.who, stage.url(state.name, *state.args) + state.query_with(stage.ids)
    text = quote(hostile_text("a search"))
    for name in ("permits", "locations", "zones", "activity"):
        yield "manager", f"{stage.url(name, SEEDED)}?q={text}&trace={text}&type={text}"
    for name in ("companies", "setups"):
        yield "support", f"{stage.url(name)}?q={text}"
    yield "manager", f"{stage.url('refused', SEEDED)}?reason={text}"
    for model in admin.site._registry:
        at = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        yield "support", stage.url(f"{at}_changelist")
        yield "support", f"{stage.url(f'{at}_changelist')}?q={text}"
        pk = model._meta.pk.column
        for row in stage.stack.query(
            f'SELECT "{pk}" AS pk FROM "{model._meta.db_table}" ORDER BY 1 DESC LIMIT 1'
        ):
            for page in ("change", "history"):
                yield "support", stage.stack.web_url + reverse(f"{at}_{page}", args=[row["pk"]])


# Columns that no page shows as they are: an email's HTML part, zone ids that a page looks up, and what a history stores
# besides the row, of which pages show only the changes.
UNSEEN = frozenset({"integrations.Mail.html", "integrations.TestPlate.seen_right"})


def test_no_text_from_outside_becomes_part_of_a_page(planted: Stage) -> None:
    columns = planted.stack.run(hostile.plant)
    wrong: list[str] = []
    shown: set[str] = set()
    for who, url in pages(planted):
        page = planted.person(who).page
        look = Look(page, url)
        page.close()
        wrong += [f"{url[:120]}: {one}" for one in look.wrong]
        shown |= set(re.findall(r"Zz (\w+\.\w+\.\w+)", look.words))
    assert wrong == [], "\n".join(wrong)
    # A column that is on no page would prove nothing.
    assert sorted(one for one in set(columns) - shown - UNSEEN if ".Historical" not in one) == []


# --- Past the escaping ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("guarded", [True, False], ids=["guarded", "unguarded"])
def test_markup_on_a_page_of_ours_moves_htmx_to_nothing(stage: Stage, guarded: bool) -> None:
    """In the page and in each part that refreshes itself; without the guard the same markup does send requests."""
    page = stage.person("manager").page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {urlsplit(request.url).path}"))
    forged = HTMX.replace("data-zz", f'data-zz data-page-mark="{"0" * 32}"')

    def tamper(route: Route) -> None:
        answer = route.fetch()
        body = re.sub(r'<div id="proof"[^>]*>', lambda found: found[0] + HTMX + forged, answer.text())
        if not guarded:
            body = body.replace("disableSelector", "unused")
        route.fulfill(response=answer, body=body)

    url = stage.url("permit", ODD, "permit WAIT001")
    page.route(url, tamper)
    page.goto(url)
    own = f"GET {urlsplit(url).path}"
    polled(page, asked, own, times=3)
    foreign = {one for one in asked if "/zz/" in one}
    page.unroute_all(behavior="wait")
    page.close()
    assert foreign == (set() if guarded else {"POST /zz/post", "GET /zz/get", "GET /zz/data-get"})


def polled(page: Page, asked: list[str], own: str, *, times: int) -> None:
    """Wait until the page itself has requested its own part again: htmx is running, and had the time to do more."""
    for _ in range(100):
        if asked.count(own) >= times:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"the page does not renew itself: {asked}")
