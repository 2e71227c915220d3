"""Answers, including those that break the rules of HTTP, and how a fault alters a good one.

A well-behaved answer is a Starlette response. The others are responses too, so that the code that chooses one need
not know how it is sent. They use ASGI where ASGI allows it, and the request's :class:`Wire` for the rest.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.client import responses
from typing import Any, Protocol
from urllib.parse import parse_qsl

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .checks import Problem, state_key
from .faults import Fault

_MAX_FIELDS = 50
_MAX_BODY_BYTES = 32 * 1024 * 1024
_BLANKS = b" " * 65_536
_BEGINNING = b'{"data": ['
_PROXY_PAGE = "<!DOCTYPE html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"
_BROKEN_JSON = '{"data": [{"id": "5d0'
_REFUSALS = {
    401: ("unauthorized", "The access token is not known."),
    403: ("operator_not_authorized", "The operator has not authorised this partner."),
    429: ("rate_limited", "Please try again later."),
}
_WRONG_SHAPES = (
    *("[]", "null", '"ok"', "42", '{"data": null}', '{"data": "none"}', '{"data": [null, 1, "x"]}'),
    *('{"data": {"id": 7}}', '{"data": [{"id": 7, "number": null, "status": "202", "vehicle": []}]}'),
)


class Wire(Protocol):
    """The connection under a request, and its clock; found as ``request.state.wire``.

    The server's own is :class:`passport.sandbox.server.Connection`; tests bring one without a socket. A client that
    leaves doesn't end a `sleep`.
    """

    transport: Any  # of asyncio

    def now(self) -> datetime: ...
    async def sleep(self, seconds: float) -> None: ...


async def read_body(request: Request) -> bytes:
    """The whole body; HTTPException 413 if it is larger than 32 MiB."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413, "The body is too large.")
    return bytes(body)


def read_form(body: bytes) -> dict[str, str]:
    """The fields of an urlencoded form; a Problem if it can't be read or repeats a field."""
    try:
        return once(parse_qsl(body.decode(), True, True, errors="strict", max_num_fields=_MAX_FIELDS))
    except ValueError:
        raise Problem(400, "malformed_body", "The body is not a form.") from None


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Fields as a dict; a Problem if one is repeated."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(400, "malformed_body", "A field is repeated.")
    return fields


class Json(Response):
    """A document as JSON. Times are written as RFC 3339 with ``Z``."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content, option=orjson.OPT_UTC_Z)


def refusal(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as ``application/problem+json``."""
    return Json(problem.document(), problem.status, headers, media_type="application/problem+json")


class Dropped(Response):
    """No answer: the connection is closed without a byte. Its status is 0."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["wire"].transport.abort()
        await _disconnected(receive)


class Pieces(Response):
    """An answer whose body is what `pieces` yields, until one of the two sides closes the connection."""

    media_type = "application/json"

    def __init__(
        self,
        pieces: Callable[[Wire], AsyncIterator[bytes]],
        status: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(b"", status, headers)
        self._pieces = pieces
        if headers is None:
            del self.headers["Content-Length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire: Wire = scope["state"]["wire"]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for piece in self._pieces(wire):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if wire.transport.is_closing():
                break
        if wire.transport.is_closing():
            await _disconnected(receive)
        else:
            await send({"type": "http.response.body", "body": b""})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def spoil(response: Response | None, fault: Fault, now: datetime) -> Response:
    """The answer as `fault` makes it; `response` is the true one where the request was processed."""
    match fault.kind:
        case "drop" | "answer_lost":
            return Dropped(status_code=0)
        case "401" | "403" | "429" | "5xx":
            return _refused(fault, now)
        case "html":
            return _as_given(fault, _PROXY_PAGE.format(responses.get(fault.status, "Error")), "text/html")
        case "broken_json":
            return _as_given(fault, _BROKEN_JSON, "application/json")
        case "wrong_json":
            shape = _WRONG_SHAPES[int(fault.draw() * len(_WRONG_SHAPES))]
            return _as_given(fault, shape, "application/json")
        case "huge_body":
            length = {"Content-Length": str(max(fault.size_bytes, len(_BEGINNING)))}
            return Pieces(partial(_padded, fault.size_bytes), fault.status, length)
        case "endless_body":
            return Pieces(partial(_endless, fault.delay_s), fault.status)
        case "truncated":
            whole = response if response is not None and response.body else Json({"data": []})
            return Pieces(partial(_half, bytes(whole.body)), whole.status_code, whole.headers)
        case "missing_fields" | "short_list" | "endless_list" | "other_forms" if response is not None:
            return _mislist(response, fault)
        case _ if response is not None:  # the fault affects the events, not the answer
            return response
        case _:
            return Json({"data": []})


def _mislist(response: Response, fault: Fault) -> Response:
    """The list, altered; any other answer is unchanged."""
    document = orjson.loads(response.body) if response.status_code == 200 else {}
    items = document.get("data")
    if not isinstance(items, list):
        return response
    if fault.kind == "short_list":
        del items[len(items) // 2 :]
    if fault.kind == "endless_list":
        document["next"] = f"?page={int(fault.draw() * 1e9) + 1}"
    for item in items:
        if fault.kind == "missing_fields":
            gone = [name for name in fault.fields.split(",") if name in item]
            for name in gone:
                del item[name]
            item.update(dict.fromkeys(gone) if fault.as_null else {})
        if fault.kind == "other_forms" and "vehicle" in item:
            plate, state = item["vehicle"]["vehicle_plate"], item["vehicle"]["vehicle_state"]
            item["vehicle"]["vehicle_plate"] = f"{plate[:3]}-{plate[3:]}".strip("-").lower()
            item["vehicle"]["vehicle_state"] = state and (state_key(state) if "-" in state else f"US-{state}")
            item["zone_id"] = item["zone_id"].upper()
    return Json(document)


async def _padded(size_bytes: int, _wire: Wire) -> AsyncIterator[bytes]:
    yield _BEGINNING
    for left in range(size_bytes - len(_BEGINNING), 0, -len(_BLANKS)):
        yield _BLANKS[:left]


async def _endless(interval_s: float, wire: Wire) -> AsyncIterator[bytes]:
    yield _BEGINNING
    while True:
        await wire.sleep(interval_s)
        yield b" "


async def _half(body: bytes, wire: Wire) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    wire.transport.close()


def _as_given(fault: Fault, usual: str, content_type: str, headers: Mapping[str, str] = {}) -> Response:
    """The fault's own body or the usual one, with its length also where a status (204) allows no body."""
    content = (usual if fault.body is None else fault.body).encode()
    fixed = {"Content-Length": str(len(content)), "Content-Type": content_type}
    return Response(content, fault.status, {**fixed, **headers})


def _refused(fault: Fault, now: datetime) -> Response:
    headers = retry_after_header(fault, now)
    if fault.body is not None:
        return _as_given(fault, "", "text/plain", headers)
    code, detail = _REFUSALS.get(fault.status, ("internal_error", "Please try again later."))
    return refusal(Problem(fault.status, code, detail), headers)


def retry_after_header(fault: Fault, now: datetime) -> dict[str, str]:
    """The Retry-After header that `fault` asks for, if any."""
    if fault.retry_after_s is None:
        return {}
    return {"Retry-After": retry_after(fault.retry_after_s, fault.retry_after_form, now)}


def retry_after(seconds: float, form: str, now: datetime) -> str:
    """A Retry-After header in either form; seconds are rounded up, a date is in whole seconds."""
    whole = int(-(-seconds // 1))
    if form == "seconds":
        return str(whole)
    try:
        later = now.astimezone(UTC) + timedelta(seconds=whole)
    except OverflowError:
        later = datetime.max.replace(tzinfo=UTC)
    return format_datetime(later.replace(microsecond=0), usegmt=True)
