"""Every page in every state, light and dark, on a desktop and on a phone: what no page may get wrong.

Each look checks the page for the same things (`hold`): the expected status, no violation of the policy, nothing in the
console, nothing that axe finds, nothing too small to hit, no sideways scrolling, one main heading, and no code word in what
people read. The states are the rows of `states.py`.

A page is opened once and checked in four looks: for all of these, light on a desktop and dark on a phone; for what depends on
colours, in the other two. Opening it four times would show the same, since the looks differ only in styles: no script of ours
reads the width. Where something is done on a page first, it is done at both widths.
"""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from playwright.sync_api import expect

from tests.browser.acts import rest
from tests.browser.face import Scheme, Watched
from tests.browser.staging import Stage
from tests.browser.states import ACTIONS, ELSEWHERE, STATES, State
from tests.routes import all_routes

# The stage is set up once and takes longer than any look.
pytestmark = pytest.mark.timeout(120, func_only=True)
LOOKS: tuple[tuple[Scheme, int], ...] = (("light", 1440), ("dark", 390))
OTHER: dict[Scheme, Scheme] = {"light": "dark", "dark": "light"}
# Words that a template or a missing label leaves behind, and the code names of states. A page that shows the vendor's own
# document says so in its row.
CODE_WORDS = re.compile(
    r"\bNone\b(?! of | yet| is | was |[.:])|\bTrue\b|\bFalse\b|\bnan\b|&[a-z]+;|\{\{|\{%|%\([a-z]+\)"
    r"|<lambda>|<built-in|\bobject at 0x|\bhttp_\d+|\b[a-z]+_[a-z_]+\b"
)
# What people read. Evidence to be quoted to the vendor (trace ids, error codes) is marked up as code and left as it is.
_WORDS = """() => {
  const codes = [...document.querySelectorAll('.os-code, code, pre')].map((one) => [one, one.style.display]);
  codes.forEach(([one]) => { one.style.display = 'none'; });
  const text = document.body.innerText;
  codes.forEach(([one, display]) => { one.style.display = display; });
  return text;
}"""


def hold(watched: Watched, *, raw: bool = False, admin_page: bool = False) -> None:
    """Check the page as it is shown now for what every page must comply with."""
    page = watched.page
    watched.check()
    assert page.locator("h1").count() == 1, f"headings: {page.locator('h1').all_inner_texts()}"
    assert page.title().strip(), "the page has no title"
    text = page.evaluate(_WORDS)
    found = sorted({match.group() for match in CODE_WORDS.finditer(text)} if not raw else set())
    assert found == [], f"code words are shown: {found}"
    watched.check_targets()
    if not admin_page:
        watched.check_cut()
    watched.check_axe()


def openings() -> Iterator[Any]:
    """Return each state with the looks for which it is opened once: all, or only one where something is done first."""
    for state in STATES:
        for looks in [(look,) for look in LOOKS] if state.act else [LOOKS]:
            name = "-".join(str(part) for look in looks for part in look)
            yield pytest.param(state, looks, id=f"{state.title}-{name}")


# --- Every state -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "looks"), list(openings()))
def test_every_page_keeps_to_the_rules(
    stage: Stage, state: State, looks: tuple[tuple[Scheme, int], ...]
) -> None:
    watched = stage.person(state.who, *looks[0])
    try:
        look(watched, state, stage.url(state.name, *state.args) + state.query_with(stage.ids))
        for scheme, width in looks:
            watched.show(scheme, width)
            watched.shot(f"page-{state.title}-{scheme}-{width}")
            hold(watched, raw=state.raw)
            watched.show(OTHER[scheme], width)
            watched.check()
            watched.check_contrast()
    finally:
        watched.page.close()


def look(watched: Watched, state: State, url: str) -> None:
    """Open a page and bring it into its state; the status that counts is that of the last document."""
    watched.page.goto(url)
    rest(watched.page)
    if state.act is not None:
        state.act(watched.page)
        rest(watched.page)
    if state.shows:
        expect(watched.page.get_by_text(state.shows).first).to_be_visible()
    documents = [
        one for one in watched.responses if one.request.resource_type in ("document", "xhr", "fetch")
    ]
    statuses = [one.status for one in documents]
    assert state.status in statuses, f"{url} answered {statuses}, and {state.status} was meant"
    if state.status >= 400:
        # The browser notes such an answer as an error on its own.
        meant = f"the server responded with a status of {state.status}"
        watched.errors[:] = [error for error in watched.errors if meant not in error]


MODELS = sorted(model._meta.label_lower for model in admin.site._registry)


# --- Support's admin -------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", MODELS)
def test_every_list_and_form_of_the_admin_keeps_to_the_rules(stage: Stage, label: str) -> None:
    """Lists and forms on a desktop; they show the names of fields, so code words are allowed."""
    watched = stage.person("support", "dark" if MODELS.index(label) % 2 else "light", 1440)
    app, model = label.split(".")
    try:
        watched.page.goto(stage.url(f"admin:{app}_{model}_changelist"))
        rest(watched.page)
        hold(watched, raw=True, admin_page=True)
        first = watched.page.locator("#result_list tbody th a").first
        if first.count():
            first.click()
            rest(watched.page)
            hold(watched, raw=True, admin_page=True)
            history = watched.page.get_by_role("link", name="History", exact=True)
            if history.count():
                history.first.click()
                rest(watched.page)
                hold(watched, raw=True, admin_page=True)
    finally:
        watched.shot(f"admin-{model}")
        watched.page.close()


# --- Nothing is forgotten --------------------------------------------------------------------------------


def test_every_address_is_looked_at_or_listed_as_an_action() -> None:
    looked_at = {state.name for state in STATES}
    # The admin's depend on its models, and have a test of their own.
    found = {name or route for route, name in all_routes() if not route.startswith("admin/")}
    assert found == looked_at | ACTIONS | ELSEWHERE
    assert not looked_at & (ACTIONS | ELSEWHERE)


def test_no_two_states_have_one_title() -> None:
    titles: list[Any] = [state.title for state in STATES]
    assert len(set(titles)) == len(titles)
