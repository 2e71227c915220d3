"""Error pages that say what is true: what went wrong, whether something may have been saved, and what happens next.

A database that is locked, full of connections or away is a matter of seconds: that answers 503 with `Retry-After`, and the
page tries again automatically. A form is sent again automatically only where nothing was written before the database gave
up (`X-Nothing-Written`); what was typed travels along. Everything else that breaks is a 500.
"""

import re
import sqlite3
import sys
from collections.abc import Callable
from typing import Any

from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template import loader
from django.utils.translation import gettext as _

RETRY_AFTER_S = 5
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
# Classes of PostgreSQL's error codes that pass: connection, rolled back, resources, object in use, operator intervention.
PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57"})
# Of those, the codes after which the server is gone and may or may not have done what it was asked for.
LOST_CLASSES = frozenset({"08", "57"})
# But not this one: the server ended the statement at its deadline (`offstreet.database`), and nothing of it was done.
CANCELLED = "57014"
_READS = (
    "SELECT",
    "BEGIN",
    "SAVEPOINT",
    "RELEASE",
    "ROLLBACK",
    "SET",
    "PRAGMA",
    "EXPLAIN",
    "DECLARE",
    "FETCH",
)
# Fields that are never repeated in an answer.
_SECRET = re.compile(r"pass|secret|code|token", re.IGNORECASE)


def is_passing(error: BaseException | None) -> bool:
    """Whether an error of the database's is over in a while: locked, deadlocked, out of connections, or away."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return _is_locked(cause)
    state = getattr(cause, "sqlstate", None)
    return state is None or state[:2] in PASSING_CLASSES


def _is_locked(error: sqlite3.Error) -> bool:
    # The lowest byte is the kind; the others tell more of it.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _was_refused(error: BaseException) -> bool:
    """Whether the database itself said no to a statement, which has then done nothing."""
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return True
    state = getattr(cause, "sqlstate", None)
    return state is not None and (state == CANCELLED or state[:2] not in LOST_CLASSES)


class NoteWrites:
    """Note on each request whether a statement of it has written something, or may have (`request.may_have_written`)."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        def note(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
            if isinstance(sql, str) and sql.lstrip(" \n(").upper().startswith(_READS):
                return execute(sql, params, many, context)
            try:
                result = execute(sql, params, many, context)
            except Exception as error:
                if not _was_refused(error):
                    request.may_have_written = True  # type: ignore[attr-defined]
                raise
            # It may be rolled back yet, which is not known here.
            request.may_have_written = True  # type: ignore[attr-defined]
            return result

        request.may_have_written = False  # type: ignore[attr-defined]
        with connection.execute_wrapper(note):
            return self.get_response(request)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400 in words (`handler400`), without what was sent."""
    # A request that was refused at the door (`offstreet.readable`) has met no page.
    context = {"may_have_written": getattr(request, "may_have_written", False)}
    return HttpResponse(loader.render_to_string("400.html", context), status=400)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for an error that nothing has caught (`handler500`): 503 where it passes, else 500.

    Neither uses the database or a context processor, so that neither can break as well.
    """
    may_have_written = bool(getattr(request, "may_have_written", True)) and request.method not in SAFE_METHODS
    if not is_passing(sys.exception()):
        text = loader.render_to_string("500.html", {"may_have_written": may_have_written})
        return HttpResponse(text, status=500)
    headers = {"Retry-After": str(RETRY_AFTER_S), "Cache-Control": "no-store"}
    if not may_have_written:
        headers["X-Nothing-Written"] = "true"
    if request.headers.get("HX-Request") or not request.accepts("text/html"):
        sentence = _say_may_have_written() if may_have_written else _say_nothing_written()
        return HttpResponse(sentence, status=503, headers=headers, content_type="text/plain; charset=utf-8")
    fields = [] if may_have_written else _fields_to_repeat(request)
    context = {
        "sentence": _say_may_have_written() if may_have_written else _say_nothing_written(),
        "is_read": request.method in SAFE_METHODS,
        "address": request.get_full_path(),
        "fields": fields,
        "csrf_token": get_token(request) if fields else "",
        "seconds": RETRY_AFTER_S,
    }
    text = loader.render_to_string("503.html", context)
    return HttpResponse(text, status=503, headers=headers)


def _say_nothing_written() -> str:
    return _("The database is busy or not responding. Nothing was changed.")


def _say_may_have_written() -> str:
    return _(
        "The database stopped responding. Your changes may or may not have been saved: check before you send them again."
    )


def _fields_to_repeat(request: HttpRequest) -> list[tuple[str, str]]:
    """Return what a form sent, to be sent again from the answer; empty where it must not be repeated.

    Only of a form that has passed the check against forgery: the answer brings a token of its own, and what another site
    made the browser send must not get one that way. And never a password.
    """
    if request.method != "POST" or not getattr(request, "csrf_processing_done", False):
        return []
    names = [name for name in request.POST if name != "csrfmiddlewaretoken"]
    if request.FILES or any(_SECRET.search(name) for name in names):
        return []
    return [(name, value) for name in names for value in request.POST.getlist(name)]
