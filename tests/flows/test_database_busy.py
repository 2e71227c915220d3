"""The database is locked or away: pages say so, nothing is lost, and what was not saved can be sent again."""

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import httpx
import pytest

from tests.factories import PASSWORD
from tests.flows.scripts.companies import make_company
from tests.servers import POSTGRES, SQLITE, Stack, eventually, running_stack

ADD, NAME = "/c/university/locations/add/", "North & “Campus”"


@contextlib.contextmanager
def signed_in(stack: Stack) -> Iterator[httpx.Client]:
    stack.run(make_company, people=["kim@u.example"])
    with contextlib.closing(stack.sign_in("kim@u.example", PASSWORD)) as client:
        yield client


def fields_of(page: str) -> dict[str, str]:
    """Return what a page's form would send: hidden fields, chosen options and texts."""
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in hidden}


@pytest.mark.parametrize("htmx", [False, True])
def test_a_form_sent_while_sqlite_is_locked_is_kept_and_saved_when_it_is_sent_again(htmx: bool) -> None:
    with running_stack(SQLITE, workers=0, sandbox=False) as stack, signed_in(stack) as client:
        typed = {"name": NAME, "external_id": "", "timezone": "America/New_York", "active": "on"}
        with contextlib.closing(sqlite3.connect(stack.home / "db.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            token = {"csrfmiddlewaretoken": client.cookies.get("csrftoken", "")}
            headers = {"Referer": stack.web_url, **({"HX-Request": "true"} if htmx else {})}
            answer = client.post(ADD, data={**typed, **token}, headers=headers)
            # Reading pages and the health check still work.
            assert client.get("/c/university/locations/").status_code == 200
            assert client.get("/healthz").status_code == 200
            other.execute("ROLLBACK")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
        assert answer.headers["X-Nothing-Written"] == "true"
        assert "Nothing was changed." in answer.text
        count = "SELECT COUNT(*) AS n FROM locations_location WHERE name = ?"
        assert stack.query(count, [NAME])[0]["n"] == 0
        if htmx:
            return  # the page still has the form, and sends it again (tests/browser)
        again = fields_of(answer.text)
        assert {name: again[name] for name in typed} == typed
        assert client.post(ADD, data=again, headers=headers).status_code == 200
        assert stack.query(count, [NAME])[0]["n"] == 1


def test_the_health_check_answers_while_every_thread_waits_for_the_database() -> None:
    with running_stack(SQLITE, workers=0, sandbox=False) as stack, signed_in(stack) as client:
        typed = {"name": "", "external_id": "", "timezone": "America/New_York", "active": "on"}
        token = {"csrfmiddlewaretoken": client.cookies.get("csrftoken", "")}

        def save(number: int) -> int:
            with httpx.Client(base_url=stack.web_url, cookies=client.cookies, timeout=120) as mine:
                headers = {"Referer": stack.web_url}
                return mine.post(
                    ADD, data={**typed, **token, "name": f"Lot {number}"}, headers=headers
                ).status_code

        with contextlib.closing(sqlite3.connect(stack.home / "db.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with ThreadPoolExecutor(24) as pool:
                saves = [pool.submit(save, number) for number in range(24)]
                eventually(lambda: all(one.running() for one in saves), what="all to be sent")
                time.sleep(1)
                checked = [client.get("/healthz", timeout=5).status_code for _ in range(3)]
                waiting = sum(not one.done() for one in saves)
                other.execute("ROLLBACK")
            assert checked == [200, 200, 200]
            assert waiting > 8, "there were fewer than would fill all threads"
            assert {one.result() for one in saves} <= {302, 200, 503}


def test_while_postgresql_is_away_pages_say_so_and_come_back_with_it() -> None:
    with running_stack(POSTGRES, workers=0, sandbox=False) as stack, signed_in(stack) as client:
        assert stack.database is not None
        stack.database.stop()
        answer = client.get("/c/university/locations/")
        assert (answer.status_code, bool(answer.headers["Retry-After"])) == (503, True)
        assert "The database is busy or not responding. Nothing was changed." in answer.text
        assert client.get("/healthz").status_code == 503
        stack.database.start()
        eventually(
            lambda: client.get("/c/university/locations/").status_code == 200, what="the page to come back"
        )
