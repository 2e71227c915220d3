"""What every measurement needs: PostgreSQL, Redis and the remote, started and ended here, on free ports.

Servers come from `tests.servers`. PostgreSQL runs with `fsync` off for every contestant: that saves the usual way two
syncs for each permit, and ours a few dozen in total, so the usual way gains most.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from offstreet.runtime import commands, processes
from tests import servers

TEMPLATE = "template_bench"


@dataclass
class Stage:
    """The servers, and a database to measure on."""

    home: Path
    postgres: servers.Postgres
    redis: servers.Redis
    remote: servers.Server
    remote_url: str
    database: str = ""
    _made: int = 0
    _workers: int = 0
    _http: http.client.HTTPConnection | None = None

    # -- database ----------------------------------------------------------------------------------------------

    def url(self, database: str) -> str:
        """Return a database's address."""
        return f"postgres://offstreet@127.0.0.1:{self.postgres.port}/{database}"

    @property
    def env(self) -> dict[str, str]:
        """The variables of the product's processes."""
        return {
            **servers.product_environment(self.home),
            "DATABASE_URL": self.url(self.database),
            "REDIS_URL": self.redis.url,
            "PASSPORT_BASE_URL": self.remote_url,
            "LOG_LEVEL": "WARNING",
        }

    def new_database(self, *seed: str) -> str:
        """Make a database from the migrated template, fill it with `benchmarks.seed`, and turn to it."""
        self.copy_database(TEMPLATE)
        if seed:
            self.run("benchmarks.seed", *seed)
        return self.database

    def copy_database(self, source: str) -> str:
        """Make a copy of a database and turn to it."""
        self._made += 1
        self.database = f"bench_{self._made}"
        self.admin(f"CREATE DATABASE {self.database} TEMPLATE {source} STRATEGY FILE_COPY")
        return self.database

    def drop_database(self) -> None:
        """Drop the measured database."""
        self.admin(f"DROP DATABASE {self.database} WITH (FORCE)")

    def admin(self, statement: str) -> None:
        """Run one statement outside of any measured database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement on the measured database and return its rows."""
        with psycopg.connect(self.url(self.database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def run(self, module: str, *arguments: str, timeout_s: float = 900) -> str:
        """Run a module as a process with the product's settings, and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=self.env,
            cwd=commands.ROOT,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module} ended with status {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    # -- remote ------------------------------------------------------------------------------------------------

    def begin(self, *, latency_ms: int = 0, record: bool = False, dead: Sequence[str] = ()) -> None:
        """Let the remote forget everything, answer with this latency, and never answer the dead (operator ids)."""
        self._call("begin", {"latency_ms": latency_ms, "record": record, "dead": list(dead)})

    def state(self) -> dict[str, float]:
        """Return what the remote has counted."""
        state: dict[str, float] = self._call("state")
        return state

    def arrivals(self) -> dict[str, float]:
        """Return when each plate arrived first, in Unix seconds."""
        arrivals: dict[str, float] = self._call("arrivals")
        return arrivals

    def wait_for_events(self, count: int, *, timeout_s: float) -> None:
        """Wait until the remote has taken so many events."""
        until(lambda: self.state()["events"] >= count, timeout_s=timeout_s, what=f"{count} events")

    def wait_until_none(self, rows: str, *, timeout_s: float) -> None:
        """Wait until a query on the measured database finds no row; polling must cost next to nothing."""
        with psycopg.connect(self.url(self.database), autocommit=True) as connection:

            def is_none() -> bool:
                return connection.execute(f"{rows} LIMIT 1".encode()).fetchone() is None

            until(is_none, timeout_s=timeout_s, what=f"none of: {rows}")

    def _call(self, name: str, document: Any = None) -> Any:
        # One connection for all: the waiting must cost next to nothing.
        if self._http is None:
            self._http = http.client.HTTPConnection(self.remote_url.removeprefix("http://"), timeout=60)
        body = None if document is None else json.dumps(document)
        self._http.request("GET" if body is None else "POST", f"/bench/{name}", body=body)
        return json.load(self._http.getresponse())

    # -- workers -----------------------------------------------------------------------------------------------

    def new_name(self) -> str:
        """Return a name for one more process."""
        self._workers += 1
        return f"worker{self._workers}"


def until(done: Callable[[], bool], *, timeout_s: float, every_s: float = 0.01, what: str) -> None:
    """Wait until something is done; fail after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {timeout_s:g} s for {what}")
        time.sleep(every_s)


@contextlib.contextmanager
def running_stage() -> Iterator[Stage]:
    """Start the servers, migrate a template database, and end everything afterwards."""
    with servers.scratch_directory() as home:
        postgres = servers.make_postgres(home)
        redis = servers.make_redis(home, embedded=False)
        port = processes.free_port()
        remote = servers.Server(
            name="remote",
            command=[sys.executable, "-m", "benchmarks.remote", "--port", str(port)],
            log_path=home / "remote.log",
            ready=lambda: processes.answers_http(f"http://127.0.0.1:{port}/bench/state"),
        )
        stage = Stage(home, postgres, redis, remote, f"http://127.0.0.1:{port}")
        started: list[servers.Server] = []
        try:
            for server in (postgres, redis, remote):
                started.append(server)
                server.start()
            stage.admin(f"CREATE DATABASE {TEMPLATE}")
            stage.database = TEMPLATE
            servers.run_checked(commands.manage_command("migrate", "--verbosity", "0"), env=stage.env)
            yield stage
        finally:
            for server in reversed(started):
                server.stop()
