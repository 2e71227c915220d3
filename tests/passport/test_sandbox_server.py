"""The small HTTP parser, and that nothing a client sends brings the sandbox down. No sockets."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passport.sandbox.responses import Carriage, Response
from passport.sandbox.server import BadRequest, Head, Server, read_chunks
from passport.sandbox.simulator import EVENTS_PATH, Simulator
from tests.passport.sandbox_partner import Partner

GET = b"GET /a%20b?x=1&y=%3F HTTP/1.1\r\nHost: h\r\nX-Thing:  a: b \r\n"


def test_a_head_is_read() -> None:
    head = Head(GET.removesuffix(b"\r\n"))
    assert (head.method, head.path, head.query) == ("GET", "/a%20b", "x=1&y=%3F")
    assert head.headers == {"host": "h", "x-thing": "a: b"}
    assert head.keep_alive
    assert head.length == 0


@pytest.mark.parametrize(
    ("first", "header", "keep_alive"),
    [
        (b"GET / HTTP/1.1", b"Connection: close", False),
        (b"GET / HTTP/1.0", b"Host: h", False),
        (b"GET / HTTP/1.0", b"Connection: Keep-Alive", True),
    ],
)
def test_a_connection_is_kept_unless_told_otherwise(first: bytes, header: bytes, keep_alive: bool) -> None:
    assert Head(first + b"\r\n" + header).keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"nonsense", 400),
        (b"GET / HTTP/2", 400),
        (b"GET http://elsewhere/ HTTP/1.1", 400),
        (b"GET / HTTP/1.1\r\nno colon", 400),
        (b"GET / HTTP/1.1\r\n folded: x", 400),
        (b"GET / HTTP/1.1\r\nName : x", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: -1", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 1e3", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: \xb2", 400),
        (b"GET / HTTP/1.1\r\nContent-Length: 99999999999", 413),
    ],
)
def test_a_head_that_is_wrong_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(BadRequest) as caught:
        Head(data)
    assert caught.value.status == status


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_a_bad_request(data: bytes) -> None:
    with suppress(BadRequest):
        assert Head(data).path.startswith("/")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=6), st.integers(min_value=0, max_value=400))
def test_a_body_in_chunks_is_read_once_it_is_complete(parts: list[bytes], cut: int) -> None:
    wire = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: t\r\n\r\n"
    assert read_chunks(bytearray(wire + b"GET /")) == (b"".join(parts), len(wire))
    if cut < len(wire):
        assert read_chunks(bytearray(wire[:cut])) is None


@pytest.mark.parametrize("wire", [b"zz\r\n", b"-1\r\n", b"\r\n", b"fffffffff\r\n", b"1" * 2000])
def test_chunks_that_are_wrong_are_refused(wire: bytes) -> None:
    with pytest.raises(BadRequest):
        read_chunks(bytearray(wire))


# -- one connection, on a transport that only writes down ---------------------------------------------------------


# An event loop wakes itself through a pair of sockets; nothing else here has one.
with_loop = pytest.mark.enable_socket


class _Wire(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.ended = False

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended


class _Echo:
    """Answers with what it got; the path says how the answer travels."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []

    def handle(
        self, method: str, path: str, query: str, headers: dict[str, str], body: bytes, now: datetime
    ) -> Response:
        self.got.append((path, body))
        if path == "/fail":
            raise RuntimeError("broken on purpose")
        if path == "/slow":
            return Response(200, b"slow", action=Carriage(wait_s=0.01))
        if path == "/later":
            self.got.pop()
            return Response(0, action=Carriage(wait_s=0.01, resume=lambda now: self._resumed()))
        return Response(200, body or path.encode(), "text/plain")

    def _resumed(self) -> Response:
        self.got.append(("/later", b"resumed"))
        return Response(200, b"later")


def converse(*pieces: bytes, leave: bool = False) -> tuple[_Wire, _Echo]:
    """Feed `pieces` to one connection, wait for what is under way, and return what came out."""
    wire, handler = _Wire(), _Echo()

    async def talk() -> None:
        connection = Server(handler).connection()
        connection.connection_made(wire)
        for piece in pieces:
            connection.data_received(piece)
        if leave:
            connection.connection_lost(None)
        await asyncio.sleep(0.05)

    asyncio.run(talk())
    return wire, handler


@with_loop
def test_requests_may_arrive_in_any_pieces() -> None:
    wire = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n\r\n"
    for size in (1, 7, len(wire)):
        _, handler = converse(*(wire[at : at + size] for at in range(0, len(wire), size)))
        assert handler.got == [("/a", b"abc"), ("/b", b"")]


@with_loop
def test_answers_keep_the_order_of_their_requests() -> None:
    wire, _ = converse(b"GET /slow HTTP/1.1\r\n\r\nGET /fast HTTP/1.1\r\n\r\n")
    assert wire.sent.index(b"slow") < wire.sent.index(b"/fast")
    assert wire.sent.count(b"HTTP/1.1 200 OK\r\n") == 2


@with_loop
def test_a_request_to_be_processed_late_is_processed_although_its_client_left() -> None:
    wire, handler = converse(b"GET /later HTTP/1.1\r\n\r\n", leave=True)
    assert handler.got == [("/later", b"resumed")]
    assert wire.sent == b""


@with_loop
def test_a_client_that_waits_for_it_is_told_to_go_on() -> None:
    wire, handler = converse(
        b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n", b"o", b"k"
    )
    assert wire.sent.count(b"HTTP/1.1 100 Continue") == 1
    assert handler.got == [("/a", b"ok")]


@with_loop
def test_a_head_without_end_is_refused_and_the_connection_closed() -> None:
    wire, _ = converse(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
    assert wire.sent.startswith(b"HTTP/1.1 431 ")
    assert wire.ended


@with_loop
def test_an_error_of_our_own_is_a_500_and_not_the_end(caplog: pytest.LogCaptureFixture) -> None:
    wire, handler = converse(b"GET /fail HTTP/1.1\r\n\r\nGET /next HTTP/1.1\r\n\r\n")
    assert wire.sent.startswith(b"HTTP/1.1 500 ")
    assert handler.got[-1] == ("/next", b"")
    assert "broken on purpose" in caplog.text


@with_loop
def test_a_head_request_gets_no_body_and_close_is_obeyed() -> None:
    wire, _ = converse(b"HEAD /x HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert wire.sent.endswith(b"Connection: close\r\n\r\n")
    assert b"Content-Length: 2\r\n" in wire.sent
    assert wire.ended


# -- the simulator under fire -------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
_EVENT = Partner().event()
_SPOILED = st.sampled_from(sorted(_EVENT)).flatmap(
    lambda name: _JSON.map(lambda value: {**_EVENT, name: value})
)
_PARTNER = Partner(Simulator()).log_in()


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["parking_session_started", "parking_session_extended", "parking_session_stopped"]),
    events=st.lists(_SPOILED | _JSON, min_size=1, max_size=3),
)
def test_any_events_are_answered_and_a_refusal_changes_nothing(kind: str, events: list[Any]) -> None:
    before = len(_PARTNER.simulator.sessions)
    envelope = {"type": kind, "version": "3.0.0", "data": events}
    response = _PARTNER.call("POST", EVENTS_PATH, document=envelope)
    assert response.status in (202, 400, 404, 409)
    if response.status != 202:
        assert json.loads(response.body)["type"].startswith("io.passportlabs:error:")
        assert len(_PARTNER.simulator.sessions) == before


@settings(max_examples=200, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    path=st.sampled_from(
        [
            "faults",
            "settings",
            "operators",
            "rights",
            "clock",
            "sessions",
            "sessions/x",
            "faults/1",
            "requests",
            "é",
        ]
    ),
    document=_JSON,
)
def test_any_control_request_is_answered(method: str, path: str, document: Any) -> None:
    response = Partner(_PARTNER.simulator).call(method, f"/sandbox/{path}", "limit=3", document)
    assert response.status in (200, 201, 400, 404)


@settings(max_examples=200, deadline=None)
@given(path=st.sampled_from(["/", "/faults"]), body=st.binary(max_size=100))
def test_any_form_is_answered(path: str, body: bytes) -> None:
    assert _PARTNER.call("POST", path, body=body).status in (200, 303, 400)
