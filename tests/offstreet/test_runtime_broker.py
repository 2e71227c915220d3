"""The embedded broker is found in one place, and keeps its data over a restart."""

import signal
import socket
from pathlib import Path
from unittest.mock import patch

import pytest

from offstreet.runtime import broker, processes


def test_the_socket_lies_beside_the_data() -> None:
    assert broker.embedded_socket(Path("/srv/offstreet/var")) == Path("/srv/offstreet/var/broker.sock")
    assert broker.embedded_url(Path("/srv/offstreet/var")) == "unix:///srv/offstreet/var/broker.sock"


def test_a_path_too_long_for_a_socket_moves_under_a_short_name_of_its_own() -> None:
    first, second = (broker.embedded_socket(Path("/") / (letter * 120) / "var") for letter in "ab")
    assert first != second
    assert len(str(first)) <= broker.MAX_SOCKET_PATH_CHARS
    assert first == broker.embedded_socket(Path("/") / ("a" * 120) / "var")


@pytest.mark.parametrize("name", broker.SERVER_NAMES)
def test_an_installed_server_is_preferred_to_the_wheels(tmp_path: Path, name: str) -> None:
    installed = tmp_path / name
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    assert broker.find_server(path=str(tmp_path)) == installed


def test_without_an_installed_server_the_wheels_is_taken(tmp_path: Path) -> None:
    assert broker.find_server(path=str(tmp_path)) == broker.wheel_server()


def test_without_any_server_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    with (
        patch("platform.machine", return_value="an abacus"),
        pytest.raises(broker.NoBroker, match="install redis-server or valkey-server, or set REDIS_URL"),
    ):
        broker.find_server(path=str(tmp_path))


@pytest.mark.enable_socket
def test_the_embedded_server_loses_nothing_when_it_is_killed(tmp_path: Path) -> None:
    binary = broker.wheel_server()
    assert binary is not None
    path = broker.embedded_socket(tmp_path)
    command = broker.server_command(binary, data_dir=tmp_path, socket_path=path)
    answers = []
    for request in (b"SET hint 1\r\n", b"GET hint\r\n"):
        with (tmp_path / "log").open("ab") as log:
            server = processes.spawn(command, output=log)
        try:
            assert processes.wait_until(lambda: processes.answers_ping(path), timeout_s=10, process=server)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(path))
                connection.sendall(request)
                answers.append(connection.recv(100))
        finally:
            processes.stop(server, timeout_s=0, signum=signal.SIGKILL)
    assert answers == [b"+OK\r\n", b"$1\r\n1\r\n"]
    # Only the owner may connect to it.
    assert path.stat().st_mode & 0o777 == 0o600
