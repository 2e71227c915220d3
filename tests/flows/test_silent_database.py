"""A database connection that dies silently, on PostgreSQL: it is noticed in time, and work continues on a new one."""

import contextlib
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import psycopg
import pytest
from psycopg_pool import ConnectionPool, PoolTimeout

from offstreet import database
from offstreet.runtime.healthcheck import HEARTBEAT_MAX_AGE_S, worker_fault
from tests.flows.test_spine import add, prepare
from tests.servers import POSTGRES, Stack, eventually, postgres_server, running_stack
from tests.servers.black_hole import BlackHole, black_hole

# How long a statement may take here, and how long to wait for an answer; both are longer in production.
STATEMENT_S = 3
LONGEST_S = STATEMENT_S + database.GRACE_S
# What was claimed over the dead connection is free again after its lease, plus what a busy machine may add.
LEASE_S, SLACK_S = 12, 15


@contextlib.contextmanager
def behind_a_black_hole() -> Iterator[tuple[Stack, BlackHole]]:
    """A product whose worker and web server reach their database through a proxy that can swallow everything."""
    with running_stack(POSTGRES, workers=0, web=False) as stack:
        assert stack.database is not None
        prepare(stack)
        with black_hole(stack.database.port) as hole:
            env = {
                "DATABASE_URL": f"postgres://offstreet@127.0.0.1:{hole.port}/offstreet",
                "DATABASE_STATEMENT_TIMEOUT_S": str(STATEMENT_S),
            }
            stack.add_worker(**env)
            stack.web.env = {**(stack.web.env or {}), **env}
            yield stack, hole


def health(stack: Stack) -> str | None:
    """What the container's health check says of the worker."""
    path = str(stack.home / "worker1.alive")
    return worker_fault({"WORKER_HEARTBEAT_FILE": path}, now_s=time.time())


def arrives(stack: Stack, plate: str) -> bool:
    return bool(stack.sandbox.sessions(plate=plate))


def test_the_engine_recovers_when_its_connections_die_silently_and_is_reported_until_then() -> None:
    with behind_a_black_hole() as (stack, hole):
        add(stack, "BEFORE1")
        eventually(lambda: arrives(stack, "BEFORE1"), what="the first")

        hole.swallow()
        add(stack, "AFTER1")
        eventually(
            lambda: arrives(stack, "AFTER1"), timeout_s=LONGEST_S + LEASE_S + SLACK_S, what="the second"
        )
        eventually(lambda: health(stack) is None, what="the worker to be healthy again")

        hole.swallow(new_ones=True)
        told = eventually(
            lambda: health(stack),
            timeout_s=HEARTBEAT_MAX_AGE_S + 2 * SLACK_S,
            what="the worker to be reported",
        )
        assert told is not None
        assert "it hangs, or its database does not answer" in told
        hole.let_through()
        add(stack, "AFTER2")
        eventually(
            lambda: arrives(stack, "AFTER2"), timeout_s=2 * LONGEST_S + LEASE_S + SLACK_S, what="the third"
        )
        eventually(lambda: health(stack) is None, timeout_s=SLACK_S, what="the worker to be healthy again")
        assert stack.worker.alive


def test_a_page_says_that_the_database_is_silent_and_comes_back() -> None:
    with behind_a_black_hole() as (stack, hole):
        stack.web.start()
        with stack.browse() as client:
            assert client.get("/healthz").status_code == 200
            hole.swallow()
            # Each of its pooled connections is dead, and no page waits for more than one of them.
            answer = client.get("/healthz", timeout=LONGEST_S + SLACK_S)
            assert answer.status_code in (200, 503)
            eventually(lambda: client.get("/healthz", timeout=LONGEST_S + SLACK_S).status_code == 200)


# --- The connection itself ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[int, str]]:
    """The port of a PostgreSQL, and a URL in which another port can be inserted."""
    with postgres_server() as server:
        yield server.port, "postgres://offstreet@127.0.0.1:{port}/offstreet"


def test_a_statement_is_waited_for_so_long_and_the_connection_is_closed(address: tuple[int, str]) -> None:
    port, url = address
    with black_hole(port) as hole:
        connection = database.connection_class(1).connect(url.format(port=hole.port), autocommit=True)
        assert connection.execute("SELECT 1").fetchone() == (1,)
        hole.swallow()
        with pytest.raises(psycopg.OperationalError, match="did not answer within 1 s"):
            connection.execute("SELECT 1")
        assert connection.closed


def test_of_a_pool_that_is_dead_one_connection_is_waited_for_and_no_more(address: tuple[int, str]) -> None:
    port, url = address
    with black_hole(port) as hole:
        options = database.postgresql_options(pool_size=4, statement_timeout_s=30)["pool"]
        with ConnectionPool(
            url.format(port=hole.port),
            kwargs={"autocommit": True},
            check=ConnectionPool.check_connection,
            open=True,
            **options,
        ) as pool:
            held = [pool.getconn() for _ in range(4)]
            assert len({connection.execute("SELECT pg_backend_pid()").fetchone() for connection in held}) == 4
            for connection in held:
                pool.putconn(connection)
            hole.swallow()
            began = time.monotonic()
            with pool.connection(timeout=60) as fresh:
                assert fresh.execute("SELECT 1").fetchone() == (1,)
            # Four in turn would take as long as four checks.
            assert time.monotonic() - began < 3 * database.CHECK_S


def test_the_server_ends_a_statement_at_its_deadline_and_a_wait_for_a_lock_before(
    address: tuple[int, str],
) -> None:
    port, url = address
    options = database.postgresql_options(pool_size=1, statement_timeout_s=1)
    options.pop("pool")
    with psycopg.connect(url.format(port=port), **options) as connection:
        with pytest.raises(psycopg.errors.QueryCanceled), connection.transaction():
            connection.execute("SELECT pg_sleep(20)")
        assert connection.execute("SHOW lock_timeout").fetchone() == ("1s",)


def test_a_command_has_no_deadline() -> None:
    with running_stack(POSTGRES, workers=0, web=False, sandbox=False) as stack:
        shown = stack.manage("diffsettings", DATABASE_STATEMENT_TIMEOUT_S="7").splitlines()
    databases = next(line for line in shown if line.startswith("DATABASES"))
    # `idle_in_transaction_session_timeout` is no deadline of a statement.
    assert "idle_in_transaction" in databases
    assert "statement_timeout" not in databases
    assert "lock_timeout" not in databases


def test_a_server_that_comes_back_is_found_however_long_it_was_away(address: tuple[int, str]) -> None:
    """The pool's own pauses double with each attempt, so that only an outage of minutes would show them."""
    port, url = address
    options = database.postgresql_options(pool_size=1, statement_timeout_s=30)["pool"]
    attempts: list[float] = []

    class Unreachable(database.Connection):
        @classmethod
        def connect(cls, *args: Any, **kwargs: Any) -> Any:
            attempts.append(time.monotonic())
            raise psycopg.OperationalError("away")

    with ConnectionPool(
        url.format(port=port), open=True, **{**options, "connection_class": Unreachable, "timeout": 0.2}
    ) as pool:
        until = time.monotonic() + 4 * database.RECONNECT_S
        while time.monotonic() < until:
            with contextlib.suppress(PoolTimeout):
                pool.getconn()
    pauses = [after - before for before, after in pairwise(attempts)]
    assert len(pauses) > 4
    assert max(pauses) < database.RECONNECT_S
