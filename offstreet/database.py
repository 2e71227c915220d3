"""How this product connects to PostgreSQL: whatever goes wrong there ends in an error, after a time that is known.

A database can be gone without saying so: its machine is switched off, a firewall forgets a connection, a failover leaves it
half open. A statement then waits for ever, and with it whoever made it: a page, or the engine of a worker.

| what happens | noticed by | after |
|---|---|---|
| a statement takes too long | the server (`statement_timeout`) | `DATABASE_STATEMENT_TIMEOUT_S` |
| it waits for a row that another transaction holds | the server (`lock_timeout`) | `LOCK_TIMEOUT_S` |
| a transaction is left open by a process that is frozen | the server (`idle_in_transaction_session_timeout`) | 15 s |
| the server's machine no longer answers on the network | the kernel (TCP keep-alive, `tcp_user_timeout`) | about 20 s |
| something on the way takes what is sent, and nothing comes back | `Connection` here | `GRACE_S` after the first |
| the same, of a connection that lay in the pool | `Connection` here | `CHECK_S` |

Each is an `OperationalError`: a page says so and is tried again (`offstreet.errors`), the engine forgets what it had lined
up and goes on with a new connection, a periodic task waits for its next round.

Commands (`manage.py`) have no deadline: a migration takes as long as it takes, and whoever runs it can end it.
"""

import time
from typing import Any, ClassVar

import psycopg
from psycopg import errors

# As long as SQLite waits for its one writer, and less than the 15 s that a page waits for an answer.
LOCK_TIMEOUT_S = 12
# How much longer than the server's own limit an answer is waited for: the server says what was wrong, if it can.
GRACE_S = 5.0
# How long a connection from the pool may take to say that it still works.
CHECK_S = 5.0
# psycopg's pool waits ever longer between its attempts to connect: after an outage of four minutes, up to four more. So an
# attempt is given up soon, and whoever asks for a connection next begins another at once.
RECONNECT_S = 3.0
GET_CONNECTION_S = 10
# A server that does not answer for 10 s is asked twice, 5 s apart; what was sent must be acknowledged within 15 s.
KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}


class Connection(psycopg.Connection[Any]):
    """A connection that is closed, with an `OperationalError`, when the server does not answer in time.

    When one was given up, none of the process that is older is trusted any more: the pool would otherwise try each of them
    in turn, and a thread would wait for each.
    """

    # How long an answer is waited for; None: for ever.
    longest_s: ClassVar[float | None] = None
    # What was opened before then (monotonic seconds) is closed instead of being handed out once more.
    distrusted_before: ClassVar[float] = 0.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._opened_at = time.monotonic()
        self._limit_s = self.longest_s

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a statement; an empty one is what the pool asks before it hands the connection out."""
        if query != "" or self.longest_s is None:
            return super().execute(query, *args, **kwargs)
        if self._opened_at < Connection.distrusted_before:
            self.pgconn.finish()
            raise errors.OperationalError("another connection to this server was given up since")
        self._limit_s = min(CHECK_S, self.longest_s)
        try:
            return super().execute(query, *args, **kwargs)
        finally:
            self._limit_s = self.longest_s

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server as psycopg does, and no longer than the limit."""
        limit_s = self._limit_s if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=limit_s)
        except errors._WaitTimeout as error:
            if timeout is not None:
                raise
            # Not `close`: nothing can be said to a server that does not answer.
            self.pgconn.finish()
            Connection.distrusted_before = time.monotonic()
            raise errors.OperationalError(f"the server did not answer within {limit_s:.0f} s") from error


def connection_class(longest_s: float) -> type[Connection]:
    """Return the class of connections on which an answer is waited for so long at most; 0: for ever."""
    return type("Connection", (Connection,), {"longest_s": longest_s or None})


def postgresql_options(*, pool_size: int, statement_timeout_s: float) -> dict[str, Any]:
    """Return the `OPTIONS` of Django's database; without a `statement_timeout_s` (0) no statement has a deadline."""
    # Pages and claims take milliseconds; compiling a plan that looks dear takes a hundred (see `make bench-pages`).
    # A process that is frozen in the middle of a transaction must not hold its rows against everybody's saves.
    server = {"jit": "off", "idle_in_transaction_session_timeout": "15s"}
    if statement_timeout_s:
        server["statement_timeout"] = f"{statement_timeout_s * 1000:.0f}ms"
        server["lock_timeout"] = f"{min(LOCK_TIMEOUT_S, statement_timeout_s) * 1000:.0f}ms"
    longest_s = statement_timeout_s and statement_timeout_s + GRACE_S
    return {
        "pool": {
            "min_size": 0,
            "max_size": pool_size,
            "timeout": GET_CONNECTION_S,
            "reconnect_timeout": RECONNECT_S,
            "connection_class": connection_class(longest_s),
        },
        "connect_timeout": 5,
        "application_name": "offstreet",
        "options": " ".join(f"-c {name}={value}" for name, value in server.items()),
        **KEEPALIVE,
    }
