"""Requests that nothing can be made of are answered with 400 in words, before any page sees them.

A NUL byte is refused by PostgreSQL and by file systems alike, a body in UTF-16 by Django's parsers, a lone surrogate by
every encoder; each was a 500 on whichever page met it first. No browser sends any of them from one of our pages, so
they are refused at the door, for all pages at once (the admin's and allauth's too) instead of field by field.

A query is the exception: an address is pasted, cut and bookmarked, and the lists answer what they can't find with an empty
list and a sentence. There a NUL becomes U+FFFD, as Django makes of bytes that are no UTF-8, so it is found nowhere.
"""

import codecs
import re
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.request import UnreadablePostError
from django.utils.datastructures import MultiValueDict

_UNREADABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
# A NUL or half of a surrogate pair, written as an escape of JSON.
_SUSPICIOUS_ESCAPE = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")


class ReadableRequests:
    """Answer 400 to a request with NUL bytes, another charset than UTF-8, or a body that can't be parsed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        check_readable(request)
        return self.get_response(request)


def check_readable(request: HttpRequest) -> None:
    """Raise `BadRequest` (or another error that Django answers with 400) for a request that can't be read.

    A cookie that can't be read is taken for absent instead: whoever has one could not get rid of it otherwise.
    """
    _check_charset(request)
    if not _is_clean(request.path_info):
        raise BadRequest("The address holds a NUL byte.")
    for name in [name for name, value in request.COOKIES.items() if not _is_clean(name + value)]:
        del request.COOKIES[name]
    # Reading them raises for too many fields.
    if not _all_clean(request.GET):
        request.GET = _replaced(request.GET)  # type: ignore[assignment]
    try:
        if not (_all_clean(request.POST) and _are_names_clean(request.FILES)):
            raise BadRequest("The form holds a NUL byte.")
        if (request.content_type or "").endswith(("/json", "+json")):
            _check_json(request.body)
    except UnreadablePostError as error:
        raise BadRequest("The body broke off.") from error


def _check_charset(request: HttpRequest) -> None:
    named = (request.content_params or {}).get("charset", "utf-8").strip('"')
    try:
        known = codecs.lookup(named).name
    except (LookupError, ValueError):
        known = ""
    if known != "utf-8":
        raise BadRequest("The request is not encoded in UTF-8.")


def _is_clean(text: str) -> bool:
    return _UNREADABLE.search(text) is None


def _all_clean(fields: QueryDict) -> bool:
    return all(_is_clean(name) and all(map(_is_clean, values)) for name, values in fields.lists())


def _replaced(fields: QueryDict) -> QueryDict:
    """Return the fields with `_REPLACEMENT` in place of each sign that can't be read."""
    found = QueryDict(mutable=True, encoding=fields.encoding)
    for name, values in fields.lists():
        found.setlist(
            _UNREADABLE.sub(_REPLACEMENT, name), [_UNREADABLE.sub(_REPLACEMENT, value) for value in values]
        )
    found._mutable = False
    return found


def _are_names_clean(files: MultiValueDict[str, Any]) -> bool:
    names = (str(part) for name, several in files.lists() for one in several for part in (name, one.name))
    return all(map(_is_clean, names))


def _check_json(body: bytes) -> None:
    """Refuse what can't be stored; what is merely no JSON is for the page to say."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise BadRequest("The JSON is not encoded in UTF-8.") from error
    if b"\0" in body:
        raise BadRequest("The JSON holds a NUL byte.")
    if not _SUSPICIOUS_ESCAPE.search(body):
        return
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:  # half of a surrogate pair, among others
        raise BadRequest("The JSON can't be read.") from error
    if not all(map(_is_clean, _texts(document))):
        raise BadRequest("The JSON holds a NUL byte.")


def _texts(document: Any) -> Iterable[str]:
    """Yield each text in a JSON document, keys too; without recursion, however deep it is."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
