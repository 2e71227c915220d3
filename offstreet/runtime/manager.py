"""Keeps processes running: starts them, shows their output with their names, restarts and ends them.

Invariant: nothing survives the manager, not even after its kill -9 (`offstreet.runtime.processes`).
"""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from offstreet.runtime import private, processes
from offstreet.runtime.commands import ROOT

READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
TICK_S = 0.1
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
# A child that has lived this long is healthy again: its next restart is quick.
SETTLED_S = 60.0
NAME_WIDTH = 7


class Ending(Exception):
    """Somebody asked the manager to end."""


@dataclass
class Child:
    """One process that is kept running, and how it is doing."""

    name: str
    command: Sequence[str]
    umask: int = private.UMASK
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float | None = None

    def backoff_s(self) -> float:
        """Return the pause before the next start, after `failures` ends in a row."""
        return min(BACKOFF_FIRST_S * 2.0 ** max(self.failures - 1, 0), BACKOFF_MAX_S)


def how_it_ended(returncode: int) -> str:
    """Return an exit status in words."""
    if returncode >= 0:
        return f"with status {returncode}"
    try:
        return f"by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"by signal {-returncode}"


@dataclass
class Manager:
    """Starts children, shows their output with their names, restarts them, and ends them."""

    environment: Mapping[str, str]
    children: list[Child] = field(default_factory=list)
    asked_to_end: bool = False
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _rests: dict[int, bytes] = field(default_factory=dict)

    def say(self, text: str, *, name: str = "demo") -> None:
        """Print one line under a child's name; a terminal or pipe that has gone away stops nothing."""
        try:
            print(f"{name:<{NAME_WIDTH}} │ {text}", flush=True)
        except OSError:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - stays open for the rest of this process

    def ask_to_end(self, _signum: int, _frame: object) -> None:
        """Take note of a signal; the next `pump` acts on it."""
        self.asked_to_end = True

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a child that is to be kept running."""
        child = Child(name=name, command=command)
        self.children.append(child)
        self._launch(child)
        return child

    def run(self, name: str, command: Sequence[str], *, umask: int = private.UMASK) -> bool:
        """Run a command to its end, showing its output; return whether it succeeded."""
        child = Child(name=name, command=command, umask=umask)
        self._launch(child)
        process = child.process
        assert process is not None
        try:
            while process.poll() is None:
                self.pump()
        finally:
            processes.stop(process, timeout_s=1)
        self.pump(timeout_s=0)
        return process.returncode == 0

    def wait_ready(self, child: Child, ready: Callable[[], bool]) -> bool:
        """Wait until `ready`; return False if the child ended first or took too long."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not ready():
            process = child.process
            if process is None or process.poll() is not None or time.monotonic() > deadline:
                self.pump(timeout_s=0)
                return False
            self.pump(timeout_s=0.03)
        return True

    def pump(self, *, timeout_s: float = TICK_S) -> None:
        """Show what children have written within `timeout_s` seconds. Raises `Ending` if that was asked for."""
        for key, _events in self._selector.select(timeout_s):
            data = os.read(key.fd, 65536)
            lines = (self._rests.pop(key.fd, b"") + data).split(b"\n")
            if data:
                self._rests[key.fd] = lines.pop()
            else:
                self._selector.unregister(key.fileobj)
                os.close(key.fd)
            for line in lines:
                if line.strip():
                    self.say(line.decode(errors="replace").rstrip(), name=key.data)
        if self.asked_to_end:
            raise Ending

    def watch(self) -> None:
        """Keep all children running until somebody asks to end. Raises `Ending`."""
        while True:
            self.pump()
            now = time.monotonic()
            for child in self.children:
                self._look_after(child, now)

    def end(self) -> None:
        """End all children: last started first, asked politely at first; a second signal kills at once."""
        self.asked_to_end = False
        deadline = time.monotonic() + STOP_TIMEOUT_S
        # Web and worker use the broker to the last, so it goes last; those that share a turn end side by side.
        waiting = [child for child in reversed(self.children) if child.process is not None]
        for group in (
            [child for child in waiting if child.name in ("web", "worker")],
            [child for child in waiting if child.name not in ("web", "worker")],
        ):
            alive = [child.process for child in group if child.process is not None]
            for process in alive:
                if process.poll() is None:
                    process.terminate()
            while any(process.poll() is None for process in alive) and time.monotonic() < deadline:
                with contextlib.suppress(Ending):
                    self.pump(timeout_s=0.05)
                if self.asked_to_end:
                    break
            for process in alive:
                processes.stop(process, timeout_s=0)
        with contextlib.suppress(Ending):
            self.pump(timeout_s=0)

    def _launch(self, child: Child) -> None:
        reader, writer = os.pipe()
        try:
            with os.fdopen(writer, "wb") as output:
                child.process = processes.spawn(
                    child.command, env=self.environment, cwd=ROOT, output=output, umask=child.umask
                )
        except OSError:
            os.close(reader)
            raise
        os.set_blocking(reader, False)
        self._selector.register(reader, selectors.EVENT_READ, child.name)
        child.started_at = time.monotonic()
        child.restart_at = None

    def _look_after(self, child: Child, now: float) -> None:
        if child.restart_at is not None:
            if now >= child.restart_at:
                self._launch(child)
            return
        process = child.process
        if process is None or process.poll() is None:
            return
        processes.stop(process, timeout_s=0)
        child.failures = 1 if now - child.started_at > SETTLED_S else child.failures + 1
        pause = child.backoff_s()
        child.restart_at = now + pause
        self.say(f"{child.name} ended {how_it_ended(process.returncode)}; starting it again in {pause:g} s")
