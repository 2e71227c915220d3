"""A whole product: database, broker, sandbox, workers and web, on one of two back ends."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import celery
import httpx
import psycopg
from psycopg.rows import dict_row

from offstreet.runtime import commands, processes, static
from offstreet.runtime.commands import ROOT
from tests import run_function
from tests.servers.postgres import Postgres, make_postgres
from tests.servers.process import Server, run_checked, run_command, scratch_directory, session_directory
from tests.servers.redis import Redis, make_redis
from tests.servers.sandbox import Sandbox, make_sandbox

SQLITE, POSTGRES = "sqlite+embedded", "postgres+redis"
BACKENDS = (SQLITE, POSTGRES)
KEPT_LOGS = ROOT / "build" / "logs"

P = ParamSpec("P")
T = TypeVar("T")


def make_worker(home: Path, env: Mapping[str, str], *, name: str = "worker") -> Server:
    """Return a worker, not yet started; it is ready once it listens to the broker."""
    heartbeat = home / f"{name}.alive"
    return Server(
        name=name,
        command=commands.worker_command(name=name),
        log_path=home / f"{name}.log",
        ready=heartbeat.exists,
        env={**env, "WORKER_HEARTBEAT_FILE": str(heartbeat)},
        before_start=lambda: heartbeat.unlink(missing_ok=True),
    )


def make_web(home: Path, env: Mapping[str, str], *, port: int) -> Server:
    """Return a web server, not yet started, on `port`; it collects the static files first if they have changed."""

    def collect() -> None:
        command = commands.manage_command("collectstatic", "--noinput", "--verbosity", "0")
        assert static.collect_if_changed(lambda: bool(run_checked(command, env=env)))

    return Server(
        name="web",
        command=commands.web_command(),
        log_path=home / "web.log",
        ready=lambda: processes.answers_http(f"http://127.0.0.1:{port}/healthz"),
        env={**env, "WEB_BIND": f"127.0.0.1:{port}"},
        before_start=collect,
    )


@dataclass
class Stack:
    """A whole product on one back end; made by `running_stack`."""

    backend: str
    home: Path
    env: dict[str, str]
    broker: Redis
    sandbox: Sandbox
    web: Server
    web_url: str
    database: Postgres | None = None
    workers: list[Server] = field(default_factory=list)

    @property
    def worker(self) -> Server:
        """The first worker."""
        return self.workers[0]

    @property
    def servers(self) -> list[Server]:
        """All parts, in the order in which they are started."""
        first = [self.database] if self.database is not None else []
        return [*first, self.broker, self.sandbox, *self.workers, self.web]

    def add_worker(self, **env: str) -> Server:
        """Start one more worker, with `env` on top of the stack's own variables."""
        server = make_worker(self.home, {**self.env, **env}, name=f"worker{len(self.workers) + 1}")
        self.workers.append(server)
        return server.start()

    def manage(self, *arguments: str, check: bool = True, **env: str) -> str:
        """Run a management command and return what it printed; `env` comes on top of the stack's own variables.

        Raises `ServerFailed` if it exits non-zero; with `check=False`, returns its output and errors together.
        """
        command = commands.manage_command(*arguments)
        if check:
            return run_checked(command, env={**self.env, **env})
        done = self.try_manage(*arguments, **env)
        return done.stdout + done.stderr

    def try_manage(self, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
        """Run a management command and return its exit status, output and errors."""
        return run_command(commands.manage_command(*arguments), env={**self.env, **env})

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a process of its own with the product's settings; return what it returned.

        Arguments and answer travel as JSON; an answer that JSON would change is an error. The process finds the function by
        its module and name, and starts quickly where that module imports neither pytest nor `tests.servers`.
        Raises `ServerFailed` with the traceback if it raises.
        """
        printed = run_checked(run_function.command(function, *args, **kwargs), env=self.env)
        return cast(T, json.loads(printed.splitlines()[-1]))

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Run one SQL statement (`?` for parameters on both back ends) and return its rows; writes are committed."""
        if self.database is None:
            with contextlib.closing(sqlite3.connect(self.home / "db.sqlite3", timeout=20)) as connection:
                connection.row_factory = sqlite3.Row
                rows = [dict(row) for row in connection.execute(sql, parameters)]
                connection.commit()
                return rows
        with psycopg.connect(self.database.url, row_factory=dict_row) as postgres:
            cursor = postgres.execute(sql.replace("?", "%s").encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def ping(self, *, timeout_s: float = 2.0) -> int:
        """Return how many workers answer a ping through the broker within `timeout_s` seconds."""
        address = self.broker.url.replace("unix://", "redis+socket://")
        app = celery.Celery("ping", broker=address, set_as_current=False)
        # A connection of its own: one from the pool may have been opened to a broker that was restarted since.
        with app.connection_for_write(transport_options={"socket_timeout": 5}) as connection:
            return len(app.control.ping(timeout=timeout_s, connection=connection))

    def browse(self) -> httpx.Client:
        """Return an HTTP client for the web pages, not signed in; the caller closes it."""
        return httpx.Client(base_url=self.web_url, follow_redirects=True, timeout=30, trust_env=False)

    def sign_in(self, email: str, password: str) -> httpx.Client:
        """Return an HTTP client that is signed in; the caller closes it."""
        client = self.browse()
        with contextlib.ExitStack() as undo:
            undo.callback(client.close)
            client.get("/accounts/login/").raise_for_status()
            self.post(client, "/accounts/login/", login=email, password=password)
            assert "sessionid" in client.cookies, f"{email} could not sign in"
            undo.pop_all()
        return client

    def post(self, client: httpx.Client, path: str, **fields: Any) -> httpx.Response:
        """Send a form as a browser would, with the token that guards against forged requests."""
        token = client.cookies.get("csrftoken", "")
        return client.post(
            path, data={**fields, "csrfmiddlewaretoken": token}, headers={"Referer": self.web_url}
        )


# Stacks that run now, for the report of a failing test.
RUNNING: list[Stack] = []


@contextlib.contextmanager
def running_stack(
    backend: str,
    *,
    workers: int = 1,
    web: bool = True,
    sandbox: bool = True,
    env: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Run a product on `backend` (one of `BACKENDS`) with a migrated, empty database; end all of it afterwards.

    What isn't needed at first (`workers=0`, `web=False`, `sandbox=False`) can be started later.
    """
    with scratch_directory() as home:
        database = None
        if backend == POSTGRES:
            database = make_postgres(home, data_from=migrated_postgres())
        else:
            shutil.copy(migrated_sqlite(), home / "db.sqlite3")
        stack_broker = make_redis(home, embedded=backend == SQLITE)
        stack_sandbox = make_sandbox(home)
        port = processes.free_port()
        stack_env = {
            **product_environment(home),
            "SITE_URL": f"http://127.0.0.1:{port}",
            "PASSPORT_BASE_URL": stack_sandbox.url,
            "REDIS_URL": stack_broker.url,
            **({"DATABASE_URL": database.url} if database else {}),
            **(env or {}),
        }
        stack = Stack(
            backend=backend,
            home=home,
            env=stack_env,
            database=database,
            broker=stack_broker,
            sandbox=stack_sandbox,
            workers=[make_worker(home, stack_env, name=f"worker{number + 1}") for number in range(workers)],
            web=make_web(home, stack_env, port=port),
            web_url=f"http://127.0.0.1:{port}",
        )
        RUNNING.append(stack)
        wanted = [server for server in stack.servers if server is not stack.web or web]
        wanted = [server for server in wanted if server is not stack.sandbox or sandbox]
        try:
            # The product's parts take seconds to load, so they start side by side, once what they need is there.
            first = [server for server in wanted if server in (database, stack_broker, stack_sandbox)]
            for batch in (first, [server for server in wanted if server not in first]):
                for server in batch:
                    server.start(wait=False)
                for server in batch:
                    server.wait_ready()
            yield stack
        finally:
            for server in reversed(stack.servers):
                server.stop()
            keep_logs(stack)
            RUNNING.remove(stack)


def product_environment(home: Path) -> dict[str, str]:
    """Return the variables that every process of a product under test gets, without the developer's own."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        # `test` reads neither .env nor var/demo.env; everything else is as in development.
        "ENVIRONMENT": "test",
        "VAR_DIR": str(home),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
    }


@cache
def migrated_sqlite() -> Path:
    """Return an SQLite file with the product's empty tables, made once in this process."""
    home = session_directory() / "sqlite"
    home.mkdir()
    run_checked(commands.manage_command("migrate", "--verbosity", "0"), env=product_environment(home))
    with contextlib.closing(sqlite3.connect(home / "db.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return home / "db.sqlite3"


@cache
def migrated_postgres() -> Path:
    """Return a data directory, its server stopped, with the product's empty tables, made once in this process."""
    home = session_directory() / "postgres"
    with migrated_postgres_server(home):
        pass
    return home / "pg"


@contextlib.contextmanager
def migrated_postgres_server(home: Path) -> Iterator[Postgres]:
    """Run a PostgreSQL whose database `offstreet` has the product's empty tables; it keeps its data in `home`."""
    server = make_postgres(home)
    try:
        server.start()
        server.create_database()
        env = {**product_environment(home), "DATABASE_URL": server.url}
        run_checked(commands.manage_command("migrate", "--verbosity", "0"), env=env)
        yield server
    finally:
        server.stop()


def keep_logs(stack: Stack) -> None:
    """Copy a stack's logs to `build/logs`, under the name of the test that ran."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0] or stack.backend
    name = "".join(character if character.isalnum() else "-" for character in test)[-120:]
    target = KEPT_LOGS / name
    target.mkdir(parents=True, exist_ok=True)
    for log in stack.home.glob("*.log"):
        shutil.copy(log, target / log.name)
