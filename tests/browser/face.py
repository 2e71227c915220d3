"""What every page must comply with: the policy, a clean console, axe, the size of targets, no sideways scrolling."""

import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any, Literal

import axe_core_python
from playwright.sync_api import ConsoleMessage, Page, Response
from playwright.sync_api import Error as PlaywrightError

CHROMIUM = os.environ.get("CHROMIUM", "") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"
HEIGHT_PX = {1440: 900, 390: 844}
Scheme = Literal["light", "dark"]
# `wcag22aa` has one rule, the size of targets, and only in later versions of axe than ours: `check_targets` does it instead.
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# Runs before the page's own scripts; a violation is kept where the test can read it.
_WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`);
});
"""
# Targets too small to hit (WCAG 2.2, 2.5.8): less than 24 by 24 pixels and with another one within 12 pixels of the
# middle (24 where that is small as well). A link within a line of text is as high as the text. A box has its label, a
# dropdown's input the whole field, and what is open on top of the page is not a neighbour of what it covers.
_CRAMPED = """() => {
  const LEAST = 23.5;
  const modal = document.querySelector('dialog:modal') || document;
  const text = (node) => (node.textContent || '').trim();
  const isInText = (one) => getComputedStyle(one).display === 'inline' && text(one.parentElement) !== text(one);
  const pressed = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [role=option]';
  // What is cut away comes forth when it gets the focus.
  const isCut = (one) => {
    for (let part = one; part; part = part.parentElement) {
      if (getComputedStyle(part).clipPath === 'inset(50%)') return true;
    }
    return false;
  };
  const isShown = (one) => one.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true})
    && !one.closest('[inert]') && !isCut(one);
  const all = [...modal.querySelectorAll(pressed)].filter(isShown).map((one) => {
    const whole = one.closest('.ts-control') || one;
    const labels = ['checkbox', 'radio'].includes(one.type) ? one.labels : [];
    const box = whole.getBoundingClientRect();
    const sizes = [box, ...[...labels].map((label) => label.getBoundingClientRect())];
    const isSmall = Math.max(...sizes.map((size) => Math.min(size.width, size.height))) < LEAST;
    const layer = one.closest('.ts-dropdown, .os-menu__list, .os-top__panel');
    return {one, box, isSmall, layer, x: box.left + box.width / 2, y: box.top + box.height / 2};
  }).filter(({box}) => box.width > 1);
  const gap = (from, to) => Math.hypot(
    Math.max(to.box.left - from.x, 0, from.x - to.box.right), Math.max(to.box.top - from.y, 0, from.y - to.box.bottom));
  const isNear = (from, to) => from !== to && from.layer === to.layer
    && !from.one.contains(to.one) && !to.one.contains(from.one)
    && (gap(from, to) < 12 || (to.isSmall && Math.hypot(from.x - to.x, from.y - to.y) < 24));
  return all.filter((from) => from.isSmall && !isInText(from.one)).flatMap((from) => {
    const near = all.find((to) => isNear(from, to));
    const says = (it) => `${Math.round(it.box.width)} x ${Math.round(it.box.height)} ${it.one.outerHTML.slice(0, 120)}`;
    return near ? [`${says(from)} beside ${says(near)}`] : [];
  }).slice(0, 8);
}"""

# Controls beyond the edge of the part that contains them: cut off, or reachable only by scrolling sideways. Rows of tabs
# do scroll.
_CUT = """() => {
  const pressed = 'main a[href], main button, main input:not([type=hidden]), main select, main summary';
  const isShown = (one) => one.checkVisibility({visibilityProperty: true}) && one.getBoundingClientRect().width > 1;
  const cuts = (one) => {
    const box = one.getBoundingClientRect();
    for (let part = one.parentElement; part && part !== document.body; part = part.parentElement) {
      const edge = part.getBoundingClientRect(), style = getComputedStyle(part);
      // What is cut away as a whole comes forth when it gets the focus.
      if (part.matches('.os-tabs, .ts-control') || style.clipPath === 'inset(50%)') { return false; }
      if (style.overflowX !== 'visible' && (box.right > edge.right + 1 || box.left < edge.left - 1)) {
        return true;
      }
    }
    return false;
  };
  return [...document.querySelectorAll(pressed)].filter((one) => isShown(one) && cuts(one))
    .slice(0, 8).map((one) => one.outerHTML.slice(0, 160));
}"""


@cache
def _axe() -> str:
    return (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


# Every page that was opened, so that a failure can show their texts.
OPENED: list[Page] = []


def shown() -> list[tuple[str, str]]:
    """Return the address and the text of each page that is open."""
    return [(page.url, _text(page)) for page in OPENED if not page.is_closed()]


def _text(page: Page) -> str:
    try:
        return page.inner_text("body", timeout=1_000)
    except PlaywrightError as error:
        return f"It can't be read: {error}"


class Watched:
    """A page, and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        OPENED.append(page)
        self.errors: list[str] = []
        self.responses: list[Response] = []
        page.add_init_script(_WATCH)
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(f"uncaught: {error}"))
        page.on("response", lambda response: self.responses.append(response))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def go(self, url: str) -> Response | None:
        """Open an address and wait until the page has loaded and nothing on it changes."""
        response = self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        return response

    def check(self) -> None:
        """Fail if the policy was violated, the console has an error, or the page scrolls sideways."""
        violations = self.page.evaluate("window.__violations")
        assert violations == [], f"the policy was violated: {violations}"
        assert self.errors == [], f"the console has errors: {self.errors}"
        self.check_width()

    def check_width(self) -> None:
        """Fail if the page is wider than the window."""
        # A page that a script has just navigated away has no element yet.
        self.page.wait_for_load_state()
        too_wide = self.page.evaluate(
            """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
               [...document.querySelectorAll('body *')]
                 .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
                 .slice(0, 8).map((element) => `${element.tagName}.${element.className}`)"""
        )
        assert too_wide == [], f"the page is wider than the window: {too_wide}"

    def show(self, scheme: Scheme, width: int) -> None:
        """Show the same page in these colours and at this width."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.set_viewport_size({"width": width, "height": HEIGHT_PX[width]})

    def check_targets(self) -> None:
        """Fail if a control is too small for a finger or an unsteady hand."""
        cramped = self.page.evaluate(_CRAMPED)
        assert cramped == [], "too small to hit:\n" + "\n".join(cramped)

    def check_cut(self) -> None:
        """Fail if a control is cut off at one side."""
        cut = self.page.evaluate(_CUT)
        assert cut == [], "cut off at a side:\n" + "\n".join(cut)

    def check_contrast(self) -> None:
        """Fail where text has too little contrast: the only rule of axe that depends on the colours."""
        self._run_axe(None, {"type": "rule", "values": ["color-contrast"]})

    def check_axe(self, within: str | None = None) -> None:
        """Fail on anything that axe-core finds; it is injected from outside, past the page's policy."""
        self._run_axe(within, {"type": "tag", "values": RULES})

    def _run_axe(self, within: str | None, only: dict[str, Any]) -> None:
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(_axe())
        result: dict[str, Any] = self.page.evaluate(
            "([within, only]) => axe.run(within || document, {runOnly: only, resultTypes: ['violations']})",
            [within, only],
        )
        found = [
            f"{violation['id']}: {node['html'][:160]} — {' '.join(node['failureSummary'].split())[:300]}"
            for violation in result["violations"]
            for node in violation["nodes"]
        ]
        assert found == [], "axe found:\n" + "\n".join(found)

    def shot(self, name: str, *, full: bool = True) -> Path:
        """Keep a screenshot as build output."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{re.sub(r'[^a-z0-9-]+', '-', name.lower())}.png"
        self.page.screenshot(path=path, full_page=full)
        return path
