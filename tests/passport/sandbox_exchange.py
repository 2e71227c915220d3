"""One request through the sandbox's application without a server, a socket or an event loop.

The application is a coroutine that stops where it would wait or send. An `Exchange` takes it from stop to stop, so a
test sees each wait and each piece of the answer as it happens, and may abandon the request at any point.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from types import coroutine
from urllib.parse import unquote

from starlette.types import ASGIApp, Message


@dataclass(frozen=True)
class Wait:
    """The application waits this long."""

    seconds: float


@dataclass(frozen=True)
class Start:
    """The answer's status and headers (names in lower case)."""

    status: int
    headers: list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Piece:
    """A piece of the answer's body."""

    data: bytes


Step = Wait | Start | Piece


class Exchange:
    """One request under way, and the `passport.sandbox.answers.Wire` under it."""

    def __init__(
        self,
        app: ASGIApp,
        clock: Callable[[], datetime],
        method: str,
        path: str,
        query: str,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
    ) -> None:
        self.gone = False
        self.transport = self
        self.complete = False
        self.now = clock
        self._body: bytes | None = body
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in headers],
            "client": ("127.0.0.1", 50_000),
            "server": ("passport.test", 80),
            "state": {"wire": self},
        }
        self._running = app(scope, self._receive, self._send)

    def step(self) -> Step | None:
        """Let the application continue to its next stop; None once it has ended."""
        try:
            step: Step = self._running.send(None)  # type: ignore[attr-defined]
        except StopIteration:
            return None
        return step

    def finish(self) -> None:
        """Let the application run to its end; a client that has gone gets none of it."""
        self.gone = True
        while self.step() is not None:
            pass

    def leave(self) -> None:
        """Abandon the request at this point."""
        self.gone = True
        self._running.close()  # type: ignore[attr-defined]

    # -- the wire ------------------------------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        await _pause(Wait(seconds))

    def is_closing(self) -> bool:
        return self.gone

    def close(self) -> None:
        self.gone = True

    abort = close

    # -- ASGI ----------------------------------------------------------------------------------------------------

    async def _receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await _pause(Start(message["status"], list(message["headers"])))
            return
        self.complete = not message.get("more_body", False)
        if message["body"]:
            await _pause(Piece(bytes(message["body"])))


@coroutine
def _pause(step: Step) -> Generator[Step, None, None]:
    yield step
