"""The limits of a request, on a real socket: nothing that a remote does holds a sender for longer than its whole time."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from integrations.errors import TryLater
from passport.client import Config, PassportClient, limited_transport
from passport.tokens import MemoryTokenStore

pytestmark = pytest.mark.enable_socket
TOTAL_S = 0.6
# What a busy machine may add.
SLACK_S = 4.0


@contextlib.contextmanager
def remote(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that reads a request's head and then behaves as the test says; its address."""
    listener = socket.create_server(("127.0.0.1", 0))
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
        listener.close()
        thread.join(5)


def ask(base_url: str) -> float:
    """Ask for a token; it must end with our own error. Return how long it took."""
    config = Config(
        base_url, "me", "secret", "us", connect_timeout_s=TOTAL_S, read_timeout_s=5, total_timeout_s=TOTAL_S
    )
    client = PassportClient(config, tokens=MemoryTokenStore())
    began = time.monotonic()
    try:
        with pytest.raises(TryLater):
            client.check_token()
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


def test_nobody_listening_is_tried_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert ask(f"http://127.0.0.1:{port}") < TOTAL_S + SLACK_S


def test_the_place_where_the_limit_is_put_in_is_still_there() -> None:
    transport = limited_transport()
    assert type(transport._pool._network_backend).__name__ == "LimitedBackend"  # type: ignore[attr-defined]
    transport.close()
