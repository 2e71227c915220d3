"""The sandbox's simulator behind httpx, without a socket: the one seam through which unit tests reach "Passport".

It carries responses as the HTTP server would: a drop raises what httpx raises, a delay beyond the request's read
time-out raises `httpx.ReadTimeout` (after the request was processed, or before, as the fault says), bodies may be cut
off, huge or without end. Time stands still unless a test moves it; a delay that is waited for moves it.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx

from passport.sandbox.app import Sandbox
from passport.sandbox.responses import Response
from passport.sandbox.simulator import Simulator


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class SandboxTransport(httpx.BaseTransport):
    """Answers from `simulator`. `late` holds requests that are to be processed later although the client gave up;
    `process_late()` lets them happen."""

    def __init__(
        self, simulator: Simulator | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.simulator = simulator or Simulator()
        self.sandbox = Sandbox(self.simulator)
        self.clock = clock or (lambda: datetime.now(UTC))
        self.late: list[Callable[[datetime], Response]] = []
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self.sandbox.handle(
            request.method,
            request.url.path,
            request.url.query.decode(),
            {name.lower(): value for name, value in request.headers.items()},
            request.read(),
            self.clock(),
        )
        while response.action.resume is not None:
            try:
                self._wait(response.action.wait_s, request)
            except httpx.ReadTimeout:
                self.late.append(response.action.resume)
                raise
            response = response.action.resume(self.clock())
        self._wait(response.action.wait_s, request)
        return self._carry(response, request)

    def process_late(self) -> None:
        """Process what is still under way, as a remote does whose client has gone."""
        late, self.late = self.late, []
        for resume in late:
            resume(self.clock())

    def _wait(self, seconds: float, request: httpx.Request) -> None:
        limit = request.extensions.get("timeout", {}).get("read")
        waited = seconds if limit is None else min(seconds, limit)
        if isinstance(self.clock, Clock):
            self.clock.advance(waited)
        if waited < seconds:
            raise httpx.ReadTimeout("The read operation timed out", request=request)

    def _carry(self, response: Response, request: httpx.Request) -> httpx.Response:
        body, action = response.body, response.action
        headers = {"Content-Type": response.content_type, **response.headers}
        match action.ending:
            case "drop":
                raise httpx.RemoteProtocolError(
                    "Server disconnected without sending a response.", request=request
                )
            case "truncated":
                headers["Content-Length"] = str(len(body))
                return httpx.Response(response.status, headers=headers, stream=_Cut(body[: len(body) // 2]))
            case "padded":
                headers["Content-Length"] = str(action.size_bytes)
                padding = max(action.size_bytes - len(body), 0)
                return httpx.Response(response.status, headers=headers, stream=_Padded(body, padding))
            case "endless":
                return httpx.Response(
                    response.status, headers=headers, stream=_Endless(body, self, action.interval_s)
                )
            case _:
                return httpx.Response(response.status, headers=headers, content=body)


class _Cut(httpx.SyncByteStream):
    def __init__(self, body: bytes) -> None:
        self.body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")


class _Padded(httpx.SyncByteStream):
    def __init__(self, body: bytes, padding: int) -> None:
        self.body = body
        self.padding = padding

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        left = self.padding
        while left > 0:
            yield b" " * min(left, 65_536)
            left -= 65_536


class _Endless(httpx.SyncByteStream):
    def __init__(self, body: bytes, transport: SandboxTransport, interval_s: float) -> None:
        self.body = body
        self.transport = transport
        self.interval_s = interval_s

    def __iter__(self) -> Iterator[bytes]:
        yield self.body
        while True:
            if isinstance(self.transport.clock, Clock):
                self.transport.clock.advance(self.interval_s)
            yield b" "
