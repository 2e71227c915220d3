"""Where the embedded broker listens.

One resolver for everybody (web, workers, commands): `REDIS_URL` if it is set, else a unix socket in `var/`. A socket's
path may have at most 107 characters, so a long one moves to the system's temporary directory under a name made from
the path: two checkouts never share a broker.
"""

import hashlib
import tempfile
from pathlib import Path

MAX_SOCKET_PATH_CHARS = 107


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
