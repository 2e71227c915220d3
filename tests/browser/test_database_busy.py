"""A database that is locked for a while: the page says so, and automatically sends again what was not saved."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.face import Watched
from tests.factories import PASSWORD
from tests.flows.scripts.companies import make_company
from tests.servers import SQLITE, Stack, running_stack

NAME = "North & “Campus”"
# Longer than the web waits for a lock (12 s), shorter than two tries.
HELD_S = 15


@pytest.fixture
def university() -> Iterator[Stack]:
    with running_stack(SQLITE, workers=0, sandbox=False) as stack:
        stack.run(make_company, people=["kim@u.example"])
        yield stack


@contextlib.contextmanager
def locked(stack: Stack) -> Iterator[None]:
    """Hold SQLite's only write lock for `HELD_S`, as an import by another process would."""
    held = threading.Event()

    def hold() -> None:
        with contextlib.closing(sqlite3.connect(stack.home / "db.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            held.set()
            release.wait(HELD_S)
            other.execute("ROLLBACK")

    release = threading.Event()
    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        yield
    finally:
        release.set()
        holder.join()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_form_is_kept_while_the_database_is_locked_and_saved_afterwards(
    university: Stack, open_page: Callable[..., Watched], javascript: bool
) -> None:
    watched = open_page(width=390, height=800, javascript=javascript)
    page = watched.page
    with contextlib.closing(university.sign_in("kim@u.example", PASSWORD)) as client:
        session = client.cookies["sessionid"]
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": university.web_url}])
    page.goto(f"{university.web_url}/c/university/locations/add/")
    page.get_by_label("Name").fill(NAME)
    with locked(university):
        page.locator(
            "main form[method=post] button[type=submit], main form[method=post] button:not([type])"
        ).first.click()
        expect(page.get_by_role("heading", level=1)).to_have_text("One moment, please", timeout=20_000)
        expect(page.get_by_text("Nothing was changed.")).to_be_visible()
        watched.shot(f"busy-{javascript}")
        if javascript:
            watched.check_axe()
            # It is sent again without anyone doing anything.
            expect(page.get_by_role("heading", level=1)).not_to_have_text(
                "One moment, please", timeout=40_000
            )
    if not javascript:
        page.get_by_role("button", name="Send again now").click()
    expect(page.get_by_text(NAME).first).to_be_visible()
    rows = university.query("SELECT name FROM locations_location")
    assert [row["name"] for row in rows] == [NAME]
