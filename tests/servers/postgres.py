"""PostgreSQL servers, each with a data directory of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from offstreet.runtime import processes
from tests import provision
from tests.servers.process import Server, run_checked, scratch_directory


def unprivileged_user() -> str | None:
    """Return the account that PostgreSQL runs as when the tests run as root, who may not run it; else None."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass
class Postgres(Server):
    """A PostgreSQL server with one database, `offstreet`, that trusts all local connections."""

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
        # These tests are not about a crash of the machine; with these settings, killing the server loses nothing.
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
        # SIGTERM would wait for every client to disconnect; SIGINT disconnects them.
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
