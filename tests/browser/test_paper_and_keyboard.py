"""Printed pages, which must show the whole proof, and the keyboard, which must reach every control."""

import pytest
from playwright.sync_api import expect

from tests.browser.acts import Act, ask_validity, rest
from tests.browser.scene import ODD
from tests.browser.staging import Stage
from tests.browser.states import ODDITY, STATES, State

# The stage is set up once and takes longer than any look.
pytestmark = pytest.mark.timeout(120, func_only=True)
# A letter's width without its margins, at 96 dots an inch.
PAPER_PX = 695
_CUT = """
() => [...document.querySelectorAll('main *')]
  .filter((one) => one.checkVisibility() && one.getClientRects().length)
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1 || one.scrollWidth > one.clientWidth + 1)
  .filter((one) => getComputedStyle(one).overflowX !== 'visible' || one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => one.outerHTML.slice(0, 120))
"""


# --- On paper --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "args", "act", "needed"),
    [
        ("permit", (ODD, "permit DRIFT01"), None, ("Proof of delivery", "trace-DRIFT01", "Permit ID", "printed")),
        ("validity", ODDITY, ask_validity("STILL01", "Lot 10"), ("officers may still see it", "trace-STILL01", "Why")),
    ],
    ids=["permit", "validity"],
)  # fmt: skip
def test_a_proof_prints_whole_and_without_what_is_for_the_screen(
    stage: Stage, name: str, args: tuple[str, ...], act: Act | None, needed: tuple[str, ...]
) -> None:
    watched = stage.person("manager", "dark")
    page = watched.page
    page.goto(stage.url(name, *args))
    if act is not None:
        act(page)
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER_PX, "height": 900})
    for words in needed:
        expect(page.get_by_text(words).first).to_be_visible()
    for part in (".os-side", ".os-top", ".os-help", "main button", "main form"):
        assert not any(one.is_visible() for one in page.locator(part).all()), f"{part} is printed"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate(_CUT) == []
    watched.shot(f"paper-{name}")
    page.close()


# --- The keyboard ----------------------------------------------------------------------------------------


def test_on_a_phone_the_open_tab_is_in_view_and_the_keyboard_begins_at_the_top(stage: Stage) -> None:
    watched = stage.person("manager", width=390)
    page = watched.page
    page.goto(stage.url("usersessions_list"))
    rest(page)
    row, tab = page.locator(".os-tabs"), page.locator(".os-tabs [aria-current]")
    around, inside = row.bounding_box(), tab.bounding_box()
    assert around is not None
    assert inside is not None
    assert row.evaluate("(row) => row.scrollWidth > row.clientWidth")
    assert around["x"] <= inside["x"]
    assert inside["x"] + inside["width"] <= around["x"] + around["width"] + 1
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.close()


# Every page once, in its first state. The style guide is for people who build pages.
MAIN_PAGES = {
    state.name: state
    for state in reversed(STATES)
    if state.act is None and state.status == 200 and state.name != "styleguide"
}


@pytest.mark.parametrize("state", MAIN_PAGES.values(), ids=lambda state: state.title)
def test_the_keyboard_reaches_all_there_is_and_shows_where_it_is(stage: Stage, state: State) -> None:
    watched = stage.person(state.who)
    page = watched.page
    page.goto(stage.url(state.name, *state.args))
    rest(page)
    wanted = page.evaluate(_NUMBER_ALL)
    reached: set[int] = set()
    # Each part of a date and an open dropdown needs a Tab of its own.
    for _ in range(3 * wanted + 30):
        if len(reached) == wanted:
            break
        page.keyboard.press("Tab")
        number, is_shown = page.evaluate(_WHERE)
        if number >= 0:
            reached.add(number)
            assert is_shown, (
                f"the focus does not show on {page.evaluate('document.activeElement.outerHTML')[:200]}"
            )
    missed = page.evaluate(
        "(reached) => [...document.querySelectorAll('[data-tab-number]')]"
        ".filter((one) => !reached.includes(Number(one.dataset.tabNumber)))"
        ".map((one) => one.outerHTML.slice(0, 120))",
        sorted(reached),
    )
    page.close()
    assert missed == [], f"Tab does not reach: {missed}"


# Numbers all visible controls; of a group of radio buttons Tab reaches only one.
_NUMBER_ALL = """() => {
  const shown = (one) => one.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})
    && !one.disabled && one.tabIndex >= 0 && !one.closest('[inert]');
  const groups = new Set();
  const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')]
    .filter(shown).filter((one) => {
      if (one.type !== 'radio') return true;
      if (groups.has(one.name)) return false;
      groups.add(one.name);
      return true;
    });
  all.forEach((one, number) => { one.dataset.tabNumber = number; });
  return all.length;
}"""
# The number of the focused control, and whether an outline, a shadow or a border shows the focus.
_WHERE = """() => {
  const one = document.activeElement;
  const number = Number(one.dataset.tabNumber ?? -1);
  const holders = [one, one.closest('.ts-control'), one.closest('.ts-wrapper'), one.nextElementSibling].filter(Boolean);
  // The calendar's button inside a date field has a ring of the browser's own, which no style tells of.
  const isInside = one.type === 'datetime-local' && !one.matches(':focus-visible');
  const shows = isInside || holders.some((holder) => {
    const style = getComputedStyle(holder);
    return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none';
  });
  return [number, shows];
}"""
