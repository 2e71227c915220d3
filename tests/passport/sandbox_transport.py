"""The sandbox's simulator behind httpx, without a socket: the only way in which unit tests reach "Passport".

It carries responses as the HTTP server would: a drop raises what httpx raises, a delay beyond the request's read
time-out raises `httpx.ReadTimeout` (after the request was processed, or before, as the fault says), bodies may be cut
off, huge or without end. Time stands still unless a test moves it, or a request waits for a delay.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx

from passport.sandbox.app import make_app
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_exchange import Exchange, Start, Wait


class Clock:
    """A clock that a test moves by hand."""

    def __init__(self, now: datetime | None = None) -> None:
        self.now = now or datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class SandboxTransport(httpx.BaseTransport):
    """Answers from `simulator`. `late` holds requests that will be processed later although the client gave up;
    `process_late()` lets them happen."""

    def __init__(
        self, simulator: Simulator | None = None, clock: Callable[[], datetime] | None = None
    ) -> None:
        self.simulator = simulator or Simulator()
        self.app = make_app(self.simulator)
        self.clock = clock or (lambda: datetime.now(UTC))
        self.late: list[Exchange] = []
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        path, _, query = request.url.raw_path.decode().partition("?")
        body = request.read()
        exchange = Exchange(self.app, self.clock, request.method, path, query, request.headers.raw, body)
        while not isinstance(step := exchange.step(), Start):
            if step is None:
                message = "Server disconnected without sending a response."
                raise httpx.RemoteProtocolError(message, request=request)
            assert isinstance(step, Wait), "nothing comes before the head of an answer"
            try:
                self._wait(step.seconds, request)
            except httpx.ReadTimeout:
                self.late.append(exchange)
                raise
        return httpx.Response(step.status, headers=step.headers, stream=_Body(self, exchange, request))

    def process_late(self) -> None:
        """Process what is still under way, as a server does when its client has gone."""
        late, self.late = self.late, []
        for exchange in late:
            exchange.finish()

    def _wait(self, seconds: float, request: httpx.Request) -> None:
        limit = request.extensions.get("timeout", {}).get("read")
        waited = seconds if limit is None else min(seconds, limit)
        if isinstance(self.clock, Clock):
            self.clock.advance(waited)
        if waited < seconds:
            raise httpx.ReadTimeout("The read operation timed out", request=request)


class _Body(httpx.SyncByteStream):
    """Takes the rest of an answer from its exchange, piece by piece."""

    def __init__(self, transport: SandboxTransport, exchange: Exchange, request: httpx.Request) -> None:
        self.transport = transport
        self.exchange = exchange
        self.request = request

    def __iter__(self) -> Iterator[bytes]:
        while (step := self.exchange.step()) is not None:
            if isinstance(step, Wait):
                self.transport._wait(step.seconds, self.request)
            else:
                assert not isinstance(step, Start), "an answer has one head"
                yield step.data
        if not self.exchange.complete:
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body")

    def close(self) -> None:
        self.exchange.leave()
