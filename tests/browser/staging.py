"""The stage on which pages are checked: one seeded product on real processes, with the companies of `tests/browser/scene.py`.

It is made once for a whole run, since starting it takes longer than checking a page; pages that are only read leave nothing
behind. `Stage.person` opens a page as a given person: one session and one browser context for each role and look, so that
style sheets and scripts come from the browser's cache as in real use.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext

from tests.browser import scene
from tests.browser.face import HEIGHT_PX, Scheme, Watched
from tests.servers import SQLITE, Stack, eventually, running_stack, scratch_directory

_WAITING = """
SELECT COUNT(*) AS waiting FROM integrations_registration AS one
JOIN integrations_connection AS link ON link.id = one.connection_id
WHERE one.state = 'due' AND link.status = 'live'
"""


@dataclass
class Stage:
    """A seeded product, the ids and tokens of what it has, and the browser that opens its pages."""

    stack: Stack
    browser: Browser
    ids: dict[str, int]
    tokens: dict[str, str]
    contexts: dict[tuple[str, Scheme, int], BrowserContext] = field(default_factory=dict)

    def url(self, name: str, *args: Any) -> str:
        """Return an address; an argument that names an id or a token of the scene is replaced by it."""
        named = {**self.ids, **self.tokens}
        return self.stack.web_url + reverse(name, args=[named.get(arg, arg) for arg in args])

    def person(self, who: str, scheme: Scheme = "light", width: int = 1440) -> Watched:
        """Open a blank page as `who` (a role of `scene.SESSIONS`, or "" for a stranger)."""
        key = (who, scheme, width)
        if key not in self.contexts:
            self.contexts[key] = self._context(who, scheme, width)
        return Watched(self.contexts[key].new_page())

    def fresh(self, who: str) -> BrowserContext:
        """Return a context of its own with an empty cache; the caller closes it."""
        return self._context(who, "light", 1440)

    def _context(self, who: str, scheme: Scheme, width: int) -> BrowserContext:
        context = self.browser.new_context(
            viewport={"width": width, "height": HEIGHT_PX[width]},
            color_scheme=scheme,
            reduced_motion="reduce",
        )
        if who:
            session = self.tokens[f"session {who}"]
            context.add_cookies([{"name": "sessionid", "value": session, "url": self.stack.web_url}])
        return context


def wait_until_delivered(stack: Stack, *, timeout_s: float = 60.0) -> None:
    """Wait until nothing is waiting on a live connection."""
    eventually(
        lambda: stack.query(_WAITING)[0]["waiting"] == 0, timeout_s=timeout_s, what="the seed to be delivered"
    )


@contextmanager
def seeded_stack() -> Iterator[Stack]:
    """Run a product that has the demo's seed, delivered to its sandbox."""
    with (
        scratch_directory() as home,
        running_stack(SQLITE, env={"DEMO_MAILBOX": str(home / "mail")}) as stack,
    ):
        stack.manage("seed")
        wait_until_delivered(stack)
        yield stack


@contextmanager
def running_stage(browser: Browser) -> Iterator[Stage]:
    """Run a seeded product with the scene's companies beside the seed; its worker is stopped, so nothing moves."""
    with seeded_stack() as stack:
        stack.worker.stop()
        made = stack.run(scene.build)
        stage = Stage(stack, browser, made["ids"], made["tokens"])
        try:
            yield stage
        finally:
            for context in stage.contexts.values():
                context.close()
