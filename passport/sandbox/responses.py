"""Answers, including those that break the rules of HTTP, and the connection that they need for it.

A well-behaved answer is a Starlette response. The others are responses too, so that whoever decides on one need not
know how it is sent; they do through ASGI what ASGI allows, and ask the :class:`Wire` under the request for the rest.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .problems import Problem

_MAX_BODY_BYTES = 32 * 1024 * 1024
_PIECE = b" " * 65_536


class Wire(Protocol):
    """The connection under a request, and its clock; found as ``request.state.wire``.

    The server's own is :class:`passport.sandbox.server.Connection`; tests bring one without a socket.
    """

    @property
    def gone(self) -> bool:
        """Whether the client can no longer be reached."""

    def now(self) -> datetime:
        """The real time, aware."""

    async def sleep(self, seconds: float) -> None:
        """Wait; a client that leaves meanwhile doesn't end the wait."""

    def close(self) -> None:
        """End the connection once all that was sent has left."""

    def abort(self) -> None:
        """End the connection at once."""


class Json(Response):
    """A document as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def problem_response(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    """A refusal as ``application/problem+json``."""
    return Json(problem.document(), problem.status, headers, media_type="application/problem+json")


async def read_body(request: Request) -> bytes:
    """The whole body; HTTPException 413 if it is larger than 32 MiB."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413, "The body is too large.")
    return bytes(body)


class Dropped(Response):
    """No answer: the connection is closed without a byte. Its status is 0."""

    def __init__(self) -> None:
        super().__init__(status_code=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["wire"].abort()
        await _disconnected(receive)


class Truncated(Response):
    """Announces the whole body, sends half of it and closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _start(self, send)
        await _more(bytes(self.body[: len(self.body) // 2]), send)
        scope["state"]["wire"].close()
        await _disconnected(receive)


class Padded(Response):
    """Follows its body with blanks up to `size_bytes`."""

    media_type = "application/json"

    def __init__(self, content: bytes, status_code: int, *, size_bytes: int) -> None:
        self.size_bytes = max(size_bytes, len(content))
        super().__init__(content, status_code, {"Content-Length": str(self.size_bytes)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = scope["state"]["wire"]
        await _start(self, send)
        piece, left = bytes(self.body), self.size_bytes
        while not wire.gone:
            left -= len(piece)
            await _more(piece, send, last=not left)
            if not left:
                return
            piece = _PIECE[:left]


class Endless(Response):
    """Follows its body with a blank each `interval_s` seconds until the client leaves."""

    media_type = "application/json"

    def __init__(self, content: bytes, status_code: int, *, interval_s: float) -> None:
        super().__init__(content, status_code)
        del self.headers["Content-Length"]
        self.interval_s = interval_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        wire = scope["state"]["wire"]
        await _start(self, send)
        piece = bytes(self.body)
        while not wire.gone:
            await _more(piece, send)
            await wire.sleep(self.interval_s)
            piece = b" "


async def _start(response: Response, send: Send) -> None:
    status, headers = response.status_code, response.raw_headers
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _more(piece: bytes, send: Send, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": not last})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
