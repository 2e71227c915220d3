"""A proxy on which everything can vanish silently, as when a firewall forgets a connection or a machine is gone.

Nothing is closed and nothing is refused: what is sent is accepted, and no answer ever comes. TCP itself notices nothing,
since this end acknowledges each byte.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator


class BlackHole:
    """Forwards connections to a port of this machine, until it is told to swallow them."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._swallowed: list[threading.Event] = []
        self._sockets: list[socket.socket] = []
        self._swallows_new = False
        self._done = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def swallow(self, *, new_ones: bool = False) -> None:
        """Let nothing more through on the open connections, nor (`new_ones`) on those that will be opened."""
        self._swallows_new = new_ones
        for swallowed in self._swallowed:
            swallowed.set()

    def let_through(self) -> None:
        """Forward connections that are opened from now on; the swallowed ones stay silent."""
        self._swallows_new = False

    def close(self) -> None:
        """Close everything."""
        self._done.set()
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                client, _address = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:
                continue
            swallowed = threading.Event()
            if self._swallows_new:
                swallowed.set()
            self._swallowed.append(swallowed)
            self._sockets += [client, server]
            for source, target in ((client, server), (server, client)):
                threading.Thread(target=self._pump, args=(source, target, swallowed), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, swallowed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if not swallowed.is_set():
                    target.sendall(data)
            # The end of a connection is as silent as everything else.
            if not swallowed.is_set():
                target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def black_hole(to_port: int) -> Iterator[BlackHole]:
    """Yield a proxy to a port; it works at first."""
    hole = BlackHole(to_port)
    try:
        yield hole
    finally:
        hole.close()
