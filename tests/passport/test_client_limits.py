"""The limits of a request, on a real socket: nothing that a server does occupies a sender for longer than the total limit."""

import contextlib
import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpcore
import httpx
import pytest
from django.utils import timezone

from integrations.vendors.errors import TryLater
from passport.client import Config, PassportClient, limited_transport
from passport.http_answer import Answer, answer_error
from passport.tokens import MemoryTokenStore, Token

pytestmark = pytest.mark.enable_socket
TOTAL_S = 0.6
# What a busy machine may add.
SLACK_S = 4.0


@contextlib.contextmanager
def remote(
    behave: Callable[[socket.socket, threading.Event], None], *, receive_buffer: int | None = None
) -> Iterator[str]:
    """A server that reads a request's head and then behaves as the test says; yields its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    if receive_buffer is not None:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                connection.recv(65_536)
                behave(connection, done)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        done.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # or `accept` would keep waiting
        listener.close()
        thread.join(5)


class HasToken(MemoryTokenStore):
    """Needs no request."""

    def get(self, fetch: object) -> Token:
        end = timezone.now() + timedelta(hours=1)
        return Token("t", end, end, 1)


def config(base_url: str, **limits: float) -> Config:
    values = {"connect_timeout_s": TOTAL_S, "read_timeout_s": 5, "total_timeout_s": TOTAL_S, **limits}
    return Config(base_url, "me", "secret", "us", **values)


def ask(base_url: str, *, events: list[dict[str, Any]] | None = None, **limits: float) -> float:
    """Fetch a token, or send events; it must end with one of our own errors. Return how long it took."""
    client = PassportClient(
        config(base_url, **limits), tokens=MemoryTokenStore() if events is None else HasToken()
    )
    began = time.monotonic()
    try:
        with pytest.raises(TryLater):
            client.check_token() if events is None else client.post_events("started", events, trace_id="t")
    finally:
        client.close()
    return time.monotonic() - began


def trickle(connection: socket.socket, done: threading.Event, piece: bytes) -> None:
    while not done.is_set():
        connection.sendall(piece)
        time.sleep(0.02)


def silent(connection: socket.socket, done: threading.Event) -> None:
    done.wait(10)


def endless_headers(connection: socket.socket, done: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    trickle(connection, done, b"X-More: 1\r\n")


def endless_status_line(connection: socket.socket, done: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 ")
    trickle(connection, done, b"O")


def endless_body(connection: socket.socket, done: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    trickle(connection, done, b" ")


def endless_chunks(connection: socket.socket, done: threading.Event) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    trickle(connection, done, b"1\r\n \r\n")


def endless_interim_answers(connection: socket.socket, done: threading.Event) -> None:
    trickle(connection, done, b"HTTP/1.1 102 Processing\r\n\r\n")


@pytest.mark.parametrize(
    "behave",
    [silent, endless_headers, endless_status_line, endless_body, endless_chunks, endless_interim_answers],
    ids=lambda behave: behave.__name__,
)
def test_the_whole_of_a_request_has_a_limit(behave: Callable[[socket.socket, threading.Event], None]) -> None:
    with remote(behave) as base_url:
        assert ask(base_url) < TOTAL_S + SLACK_S


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\x01\x02\x03",
        b"HTTP/9.9 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 300_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "binary", "version", "negative", "short", "gzip", "empty", "long header"],
)
def test_an_answer_that_is_no_answer_is_tried_later(answer: bytes) -> None:
    def behave(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(answer)

    with remote(behave) as base_url:
        assert ask(base_url) < TOTAL_S + SLACK_S


def test_an_answer_that_is_far_too_long_is_not_read_to_its_end() -> None:
    sent = 0

    def behave(connection: socket.socket, done: threading.Event) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not done.is_set():
            connection.sendall(b" " * 65_536)
            sent += 65_536

    with remote(behave) as base_url:
        ask(base_url)
    assert sent < 50_000_000


def test_a_server_that_reads_a_long_request_slowly_holds_no_sender_for_longer() -> None:
    def behave(connection: socket.socket, done: threading.Event) -> None:
        while not done.is_set() and connection.recv(32_768):
            time.sleep(0.005)

    with remote(behave, receive_buffer=65_536) as base_url:
        assert ask(base_url, events=[{"space_number": "x" * 50_000_000}]) < TOTAL_S + SLACK_S


def test_a_tls_handshake_that_never_finishes_holds_no_sender_for_longer() -> None:
    with remote(silent) as base_url:
        assert ask(base_url.replace("http:", "https:"), connect_timeout_s=60) < TOTAL_S + SLACK_S


def test_a_host_with_many_addresses_gets_no_more_time_than_one_with_a_single(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[float] = []

    def unreachable(_: object, host: str, port: int, timeout: float, *rest: object) -> None:
        tried.append(timeout)
        time.sleep(min(timeout, 0.3))
        raise httpcore.ConnectTimeout

    addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(50)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", unreachable)
    assert ask("http://many.test") < TOTAL_S + SLACK_S
    assert len(tried) <= 4
    assert tried == sorted(tried, reverse=True)


@pytest.mark.parametrize("error", [OSError("no such host"), UnicodeError("label too long")])
def test_a_host_without_an_address_is_tried_later(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    assert ask("http://nowhere.test") < TOTAL_S + SLACK_S


def test_a_body_that_ends_when_the_time_is_up_is_our_own_error_too() -> None:
    class Late(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{}"
            time.sleep(0.1)
            yield b" "

    client = PassportClient(
        config("http://late.test", total_timeout_s=0.05),
        tokens=HasToken(),
        transport=httpx.MockTransport(lambda _: httpx.Response(200, stream=Late())),
    )
    with pytest.raises(TryLater):
        client.post_events("started", [{}], trace_id="t")
    client.close()


def test_a_bomb_is_not_unpacked() -> None:
    # 100 MB of blanks in 100 kB: twenty times what an answer may hold, in a single piece.
    bomb = gzip.compress(b" " * 100_000_000)

    def behave(connection: socket.socket, done: threading.Event) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        connection.sendall(head.encode() + bomb)

    with remote(behave) as base_url:
        tracemalloc.start()
        try:
            ask(base_url, total_timeout_s=10)
            _now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 5_000_000


@pytest.mark.parametrize("status", [429, 503])
def test_where_the_status_says_enough_an_encoded_body_does_not_matter(status: int) -> None:
    answer = httpx.Response(
        status, headers={"Content-Encoding": "br", "Retry-After": "7"}, stream=httpx.ByteStream(b"?")
    )
    said = answer_error(answered(answer))
    assert isinstance(said, TryLater)
    assert said.retry_after == timedelta(seconds=7)


def test_no_encoding_is_asked_for_and_no_cookie_is_kept() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, headers={"Set-Cookie": f"c{len(seen)}={'x' * 1000}; Max-Age=999999"})

    client = PassportClient(
        config("http://passport.test"), tokens=HasToken(), transport=httpx.MockTransport(answer)
    )
    for _ in range(3):
        client.post_events("started", [{}], trace_id="t")
    assert [request.headers["accept-encoding"] for request in seen] == ["identity"] * 3
    assert all("cookie" not in request.headers for request in seen)
    assert len(client._http.cookies.jar) == 0
    client.close()


def answered(response: httpx.Response) -> Answer:
    """What the client returns for an answer to events."""
    client = PassportClient(
        config("http://passport.test"), tokens=HasToken(), transport=httpx.MockTransport(lambda _: response)
    )
    try:
        return client.post_events("started", [{}], trace_id="t")
    finally:
        client.close()


def test_an_idle_connection_is_kept_alive_on_the_wire() -> None:
    def behave(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 202 OK\r\nContent-Length: 0\r\n\r\n")
        done.wait(10)

    with remote(behave) as base_url:
        client = PassportClient(config(base_url, total_timeout_s=10), tokens=HasToken())
        client.post_events("started", [{}], trace_id="t")
        [connection] = client._http._transport._pool.connections  # type: ignore[attr-defined]
        stream = connection._connection._network_stream
        assert stream.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        client.close()


def test_a_host_on_which_nothing_listens_is_tried_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}") < TOTAL_S + SLACK_S


def test_the_place_where_the_limit_is_put_in_is_still_there() -> None:
    transport = limited_transport()
    assert type(transport._pool._network_backend).__name__ == "LimitedBackend"  # type: ignore[attr-defined]
    transport.close()
