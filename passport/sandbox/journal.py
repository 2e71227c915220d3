"""What survives a restart: an append-only file of JSON lines.

Each line is one fact; the last one about each thing counts. A line is written before the response that promises it
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
from typing import Any, Protocol

import orjson

from .sessions import Session, SessionBook
from .tokens import TokenOffice
from .zones import Directory

_REWRITE_AT_LINES = 100_000
_REWRITE_FACTOR = 4


class Kept(Protocol):
    """What a journal is read into and written from: the simulator."""

    directory: Directory
    tokens: TokenOffice
    sessions: SessionBook


class Journal:
    """The file at `path`, made with its folders if it is not there. OSError if another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: Kept | None = None
        self._lines = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock_fd = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock_fd)
            raise
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)

    def open(self, kept: Kept) -> None:
        """Read the file into `kept`, then rewrite it to its live facts."""
        self._kept = kept
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    fact = orjson.loads(line)
                except ValueError:
                    continue  # cut short by a crash; nothing after it was promised
                self._take(fact, kept)
        self.rewrite(kept)

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._lock_fd)

    def write_sessions(self, sessions: Iterable[Session]) -> None:
        self._append(["s", session.record()] for session in sessions)

    def write_forgotten(self, session_id: str) -> None:
        self._append([["f", session_id]])

    def write_token(self, token: str, end: datetime) -> None:
        self._append([["t", token, end]])

    def write_no_tokens(self) -> None:
        self._append([["x"]])

    def write_change(self, edit: Mapping[str, Any]) -> None:
        self._append([["c", edit]])

    def rewrite(self, kept: Kept) -> None:
        """Replace the file by the live facts of `kept`, atomically."""
        fresh = self.path.with_name(self.path.name + ".new")
        count = 0
        with fresh.open("wb") as file:
            for fact in _facts(kept):
                file.write(orjson.dumps(fact) + b"\n")
                count += 1
        fresh.chmod(0o600)
        os.replace(fresh, self.path)
        os.close(self._fd)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines = count

    def _take(self, fact: Any, kept: Kept) -> None:
        match fact:
            case ["s", record]:
                kept.sessions.put(Session.from_record(record))
            case ["f", session_id]:
                kept.sessions.forget(session_id)
            case ["t", token, end]:
                kept.tokens.tokens[token] = datetime.fromisoformat(end)
            case ["x"]:
                kept.tokens.tokens.clear()
            case ["c", edit]:
                kept.directory.change(edit)
            case _:
                raise ValueError(f"{self.path}: unknown line {fact!r}")

    def _append(self, facts: Iterable[Any]) -> None:
        lines = [orjson.dumps(fact) for fact in facts]
        data = b"\n".join(lines) + b"\n"
        size_before = os.fstat(self._fd).st_size
        try:
            while data:
                data = data[os.write(self._fd, data) :]
        except OSError:
            # A full disk must not leave half a line, or the next fact would be appended to it and lost.
            os.ftruncate(self._fd, size_before)
            raise
        self._lines += len(lines)
        kept = self._kept
        if kept is not None and self._lines > max(_REWRITE_AT_LINES, _REWRITE_FACTOR * len(kept.sessions)):
            self.rewrite(kept)


def _facts(kept: Kept) -> Iterable[Any]:
    for edit in kept.directory.changes:
        yield ["c", edit]
    for token, end in kept.tokens.tokens.items():
        yield ["t", token, end]
    for session in kept.sessions.by_id.values():
        yield ["s", session.record()]
