"""Starts processes that save (`benchmarks.saving`) and collects their results."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import usual
from benchmarks.stage import Stage
from offstreet.runtime import commands


@dataclass
class Savers:
    """Processes that are ready to save."""

    processes: list["subprocess.Popen[str]"]

    def go(self) -> None:
        """Let all of them begin."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def results(self) -> list[dict[str, Any]]:
        """Wait until all have saved, and return what each reports."""
        found = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("a process that saves has failed")
            found.append(json.loads(line))
        return found


@contextlib.contextmanager
def savers(
    stage: Stage, *, way: str, count: int, processes: int = 1, per_second: float = 0, spread: bool = False
) -> Iterator[Savers]:
    """Start processes that save `count` permits each, and wait until they are ready."""
    env = usual.environment(stage) if way == "usual" else stage.env
    made = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.saving", "--way", way, "--count", str(count)),
                *("--prefix", f"S{number}", "--per-second", str(per_second)),
                *(["--spread"] if spread else []),
            ],
            env=env,
            cwd=commands.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(processes)
    ]
    try:
        for process in made:
            assert process.stdout is not None
            process.stdout.readline()
        yield Savers(made)
    finally:
        for process in made:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
