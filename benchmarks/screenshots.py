"""Takes the README's pictures: `make screenshots` → `docs/screenshots/*.png`.

It runs the seeded product on real processes, so what the pictures show is what `make demo` shows: the pages of the live
company, and on a phone the question whether a test plate is seen, which the tested company asks.
"""

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

import tests.with_django  # noqa: F401 - first, since what follows imports models
from benchmarks import screenshots_test_plate
from offstreet import seeding
from offstreet.runtime.commands import ROOT
from tests.browser.face import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.browser.staging import seeded_stack
from tests.servers import Stack, eventually

PICTURES = ROOT / "docs" / "screenshots"
OPERATOR, PASSWORD = "operator@university.example", seeding.PASSWORD
MOST_BYTES = 180_000
PNG_SIGN = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Picture:
    """One picture: its name, the address (from the root), the look, and what to do on the page first."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1440
    height: int = 900
    act: Callable[[Page], None] | None = None


def open_newest_permit(page: Page) -> None:
    """Go from the list to the page of an accepted permit."""
    page.locator("main tbody tr", has_text="accepted").first.get_by_role("link").first.click()
    page.get_by_role("heading", level=1).wait_for()


def dismiss_notices(page: Page) -> None:
    """Dismiss the notices from the company's first minutes."""
    while (close := page.get_by_role("button", name="Dismiss")).count():
        close.first.click()
        page.wait_for_load_state("networkidle")


def show_charts(page: Page) -> None:
    """Scroll down to the charts."""
    dismiss_notices(page)
    page.get_by_role("heading", name="From save to acceptance").scroll_into_view_if_needed()
    page.mouse.wheel(0, 10_000)
    page.wait_for_timeout(300)


def pictures(confirm_path: str) -> Iterator[Picture]:
    """Return what is taken."""
    home = "/c/university/"
    yield Picture("overview-light", home, act=dismiss_notices)
    yield Picture("overview-dark", home, scheme="dark", act=show_charts)
    yield Picture("locations-light", f"{home}locations/")
    yield Picture("permit-light", f"{home}permits/?when=current&push=accepted", act=open_newest_permit)
    yield Picture("confirm-phone", confirm_path, width=390, height=844)


def ask_for_a_word(stack: Stack) -> str:
    """Send a test plate, wait until Passport shows it, and return the path of the link that is mailed."""
    test = stack.run(screenshots_test_plate.start)
    eventually(
        lambda: stack.run(screenshots_test_plate.is_seen, test=test),
        timeout_s=60,
        every_s=1,
        what="the test plate to be seen",
    )
    return f"/t/{stack.run(screenshots_test_plate.ask_by_mail, test=test)}/"


def take(browser: Browser, stack: Stack, picture: Picture) -> bytes:
    """Take one picture of the visible part of the page."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        color_scheme=picture.scheme,
        reduced_motion="reduce",
    )
    page = context.new_page()
    if not picture.path.startswith("/t/"):
        page.goto(f"{stack.web_url}/accounts/login/")
        page.get_by_label("Email address").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(lambda url: "/accounts/login" not in url)
    page.goto(stack.web_url + picture.path)
    if picture.act is not None:
        picture.act(page)
    page.wait_for_load_state("networkidle")
    # The pointer and the focus must not show in a picture.
    page.mouse.move(0, 0)
    taken = page.screenshot()
    context.close()
    return taken


def packed(png: bytes) -> bytes:
    """Return the same picture, compressed as far as zlib can; Chromium favours speed."""
    head: list[bytes] = []
    data, place = b"", len(PNG_SIGN)
    while place < len(png):
        (length,) = struct.unpack(">I", png[place : place + 4])
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            data += body
        elif kind != b"IEND":
            head.append(_chunk(kind, body))
        place += length + 12
    smaller = zlib.compress(zlib.decompress(data), 9)
    return b"".join([PNG_SIGN, *head, _chunk(b"IDAT", min(smaller, data, key=len)), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def main(target: Path = PICTURES) -> int:
    """Take all pictures; return 1 if one of them is too heavy for a README."""
    target.mkdir(parents=True, exist_ok=True)
    too_heavy = 0
    with seeded_stack() as stack, sync_playwright() as playwright:
        confirm_path = ask_for_a_word(stack)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        for picture in pictures(confirm_path):
            data = packed(take(browser, stack, picture))
            (target / f"{picture.name}.png").write_bytes(data)
            too_heavy += len(data) > MOST_BYTES
            print(f"docs/screenshots/{picture.name}.png  {len(data) / 1000:.0f} kB")
        browser.close()
    return 1 if too_heavy else 0


if __name__ == "__main__":
    sys.exit(main())
