"""What every page must keep to: no violation of the policy, no error in the console, no axe finding, no sideways scroll."""

import os
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import axe_core_python
from playwright.sync_api import ConsoleMessage, Page, Response

CHROMIUM = os.environ.get("CHROMIUM", "") or shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu"]
SCREENSHOTS = Path(__file__).resolve().parent.parent.parent / "build" / "screenshots"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

# Runs before the page's own scripts; a violation is kept where the test can read it.
_WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.__violations.push(`${event.violatedDirective}: ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`);
});
"""


@cache
def _axe() -> str:
    return (Path(axe_core_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


class Watched:
    """A page with what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
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
        """Open an address and wait until the page rests."""
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
        too_wide = self.page.evaluate(
            """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
               [...document.querySelectorAll('body *')]
                 .filter((element) => element.getBoundingClientRect().right > window.innerWidth + 1)
                 .slice(0, 8).map((element) => `${element.tagName}.${element.className}`)"""
        )
        assert too_wide == [], f"the page is wider than the window: {too_wide}"

    def check_axe(self, within: str | None = None) -> None:
        """Fail on anything that axe-core finds; it is put in from outside, past the policy of the page."""
        self.page.evaluate(_axe())
        result: dict[str, Any] = self.page.evaluate(
            "([within, rules]) => axe.run(within || document, {runOnly: {type: 'tag', values: rules}})",
            [within, RULES],
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
