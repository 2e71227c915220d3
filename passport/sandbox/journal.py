"""What survives a restart: an append-only file of JSON lines.

Each line is one fact; the last one about each thing counts. A line is written before the response that promises it
leaves, with one ``write``, so ``kill -9`` loses nothing that was promised; a line cut short by a crash of the machine
is dropped when it is read. The file is rewritten to its live facts when it is opened and when it has grown to several
times their number. It is locked: two sandboxes never write to one file. ``simulator`` says what the facts mean.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

_REWRITE_AT_LINES = 100_000
_REWRITE_FACTOR = 4
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_APPEND


class Journal:
    """The file at `path`, created with its folders if it doesn't exist. OSError if another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_fd)
            raise
        self._fd = os.open(path, _FLAGS, 0o600)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._lock_fd)

    def read(self) -> Iterator[Any]:
        """The facts, oldest first."""
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    yield orjson.loads(line)
                except ValueError:
                    continue  # cut short by a crash; nothing after it was promised

    def append(self, facts: Iterable[Any]) -> None:
        """Write facts; OSError, and nothing is written, if they can't be."""
        lines = [orjson.dumps(fact) + b"\n" for fact in facts]
        data = b"".join(lines)
        size_before = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # A full disk must not leave half a line, or the next fact would be appended to it and lost.
            os.ftruncate(self._fd, size_before)
            raise
        self._lines += len(lines)

    def overgrown(self, live: int) -> bool:
        """Whether most lines no longer count, `live` being about how many do."""
        return self._lines > max(_REWRITE_AT_LINES, _REWRITE_FACTOR * live)

    def rewrite(self, facts: Iterable[Any]) -> None:
        """Replace the file by `facts`, atomically."""
        fresh = self.path.with_name(self.path.name + ".new")
        self._lines = 0
        with fresh.open("wb") as file:
            for fact in facts:
                file.write(orjson.dumps(fact) + b"\n")
                self._lines += 1
        fresh.chmod(0o600)
        os.replace(fresh, self.path)
        os.close(self._fd)
        self._fd = os.open(self.path, _FLAGS, 0o600)
