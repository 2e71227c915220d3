"""Programs that tests of `offstreet.runtime` start, stop and kill; `command(stubborn)` is the command line for one.

None imports anything large, since the tests wait for them.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NoReturn

from offstreet.runtime import processes
from offstreet.runtime.manager import Ending, Manager

SLEEP = ["sleep", "60"]


def greet_and_fail() -> NoReturn:
    """Print something and end with status 3, without cleaning up."""
    print("hello", flush=True)
    os._exit(3)


def say_two_lines() -> None:
    """Print two lines and end with status 0."""
    print("one")
    print("two")


def stubborn() -> None:
    """Start a grandchild, print its id, and ignore requests to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with subprocess.Popen(SLEEP) as child:
        print(child.pid, flush=True)
        time.sleep(60)


def polite() -> None:
    """Print a line when it is up, and end with status 7 when it is asked to."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    print("up", flush=True)
    signal.pause()


def parent() -> None:
    """Start a child by `spawn`, print its id, and wait for a line."""
    child = processes.spawn(SLEEP)
    print(child.pid, flush=True)
    input()


def orphan() -> None:
    """Ask to die with a parent that is not its own; it should not reach its last line."""
    processes.die_with_parent(1)
    print("still here")


def manager() -> None:
    """Keep three children running as the demo does; print its own id and theirs."""
    processes.die_with_parent(os.getppid(), signum=signal.SIGTERM)
    looks_after = Manager(environment=dict(os.environ))
    signal.signal(signal.SIGTERM, looks_after.ask_to_end)
    children = [looks_after.start(name, SLEEP).process for name in ("broker", "worker", "web")]
    print(os.getpid(), *(child.pid for child in children if child is not None), flush=True)
    try:
        looks_after.watch()
    except Ending:
        pass
    finally:
        looks_after.end()


def starter() -> None:
    """Start the manager and wait for it, as a shell does."""
    subprocess.run(command(manager), check=False)


PROGRAMS: list[Callable[[], None]] = [
    greet_and_fail, say_two_lines, stubborn, polite, parent, orphan, manager, starter,
]  # fmt: skip


def command(program: Callable[[], None]) -> list[str]:
    """Return the command line of one of these programs; it runs in the project's directory, or has it as `PYTHONPATH`."""
    return [sys.executable, "-m", "tests.offstreet.children", program.__name__]


if __name__ == "__main__":
    next(program for program in PROGRAMS if program.__name__ == sys.argv[1])()
