"""Starting, watching and ending child processes, with the standard library alone.

Invariant: no child outlives its parent, however the parent ends. Each child asks the kernel to be killed when its
parent dies (`PR_SET_PDEATHSIG`, Linux) and leads a session of its own, so that whatever it forks is ended with it.
Where the kernel has no such call (macOS), an orderly end still stops all children; a kill -9 of the parent does not.

The kernel ties the death signal to the *thread* that forked: a child started from a thread that ends would die
with that thread. So it is asked for only when the main thread starts the child.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

PR_SET_PDEATHSIG = 1
DEFAULT_STOP_S = 10.0
POLL_S = 0.05
# What `subprocess` takes for “as this process has it”.
OWN_UMASK = -1

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent_pid: int, *, signum: int = signal.SIGKILL) -> None:
    """Have the kernel send `signum` to this process when its parent ends; at once if it is gone already.

    To be called in the child. `parent_pid` closes the gap between the fork and this call.
    """
    if _libc is None:
        return
    _libc.prctl(PR_SET_PDEATHSIG, signum, 0, 0, 0)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signum)


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    output: int | IO[bytes] | None = None,
    user: str | None = None,
    umask: int = OWN_UMASK,
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own, its output and errors going to `output`, and return it.

    `user` runs it as another account, which only root may ask for; `umask` takes rights from the files that it makes.
    Raises `OSError` if it can't be started.
    """
    parent = os.getpid()
    bound = threading.current_thread() is threading.main_thread()
    account: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    return subprocess.Popen(
        list(command),
        env=None if env is None else dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=None if output is None else subprocess.STDOUT,
        start_new_session=True,
        umask=umask,
        preexec_fn=(lambda: die_with_parent(parent)) if bound else None,
        **account,
    )


def signal_group(process: subprocess.Popen[bytes], signum: int) -> None:
    """Send `signum` to a child from `spawn` and to everything in its session; a child that is gone is no error."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signum)


def stop(
    process: subprocess.Popen[bytes], *, timeout_s: float = DEFAULT_STOP_S, signum: int = signal.SIGTERM
) -> None:
    """End a child from `spawn`: ask with `signum`, wait up to `timeout_s` seconds, then kill its whole group."""
    if process.poll() is None:
        process.send_signal(signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=timeout_s)
    signal_group(process, signal.SIGKILL)
    process.wait(timeout=DEFAULT_STOP_S)


def wait_until(
    ready: Callable[[], bool], *, timeout_s: float, process: subprocess.Popen[bytes] | None = None
) -> bool:
    """Poll `ready` until it is true; return False after `timeout_s` seconds or once `process` has ended."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if ready():
            return True
        if process is not None and process.poll() is not None:
            return False
        time.sleep(POLL_S)
    return ready()


def free_port() -> int:
    """Return a TCP port that nothing on the loopback listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Tell whether a server could listen on `port` now (an old connection that is still closing doesn't count)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def answers_http(url: str, *, timeout_s: float = 1.0) -> bool:
    """Tell whether `url` answers at all with something below 500; any proxy of the environment is ignored."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=timeout_s) as response:
            return bool(response.status < 500)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code < 500
    except (OSError, ValueError):
        return False


def answers_ping(socket_path: Path | None = None, *, port: int | None = None, timeout_s: float = 1.0) -> bool:
    """Tell whether a Redis or Valkey server answers PING on a unix socket or a loopback port."""
    family = socket.AF_INET if socket_path is None else socket.AF_UNIX
    address: Any = ("127.0.0.1", port) if socket_path is None else str(socket_path)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(timeout_s)
            connection.connect(address)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False
