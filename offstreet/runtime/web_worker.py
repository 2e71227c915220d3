"""gunicorn's thread worker, with a thread of its own for `/healthz`.

A database that is locked, or a lock that many wait for, can hold every thread that serves pages for seconds. A health check
that queued behind them would say that the process is dead, and restarting it would lose the very requests that wait. So the
first bytes of a request are looked at before it is given to a thread, and a health check goes past the queue.

A new connection that has sent nothing yet waits in the poller, as gunicorn itself keeps one that stays silent: nobody can
tell yet what it asks for, and it should hold no thread either. Behind TLS of gunicorn's own nothing can be read ahead, and
all is as gunicorn does it.
"""

import selectors
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

HEALTH_CHECKS = (b"GET /healthz ", b"HEAD /healthz ")
_LONGEST = max(map(len, HEALTH_CHECKS))


def arrived(sock: socket.socket) -> bytes | None:
    """Return the first bytes that have arrived and leave them to be read; None where nothing has, b"" at the end."""
    try:
        return sock.recv(_LONGEST, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


class WebWorker(ThreadWorker):  # type: ignore[misc]
    """See the module's docstring."""

    def init_process(self) -> None:
        """Make the thread for health checks, and serve."""
        self.health_pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")
        super().init_process()

    def enqueue_req(self, conn: Any) -> None:
        """Give a connection to a thread: a health check to its own, anything else to the others'. Main thread."""
        if self.cfg.is_ssl:
            super().enqueue_req(conn)
            return
        try:
            first = arrived(conn.sock)
        except OSError:
            first = b""  # the client is gone: gunicorn finds out and closes it
        if first is None and not conn.initialized:
            conn.timeout = time.monotonic() + self.cfg.keepalive
            self.pending_conns.append(conn)
            self.poller.register(
                conn.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, conn)
            )
        elif first is not None and first.startswith(HEALTH_CHECKS):
            done = self.health_pool.submit(self.handle, conn)
            done.add_done_callback(lambda future: self.method_queue.defer(self.finish_request, conn, future))
        else:
            super().enqueue_req(conn)
