"""uvicorn, with the little that the sandbox needs beyond ASGI: a connection that an answer can break off, a count of
connections, and a shutdown that waits for nothing.

Invariant: a request whose client has gone is processed all the same if it was to be processed late; only its answer
is lost. That is how a late duplicate comes about. uvicorn does so too: it doesn't cancel a request whose client has left.
"""

import asyncio
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .simulator import Simulator

_KEEP_ALIVE_S = 3600


class Connection(HttpToolsProtocol):
    """One client, and the :class:`~passport.sandbox.answers.Wire` under each of its requests."""

    def __init__(self, simulator: Simulator, **given: Any) -> None:
        super().__init__(**given)
        self.app_state = {**self.app_state, "wire": self}
        self._simulator = simulator

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._simulator.traffic.connected(len(self.connections))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._simulator.traffic.connected(len(self.connections))

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Server(uvicorn.Server):
    """Calls `on_ready` when it is ready, and ends at once: delays are not waited for, connections are closed."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        self.force_exit = True
        await super().shutdown(sockets)


def serve(app: ASGIApp, simulator: Simulator, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Serve `app` on `listener` until SIGTERM or SIGINT, which is then raised again."""
    config = uvicorn.Config(
        partial(_serve_until_cancelled, app),
        http=partial(Connection, simulator),  # type: ignore[arg-type]
        interface="asgi3",
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        backlog=1024,
    )
    Server(config, on_ready).run([listener])


async def _serve_until_cancelled(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await app(scope, receive, send)
    except asyncio.CancelledError:
        # The server ends, and the client has been cut off already: no reason for uvicorn to log a traceback.
        return
