"""Limits of a request on its socket: no server can hold a sender for longer than the request's total time-out.

httpx only limits each connect, read and write separately, so an answer that trickles in at a byte a second would hold a
sender forever. Here, every step on a connection gets only the time that is left: each address that is tried, the TLS
handshake, each read, each slice that is written.

The one exception is resolving the host's name, which can't be interrupted and which the system's resolver limits itself
(commonly 5 s for each server and attempt, see resolv.conf). Its time counts: the steps after it have only what is left.

TCP keep-alive is on, so that a connection that a router on the way has forgotten is noticed.
"""

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore

# What is written under one limit: about as much as a socket takes at once.
SLICE_BYTES = 16_384
# Not every system has all of them.
_KEEPALIVE = (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2))
SOCKET_OPTIONS = [
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _KEEPALIVE
        if hasattr(socket, name)
    ),
]


class Deadline(threading.local):
    """The moment at which the request of this thread ends, whatever it is doing (monotonic seconds)."""

    at: float | None = None

    def cap(self, timeout: float | None) -> float | None:
        """Return the time that a step may take; raise `httpcore.ReadTimeout` if none is left."""
        if self.at is None:
            return timeout
        left = self.at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the request's whole time is up")
        return left if timeout is None else min(timeout, left)


_deadline = Deadline()


@contextmanager
def whole_time(seconds: float) -> Iterator[Deadline]:
    """Limit the total time of what this thread requests within the block."""
    _deadline.at = time.monotonic() + seconds
    try:
        yield _deadline
    finally:
        _deadline.at = None


class _LimitedStream(httpcore.NetworkStream):
    """A connection on which no step outlives the request's total time-out."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _deadline.cap(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), SLICE_BYTES):
            self._stream.write(buffer[begin : begin + SLICE_BYTES], _deadline.cap(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _LimitedStream(self._stream.start_tls(ssl_context, server_hostname, _deadline.cap(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class LimitedBackend(httpcore.NetworkBackend):
    """Opens connections whose streams keep to the request's total time-out."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        # Each address gets what is left: the backend would give each of them the whole of it.
        for address in _addresses(host, port):
            try:
                stream = self._backend.connect_tcp(
                    address, port, _deadline.cap(timeout), local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _LimitedStream(stream)
        raise failure


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(str(error)) from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
