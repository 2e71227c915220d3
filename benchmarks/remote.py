"""A very cheap stand-in for Passport: takes tokens and events, waits as long as it is told, counts. Its own process.

The same for all contestants. It does no more than a benchmark needs, so that it takes as little of the two cores as
it can: no checking, no sessions (the sandbox does that). One process, one thread, asyncio's plain protocols.

    POST /v3/shared/access-tokens    a token for a day
    POST /v3/shared/events           202 after the latency
    GET  anything below /v3, /v4     an empty list
    POST /bench/begin                {"latency_ms": 50, "record": true, "dead": [operator ids]}: forget everything, begin to
                                     count; events of the dead are never answered
    GET  /bench/state                {"events", "requests", "first_at", "last_at", "cpu_s"}; times in Unix seconds
    GET  /bench/arrivals             {plate: Unix seconds of its first arrival}, where `record` was asked for
"""

import argparse
import asyncio
import json
import re
import time
from typing import Any

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_PLATE = re.compile(rb'"vehicle_plate": ?"([^"]+)"')
_OPERATOR = re.compile(rb'"operator_id": ?"([^"]+)"')
_ACCEPTED = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"


class State:
    """What was counted since the last `begin`."""

    def __init__(self) -> None:
        self.begin(latency_s=0.0, record=False, dead=[])

    def begin(self, *, latency_s: float, record: bool, dead: list[str]) -> None:
        self.latency_s = latency_s
        self.record = record
        self.dead = {operator_id.encode() for operator_id in dead}
        self.events = self.requests = 0
        self.first_at = self.last_at = 0.0
        self.arrivals: dict[str, float] = {}

    def take(self, body: bytes) -> None:
        now = time.time()
        self.first_at = self.first_at or now
        self.last_at = now
        self.requests += 1
        self.events += body.count(b'"occurred_at"')
        if self.record:
            for plate in _PLATE.findall(body):
                self.arrivals.setdefault(plate.decode(), now)


class Remote(asyncio.Protocol):
    """One connection: requests come one after the other, as HTTP/1.1 clients send them."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            found = _LENGTH.search(self.buffer, 0, end + 2)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self.buffer) < whole:
                return
            head, body, self.buffer = self.buffer[:end], self.buffer[end + 4 : whole], self.buffer[whole:]
            method, path, _rest = head.split(b" ", 2)
            self.answer(method.decode(), path.decode(), body)

    def answer(self, method: str, path: str, body: bytes) -> None:
        state = self.state
        if path.startswith("/v3/shared/events"):
            if state.dead and (found := _OPERATOR.search(body)) and found[1] in state.dead:
                return
            state.take(body)
            if state.latency_s:
                asyncio.get_running_loop().call_later(state.latency_s, self.write, _ACCEPTED)
            else:
                self.write(_ACCEPTED)
        elif path.startswith("/v3/shared/access-tokens"):
            self.write_json({"access_token": "bench", "token_type": "Bearer", "expires_in": 86400})
        elif path == "/bench/begin":
            asked = json.loads(body or b"{}")
            state.begin(
                latency_s=asked.get("latency_ms", 0) / 1000,
                record=bool(asked.get("record")),
                dead=asked.get("dead", []),
            )
            self.write_json({})
        elif path == "/bench/state":
            names = ("events", "requests", "first_at", "last_at")
            self.write_json({name: getattr(state, name) for name in names} | {"cpu_s": time.process_time()})
        elif path == "/bench/arrivals":
            self.write_json(state.arrivals)
        else:
            self.write_json({"data": []})

    def write_json(self, document: Any) -> None:
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.write(head.encode() + body)

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)


async def serve(port: int) -> None:
    """Answer on the loopback until the process is ended."""
    state = State()
    server = await asyncio.get_running_loop().create_server(lambda: Remote(state), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A cheap stand-in for Passport.")
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
