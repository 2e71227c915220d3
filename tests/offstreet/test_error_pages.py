"""What a page says about a failure is true: saved data is never called unchanged, and a retry is offered where it helps."""

import re
import sqlite3
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import include, path

from locations.models import Location
from offstreet.errors import is_passing
from tests.pages import HTMX, World, text_of

pytestmark = pytest.mark.django_db


def locked() -> OperationalError:
    """The error of a database that another process has locked."""
    error = OperationalError("database is locked")
    error.__cause__ = sqlite3.OperationalError("database is locked")
    error.__cause__.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def of_postgres(state: str | None) -> OperationalError:
    """An error as psycopg raises it, with its code."""
    error = OperationalError("…")
    error.__cause__ = type("Cause", (Exception,), {"sqlstate": state})()
    return error


def _busy(request: HttpRequest) -> HttpResponse:
    raise locked()


def _busy_after_a_write(request: HttpRequest) -> HttpResponse:
    Location.objects.update(name="changed")
    raise locked()


def _lost_in_a_write(request: HttpRequest) -> HttpResponse:
    def lose(*_args: Any) -> None:
        raise of_postgres(None)

    with connection.execute_wrapper(lose):
        Location.objects.update(name="changed")
    return HttpResponse()


def _broken(request: HttpRequest) -> HttpResponse:
    raise ValueError("nobody foresaw it")


def _signs_out_elsewhere(request: HttpRequest) -> HttpResponse:
    """Save something while the person signs out in another window."""
    Location.objects.update(name="changed")
    request.session["seen"] = 1
    Session.objects.all().delete()
    return HttpResponse("It was changed.")


urlpatterns = [
    path("busy/", _busy),
    path("busy-after-a-write/", _busy_after_a_write),
    path("lost/", _lost_in_a_write),
    path("broken/", _broken),
    path("signs-out/", _signs_out_elsewhere),
    path("", include("offstreet.urls")),
]
handler400, handler500 = "offstreet.errors.bad_request", "offstreet.errors.server_error"


@pytest.fixture(autouse=True)
def urls() -> Any:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


NOTHING, UNKNOWN = "Nothing was changed.", "may or may not have been saved: check before you send them again"


def test_a_page_of_a_busy_database_says_so_and_opens_itself_later(client: Client) -> None:
    answer = client.get("/busy/?q=a%26b")
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
    assert NOTHING in text_of(answer)
    assert 'href="/busy/?q=a%26b" data-retry-after="5"' in answer.content.decode()


def test_a_form_is_kept_and_sent_again_where_nothing_was_written(client: Client) -> None:
    client = Client(raise_request_exception=False, enforce_csrf_checks=True)
    client.get("/accounts/login/")
    token = client.cookies["csrftoken"].value
    data = {"csrfmiddlewaretoken": token, "plate": '"><b>É 1', "days": ["mon", "tue"]}
    answer = client.post("/busy/?a=1", data)
    assert (answer.status_code, answer["X-Nothing-Written"]) == (503, "true")
    page = answer.content.decode()
    assert NOTHING in text_of(answer)
    assert '<form method="post" action="/busy/?a=1" data-retry-after="5">' in page
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    assert fields[1:] == [("plate", "&quot;&gt;&lt;b&gt;É 1"), ("days", "mon"), ("days", "tue")]
    # What the page contains is enough to send the form again.
    again = client.post("/busy/?a=1", {"csrfmiddlewaretoken": fields[0][1]})
    assert again.status_code == 503


@override_settings(MIDDLEWARE=["offstreet.errors.NoteWrites"])
def test_a_form_that_was_not_checked_against_forgery_gets_no_token(client: Client) -> None:
    answer = client.post("/busy/", {"plate": "X"})
    assert answer.status_code == 503
    assert b"<form" not in answer.content
    assert b"csrf" not in answer.content


@pytest.mark.parametrize("field", ["password", "password1", "login_code", "client_secret"])
def test_a_secret_is_never_repeated(client: Client, field: str) -> None:
    answer = client.post("/busy/", {"login": "a@example.org", field: "hunter2"})
    assert answer.status_code == 503
    assert b"<form" not in answer.content
    assert b"hunter2" not in answer.content


@pytest.mark.parametrize("where", ["/busy-after-a-write/", "/lost/"])
def test_nothing_is_sent_again_automatically_if_something_may_have_been_written(
    client: Client, where: str
) -> None:
    for headers in ({}, HTMX):
        answer = client.post(where, {"plate": "X"}, headers=headers)
        assert answer.status_code == 503
        assert "X-Nothing-Written" not in answer
        assert UNKNOWN in text_of(answer)
        assert NOTHING not in text_of(answer)
        assert b"data-retry-after" not in answer.content


def test_a_part_of_a_page_is_answered_in_a_sentence(client: Client) -> None:
    answer = client.post("/busy/", {"plate": "X"}, headers=HTMX)
    assert (answer.status_code, answer["Retry-After"], answer["X-Nothing-Written"]) == (503, "5", "true")
    assert answer.content == b"The database is busy or not responding. Nothing was changed."


def test_an_error_that_does_not_pass_is_a_500_that_claims_nothing(client: Client) -> None:
    for answer, sends in ((client.get("/broken/"), False), (client.post("/broken/"), False)):
        assert answer.status_code == 500
        assert (UNKNOWN in text_of(answer)) == sends
    assert NOTHING not in text_of(answer)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (locked(), True),
        (of_postgres(None), True),  # no answer at all, or no connection in the pool
        (of_postgres("57P03"), True),  # cannot connect now
        (of_postgres("53300"), True),  # too many connections
        (of_postgres("40P01"), True),  # deadlock
        (of_postgres("55P03"), True),  # lock not available
        (of_postgres("42P01"), False),  # no such table
        (InterfaceError("connection already closed"), True),
        (OSError("disk"), False),
        (None, False),
    ],
)
def test_passing_errors_are_distinguished_from_lasting_ones(
    error: BaseException | None, passes: bool
) -> None:
    assert is_passing(error) is passes


def test_a_table_that_is_not_there_does_not_pass() -> None:
    with pytest.raises(OperationalError) as raised, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")
    assert not is_passing(raised.value)


def test_what_was_saved_is_reported_as_saved_though_the_session_has_ended() -> None:
    world = World.build()
    location = world.location("Lot")
    client = world.operator
    answer = client.post("/signs-out/")
    assert (answer.status_code, answer.content) == (200, b"It was changed.")
    location.refresh_from_db()
    assert location.name == "changed"
    # The next request is signed out.
    assert client.get(world.url("overview")).status_code == 302


def test_a_session_that_began_in_the_meantime_is_not_signed_out_by_an_older_answer() -> None:
    world = World.build()
    client = world.operator
    before = client.cookies["sessionid"].value
    answer = client.post("/signs-out/")
    assert "sessionid" not in answer.cookies
    assert client.cookies["sessionid"].value == before


def test_no_sentence_of_the_shell_claims_that_nothing_was_changed(client: Client) -> None:
    world = World.build()
    page = world.viewer.get(world.url("overview")).content.decode()
    said = dict(re.findall(r'data-say-([\w-]+)="([^"]*)"', page))
    assert {"failed", "unanswered", "busy", "not-loaded"} <= said.keys()
    # "busy" is said only where the server has said that nothing was written.
    assert [name for name, text in said.items() if "Nothing was changed" in text] == ["busy"]
    assert "may or may not have been saved" in said["failed"]
    assert "may or may not have been saved" in said["unanswered"]
