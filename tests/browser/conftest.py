"""A real Chromium for the pages: Debian's, headless, with what each page must keep to watched from outside.

Playwright runs its own event loop in the test's thread, so Django takes each database call of a fixture for one made by
asynchronous code; `DJANGO_ALLOW_ASYNC_UNSAFE` tells it that nothing runs at the same time here.
"""

import os
from collections.abc import Callable, Generator, Iterator
from typing import Any, Literal

import pytest
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page

from locations.models import User
from tests.browser.face import CHROMIUM, CHROMIUM_ARGUMENTS, Watched, shown
from tests.browser.staging import Stage, running_stage

os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the text of each open page beside a failure."""
    report = yield
    if report.failed and call.when == "call":
        report.sections += [(f"page {url}", text) for url, text in shown()]
    return report


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Launch the system's Chromium; Playwright's own download is not needed."""
    if CHROMIUM is None:
        pytest.fail("No Chromium found: install Debian's package `chromium`, or set CHROMIUM to its path.")
    return {
        **browser_type_launch_args,
        "executable_path": CHROMIUM,
        "args": CHROMIUM_ARGUMENTS,
    }


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open pages in a given colour scheme, width and (where given) as a person; each keeps its own watch."""
    contexts: list[BrowserContext] = []

    def open_page(
        *,
        scheme: Literal["light", "dark"] = "light",
        width: int = 1440,
        height: int = 900,
        javascript: bool = True,
        **options: Any,
    ) -> Watched:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            java_script_enabled=javascript,
            reduced_motion="reduce",
            **options,
        )
        contexts.append(context)
        page: Page = context.new_page()
        return Watched(page)

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def sign_in() -> Callable[[Watched, str, User], None]:
    """Give a page the session of a signed-in person, without going through the sign-in page."""

    def sign_in(watched: Watched, base_url: str, user: User) -> None:
        client = Client()
        client.force_login(user)
        watched.page.context.add_cookies(
            [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": base_url}]
        )

    return sign_in


@pytest.fixture(scope="session")
def stage(browser: Browser) -> Iterator[Stage]:
    """The seeded product with a company for each state, for tests that change nothing; made once for all of them."""
    with running_stage(browser) as made:
        yield made
