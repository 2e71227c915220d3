"""A process that a test may start, stop, kill and freeze, and what all servers share: directories, commands, waiting."""

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from offstreet.runtime import processes
from offstreet.runtime.commands import ROOT

READY_TIMEOUT_S = 60.0
MANAGE_TIMEOUT_S = 300.0
LOG_TAIL_CHARS = 4000

T = TypeVar("T")


class ServerFailed(AssertionError):
    """A server did not start, or a command failed; the message ends with the last lines that it wrote."""


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
    """A process that a test may start, stop, kill and freeze."""

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
        """Start it and, by default, wait until it is ready. Raises `ServerFailed`."""
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
        """Freeze it: connections stay open and nothing answers."""
        processes.signal_group(self._running(), signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen one continue; no error if it isn't frozen or not running."""
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
        # For another account the project's directory may not be readable.
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
