"""The processes that edit while a storm lasts (`tests/faults/driver.py`): started, watched, and how they ended."""

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from offstreet.runtime import processes
from tests.servers import Stack

# A driver that hasn't finished this long after the last fault hangs; most of the edits may come after that fault.
DRIVERS_LIMIT_S = 3_600


class StormEnded(AssertionError):
    """A storm could not continue; the message says why, with the ends of the logs."""


@dataclass
class RunningDriver:
    """A driver that runs, and the file that it writes to."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    def tail(self) -> str:
        """Return the end of what it wrote."""
        return self.log.read_text(errors="replace")[-3_000:]

    def how_it_ended(self) -> str:
        """Return how it ended if that was abnormal, else an empty text."""
        status = self.process.poll()
        if not status:
            return ""
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        return f"driver {self.name} ended {how}:\n{self.tail()}"


def start_drivers(
    stack: Stack, *, seed: int, edits: int, drivers: int, pause_ms: float
) -> list[RunningDriver]:
    started = []
    for name in "abcdef"[:drivers]:
        command = [
            sys.executable, "-m", "tests.faults.driver", "--seed", str(seed), "--name", name,
            "--edits", str(edits // drivers), "--pause-ms", f"{pause_ms:.0f}",
        ]  # fmt: skip
        # A file, not a pipe: nothing reads it during the storm, and what a driver logs would fill a pipe.
        output = stack.home / f"driver-{name}.log"
        with output.open("wb") as log:
            started.append(RunningDriver(name, processes.spawn(command, env=stack.env, output=log), output))
    return started


def look_after(drivers: Sequence[RunningDriver], *, idle_s: float) -> None:
    """Raise `StormEnded` if a driver has died, or hangs `idle_s` seconds after the last fault."""
    if died := [how for driver in drivers if (how := driver.how_it_ended())]:
        raise StormEnded("\n".join(died))
    if idle_s > DRIVERS_LIMIT_S and (hanging := [driver for driver in drivers if driver.runs]):
        for driver in hanging:
            processes.signal_group(driver.process, signal.SIGUSR1)
        time.sleep(1)
        raise StormEnded("\n".join(f"driver {driver.name} hangs:\n{driver.tail()}" for driver in hanging))
