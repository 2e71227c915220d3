"""HTTP/1.1 on asyncio, just as much of it as the sandbox needs, and quick.

One :class:`_Connection` per client, keep-alive, requests of a connection answered one after the other. A delayed answer
holds up its own connection only. The parser is small because the traffic is ours: a head of at most 64 KiB, a body with
a length or in chunks of at most 32 MiB; anything else is answered with 400, 413 or 431 and the connection closed.

Invariant: a request whose client has gone is processed all the same if it was to be processed late
(``Carriage.resume``); only its answer is lost. That is what makes a late duplicate.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol as Interface

from .responses import Response

_HEAD_BYTES = 64 * 1024
_BODY_BYTES = 32 * 1024 * 1024
_PIECE_BYTES = 64 * 1024

_log = logging.getLogger("passport.sandbox")
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Handler(Interface):
    """What the server serves."""

    def handle(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, now: datetime
    ) -> Response: ...


class Gauge(Interface):
    """Where the server writes how many connections there are."""

    connections_open: int
    connections_peak: int


class BadRequest(Exception):
    """What can't be read as HTTP/1.1; `status` is the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Head:
    """A request's first line and headers."""

    __slots__ = ("chunked", "headers", "keep_alive", "length", "method", "path", "query")

    def __init__(self, data: bytes) -> None:
        lines = data.decode("latin-1").split("\r\n")
        first = lines[0].split(" ")
        if len(first) != 3 or not first[2].startswith("HTTP/1."):
            raise BadRequest(400, "the request line can't be read")
        self.method, target, version = first
        if not self.method.isalpha() or not target.startswith("/"):
            raise BadRequest(400, "the request line can't be read")
        self.path, _, self.query = target.partition("?")
        self.headers: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequest(400, "a header can't be read")
            self.headers[name.lower()] = value.strip()
        connection = self.headers.get("connection", "").lower()
        self.keep_alive = "close" not in connection and (version != "HTTP/1.0" or "keep-alive" in connection)
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = self.headers.get("content-length", "0")
        if not length.isascii() or not length.isdecimal() or len(length) > 12:
            raise BadRequest(400, "Content-Length is not a number")
        self.length = int(length)
        if self.length > _BODY_BYTES:
            raise BadRequest(413, "the body is too large")


def read_chunks(buffer: bytearray) -> tuple[bytes, int] | None:
    """(body, bytes used) of a chunked body at the start of `buffer`; None if it is not complete yet."""
    body = bytearray()
    at = 0
    while True:
        end = buffer.find(b"\r\n", at)
        if end < 0:
            if len(buffer) - at > 1024:
                raise BadRequest(400, "a chunk's size can't be read")
            return None
        try:
            size = int(bytes(buffer[at:end]).partition(b";")[0], 16)
        except ValueError:
            raise BadRequest(400, "a chunk's size can't be read") from None
        if size < 0 or len(body) + size > _BODY_BYTES:
            raise BadRequest(413, "the body is too large")
        at = end + 2
        if size == 0:
            end = buffer.find(b"\r\n", at)
            while end > at:  # trailers
                at = end + 2
                end = buffer.find(b"\r\n", at)
            return None if end < 0 else (bytes(body), end + 2)
        if len(buffer) < at + size + 2:
            return None
        body += buffer[at : at + size]
        at += size + 2


class _Connection(asyncio.Protocol):
    """One client. `_busy` while an answer is under way: what arrives meanwhile waits in the buffer."""

    __slots__ = ("_buffer", "_busy", "_continued", "_head", "_room", "_server", "_tasks", "_transport")

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._buffer = bytearray()
        self._head: Head | None = None
        self._busy = False
        self._continued = False
        self._transport: asyncio.Transport | None = None
        self._room: asyncio.Event | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        for task in self._tasks:
            task.cancel()
        self._server.left(self)

    def pause_writing(self) -> None:
        self._room = asyncio.Event()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
            self._room = None

    def eof_received(self) -> bool:
        return False

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._advance()
        elif len(self._buffer) > _BODY_BYTES and self._transport is not None:
            self._transport.abort()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- reading -------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        try:
            while not self._busy and self._transport is not None and not self._transport.is_closing():
                request = self._next_request()
                if request is None:
                    return
                head, body = request
                self._server.requests += 1
                self._carry(head, self._server.answer(head, body))
        except BadRequest as error:
            self._send(None, Response(error.status, str(error).encode(), "text/plain"))
            if self._transport is not None:
                self._transport.close()

    def _next_request(self) -> tuple[Head, bytes] | None:
        buffer = self._buffer
        head = self._head
        if head is None:
            while buffer.startswith(b"\r\n"):
                del buffer[:2]
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > _HEAD_BYTES:
                    raise BadRequest(431, "the head is too large")
                return None
            head = self._head = Head(bytes(buffer[:end]))
            del buffer[: end + 4]
        if head.chunked:
            chunks = read_chunks(buffer)
            if chunks is None:
                self._ask_to_go_on(head)
                return None
            body, used = chunks
        else:
            used = head.length
            if len(buffer) < used:
                self._ask_to_go_on(head)
                return None
            body = bytes(buffer[:used])
        del buffer[:used]
        self._head, self._continued = None, False
        return head, body

    def _ask_to_go_on(self, head: Head) -> None:
        expects = head.headers.get("expect", "").lower() == "100-continue"
        if expects and not self._continued and self._transport is not None:
            self._continued = True
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    # -- writing -------------------------------------------------------------------------------------------------

    def _carry(self, head: Head, response: Response) -> None:
        action = response.action
        if action.wait_s > 0 or action.resume is not None:
            self._busy = True
            self._server.later(action.wait_s, lambda: self._after_wait(head, response))
        else:
            self._send_as_told(head, response)

    def _after_wait(self, head: Head, response: Response) -> None:
        self._busy = False
        resume = response.action.resume
        if resume is not None:
            self._carry(head, resume(datetime.now(UTC)))
        else:
            self._send_as_told(head, response)
        if not self._busy:
            self._advance()

    def _send_as_told(self, head: Head, response: Response) -> None:
        transport = self._transport
        if transport is None:
            return
        match response.action.ending:
            case "whole":
                self._send(head, response)
                if not head.keep_alive:
                    transport.close()
            case "drop":
                transport.abort()
            case "truncated":
                transport.write(
                    _head_of(response, len(response.body)) + response.body[: len(response.body) // 2]
                )
                transport.close()
            case "padded":
                self._start(self._send_padded(head, response))
            case "endless":
                self._start(self._send_endless(response))

    def _send(self, head: Head | None, response: Response) -> None:
        if self._transport is not None:
            body = b"" if head is not None and head.method == "HEAD" else response.body
            close = head is None or not head.keep_alive
            self._transport.write(_head_of(response, len(response.body), close=close) + body)

    def _start(self, work: Awaitable[None]) -> None:
        self._busy = True
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _write(self, data: bytes) -> None:
        if self._room is not None:
            await self._room.wait()
        if self._transport is not None:
            self._transport.write(data)

    async def _send_padded(self, head: Head, response: Response) -> None:
        size = max(response.action.size_bytes, len(response.body))
        await self._write(_head_of(response, size) + response.body)
        left = size - len(response.body)
        blanks = b" " * _PIECE_BYTES
        while left > 0 and self._transport is not None:
            await self._write(blanks[: min(left, _PIECE_BYTES)])
            left -= min(left, _PIECE_BYTES)
        self._busy = False
        if self._transport is not None:
            if head.keep_alive:
                self._advance()
            else:
                self._transport.close()

    async def _send_endless(self, response: Response) -> None:
        await self._write(_head_of(response, None) + b"%x\r\n%b\r\n" % (len(response.body), response.body))
        while self._transport is not None:
            await asyncio.sleep(response.action.interval_s)
            await self._write(b"1\r\n \r\n")


def _head_of(response: Response, length: int | None, *, close: bool = False) -> bytes:
    reason = _REASONS.get(response.status, "Unknown")
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    extra = (
        "".join(f"{name}: {value}\r\n" for name, value in response.headers.items())
        if response.headers
        else ""
    )
    kind = f"Content-Type: {response.content_type}\r\n" if length != 0 else ""
    end = "Connection: close\r\n" if close else ""
    return f"HTTP/1.1 {response.status} {reason}\r\n{size}\r\n{kind}{extra}{end}\r\n".encode(
        "latin-1", "replace"
    )


class Server:
    """Serves `handler` on a host and port until it is told to stop."""

    def __init__(self, handler: Handler, gauge: Callable[[], Gauge] | None = None) -> None:
        self.handler = handler
        self.requests = 0
        self.port = 0
        self._gauge = gauge
        self._connections: set[_Connection] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._stop: asyncio.Event | None = None

    def answer(self, head: Head, body: bytes) -> Response:
        """The handler's response; a fault of our own is a 500 and a traceback, never a dead server."""
        try:
            return self.handler.handle(
                head.method, head.path, head.query, head.headers, body, datetime.now(UTC)
            )
        except Exception:  # noqa: BLE001
            _log.exception("%s %s failed", head.method, head.path)
            return Response(500, b"the sandbox itself has failed; see its log", "text/plain")

    def connection(self) -> _Connection:
        """A protocol for one more client."""
        return _Connection(self)

    def joined(self, connection: _Connection) -> None:
        self._connections.add(connection)
        self._measure()

    def left(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        self._measure()

    def _measure(self) -> None:
        if self._gauge is not None:
            gauge = self._gauge()
            gauge.connections_open = len(self._connections)
            gauge.connections_peak = max(gauge.connections_peak, gauge.connections_open)

    def later(self, seconds: float, work: Callable[[], None]) -> None:
        """Do `work` after some time, whether or not the client is still there."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            self._timers.discard(handle)
            work()

        handle = loop.call_later(seconds, run)
        self._timers.add(handle)

    def stop(self) -> None:
        """End :meth:`run` at once: delays are not waited for, connections are closed."""
        if self._stop is not None:
            self._stop.set()

    async def run(self, host: str, port: int, on_ready: Callable[["Server"], None] | None = None) -> None:
        """Listen and serve. OSError if the port is taken. Port 0 takes a free one (:attr:`port`)."""
        loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        listener = await loop.create_server(self.connection, host, port, backlog=1024)
        self.port = listener.sockets[0].getsockname()[1]
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, RuntimeError, ValueError):  # not in the main thread
                loop.add_signal_handler(number, self.stop)
        if on_ready is not None:
            on_ready(self)
        await self._stop.wait()
        listener.close()
        for timer in self._timers:
            timer.cancel()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)
