"""What survives a restart: an append-only file of JSON lines.

Each line is one fact; the last one about a thing counts. A line is written before the response that promises it
leaves, with one ``write``, so ``kill -9`` loses nothing that was promised; a line cut short by a crash of the machine
is dropped when it is read. The file is rewritten to its live facts when it is opened and when it has grown to several
times their number. It is locked: two sandboxes never write to one file.

Kept are sessions, tokens and edits of operators and zones. Faults, settings and counters are of one run.
"""

import fcntl
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .jsonio import dumps, loads
from .sessions import Session

if TYPE_CHECKING:
    from .simulator import Simulator

_REWRITE_AT_LINES = 100_000
_REWRITE_FACTOR = 4


class Journal:
    """The file at `path`, made with its folders if it is not there. OSError if another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._simulator: Simulator | None = None
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_fd)
            raise
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def open(self, simulator: "Simulator") -> None:
        """Read the file into `simulator`, then rewrite it to its live facts."""
        self._simulator = simulator
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    fact = loads(line)
                except ValueError:
                    continue  # cut short by a crash; nothing after it was promised
                _take(fact, simulator)
        self.rewrite(simulator)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._lock_fd)

    def write_sessions(self, sessions: Iterable[Session]) -> None:
        self._append(["s", session.record()] for session in sessions)

    def write_forgotten(self, session_id: str) -> None:
        self._append([["f", session_id]])

    def write_token(self, token: str, end: datetime) -> None:
        self._append([["t", token, end.isoformat()]])

    def write_no_tokens(self) -> None:
        self._append([["x"]])

    def write_change(self, edit: Mapping[str, Any]) -> None:
        self._append([["c", edit]])

    def rewrite(self, simulator: "Simulator") -> None:
        """Replace the file by the live facts of `simulator`, atomically."""
        fresh = self.path.with_name(self.path.name + ".new")
        count = 0
        with fresh.open("wb") as file:
            for fact in _facts(simulator):
                file.write(dumps(fact) + b"\n")
                count += 1
        fresh.chmod(0o600)
        os.replace(fresh, self.path)
        os.close(self._fd)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines = count

    def _append(self, facts: Iterable[Any]) -> None:
        lines = [dumps(fact) for fact in facts]
        data = b"\n".join(lines) + b"\n"
        size_before = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # A disk that is full must not leave half a line, or the next fact would be glued to it and lost.
            os.ftruncate(self._fd, size_before)
            raise
        self._lines += len(lines)
        simulator = self._simulator
        if simulator is not None and self._lines > max(
            _REWRITE_AT_LINES, _REWRITE_FACTOR * len(simulator.sessions)
        ):
            self.rewrite(simulator)


def _facts(simulator: "Simulator") -> Iterable[Any]:
    for edit in simulator.directory.changes:
        yield ["c", edit]
    for token, end in simulator.tokens.tokens.items():
        yield ["t", token, end.isoformat()]
    for session in simulator.sessions.by_id.values():
        yield ["s", session.record()]


def _take(fact: Any, simulator: "Simulator") -> None:
    match fact:
        case ["s", record]:
            simulator.sessions.put(Session.from_record(record))
        case ["f", session_id]:
            simulator.sessions.forget(session_id)
        case ["t", token, end]:
            simulator.tokens.tokens[token] = datetime.fromisoformat(end)
        case ["x"]:
            simulator.tokens.tokens.clear()
        case ["c", edit]:
            simulator.directory.change(edit)
        case _:
            raise ValueError(f"{simulator.journal and simulator.journal.path}: unknown line {fact!r}")
