"""How heavy a page is and whether its layout shifts: what the browser fetched and measured itself.

The budgets are the product's: under 200 kB compressed on the first view of any page, under 30 kB on each later one (the page
itself and what is not in the browser's cache), and no layout shift that a reader would notice.
"""

import pytest
from playwright.sync_api import CDPSession, Page

from tests.browser.scene import SEEDED
from tests.browser.staging import Stage

pytestmark = pytest.mark.timeout(120, func_only=True)

FIRST_VIEW_BYTES = 200_000
LATER_VIEW_BYTES = 30_000
# The usual limit for a good page; ours are at 0.
LAYOUT_SHIFT = 0.1
MAIN_PAGES = (
    ("overview", ()), ("locations", ()), ("zones", ()), ("permits", ()), ("permit_add", ()),
    ("permit", ("permit accepted",)), ("validity", ()), ("activity", ()), ("settings", ()), ("setup", ()),
)  # fmt: skip
_WATCH_SHIFTS = """
window.__shift = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.__shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});
"""


class Scale:
    """Counts what comes over the wire, headers and all, as the browser's own tools do."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.got: dict[str, int] = {}
        self.names: dict[str, str] = {}
        self.tools: CDPSession = page.context.new_cdp_session(page)
        self.tools.send("Network.enable")
        self.tools.on("Network.requestWillBeSent", self._asked)
        self.tools.on("Network.loadingFinished", self._finished)

    def _asked(self, event: dict[str, object]) -> None:
        request = event["request"]
        assert isinstance(request, dict)
        self.names[str(event["requestId"])] = str(request["url"])

    def _finished(self, event: dict[str, object]) -> None:
        size = event["encodedDataLength"]
        assert isinstance(size, int | float)
        name = self.names.get(str(event["requestId"]), "?")
        self.got[name] = self.got.get(name, 0) + int(size)

    def weigh(self, url: str) -> int:
        """Open an address and return how many bytes came for it."""
        self.got.clear()
        self.page.goto(url)
        self.page.wait_for_load_state("networkidle")
        return sum(self.got.values())

    def said(self) -> str:
        """What was fetched, the heaviest first."""
        ordered = sorted(self.got.items(), key=lambda one: -one[1])
        return "\n".join(f"{size:>8}  {name}" for name, size in ordered)


@pytest.mark.parametrize(("name", "args"), MAIN_PAGES, ids=[name for name, _ in MAIN_PAGES])
def test_the_first_view_and_each_after_it_are_light(stage: Stage, name: str, args: tuple[str, ...]) -> None:
    page = stage.fresh("manager").new_page()
    scale, url = Scale(page), stage.url(name, SEEDED, *args)
    first = scale.weigh(url)
    assert first < FIRST_VIEW_BYTES, f"the first view takes {first} bytes:\n{scale.said()}"
    later = scale.weigh(url)
    assert later < LATER_VIEW_BYTES, f"a later view takes {later} bytes:\n{scale.said()}"
    page.context.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_no_main_page_jumps_while_it_loads(stage: Stage, width: int) -> None:
    page = stage.person("manager", "light", width).page
    page.add_init_script(_WATCH_SHIFTS)
    shifts = {}
    for name, args in MAIN_PAGES:
        page.goto(stage.url(name, SEEDED, *args))
        page.wait_for_load_state("networkidle")
        shifts[name] = round(page.evaluate("window.__shift"), 3)
    assert {name: shift for name, shift in shifts.items() if shift >= LAYOUT_SHIFT} == {}, shifts
