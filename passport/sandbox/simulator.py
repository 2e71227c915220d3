"""What the sandbox knows, and how it is changed from outside: by the control API, by the pages and by tests.

``api`` answers clients' requests. One lock guards everything, so a simulator may be shared by threads.
Sessions, tokens and edits of operators and zones are facts that the journal keeps; faults, settings and counters
are lost when the process ends.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .credentials import SANDBOX_CREDENTIALS
from .faults import FaultBook
from .journal import Journal
from .options import Options, checked
from .sessions import Session, SessionBook
from .tokens import TokenOffice
from .traffic import Traffic
from .zones import DEFAULT_ZONES_FILE, Directory

_MAX_CLOCK_OFFSET_S = 10 * 366 * 86_400


class Simulator:
    """The sandbox without the network. It holds all state, which tests may read under its `lock`."""

    def __init__(
        self,
        *,
        options: Options | None = None,
        journal: Journal | None = None,
        zones_file: Path = DEFAULT_ZONES_FILE,
        credentials: Mapping[str, str] = SANDBOX_CREDENTIALS,
    ) -> None:
        self.lock = threading.RLock()
        self._zones_file = zones_file
        self.tokens = TokenOffice(credentials)
        self.traffic = Traffic()
        self.faults = FaultBook()
        self._begin(options or Options())
        self.journal = journal
        if journal is not None:
            for fact in journal.read():
                self._take(fact)
            journal.rewrite(self._facts())

    def _begin(self, options: Options) -> None:
        self.directory = Directory(self._zones_file)
        self.options = options
        self.sessions = SessionBook(log_size=options.event_log_size)
        self.clock_offset_s = 0.0

    def clock(self, now: datetime) -> datetime:
        """The sandbox's own time, which the control API can move."""
        return now + timedelta(seconds=self.clock_offset_s) if self.clock_offset_s else now

    def move_clock(self, offset_s: float) -> None:
        """Set the sandbox's clock `offset_s` seconds ahead of the real one, or behind it; ValueError if out of range."""
        if not abs(offset_s) <= _MAX_CLOCK_OFFSET_S:
            raise ValueError(f"offset_s must be within {_MAX_CLOCK_OFFSET_S:,} seconds")
        self.clock_offset_s = offset_s

    def change_options(self, edit: Mapping[str, Any]) -> Options:
        """Change settings; ValueError names what is wrong."""
        with self.lock:
            self.options = replace(self.options, **checked(Options, edit))
            self.sessions.log_size = self.options.event_log_size
            return self.options

    def reset(self) -> None:
        """Start over: no sessions, tokens, faults or counters; zones from the file, default settings."""
        with self.lock:
            self.tokens.tokens.clear()
            self.faults.clear()
            connections, self.traffic = self.traffic.connections_open, Traffic()
            self.traffic.connected(connections)
            self._begin(Options())
            if self.journal is not None:
                self.journal.rewrite(self._facts())

    def rights(self, now: datetime, operator_id: str | None = None) -> list[Session]:
        """What enforcement sees at `now`, of all operators or of one."""
        ids = self.directory.operators if operator_id is None else (operator_id.lower(),)
        return [session for each in ids for session in self.sessions.visible(each, now)]

    # -- facts ---------------------------------------------------------------------------------------------------

    def change_directory(self, edit: Mapping[str, Any]) -> None:
        """Edit operators and zones (see :meth:`Directory.change`) and keep the edit."""
        with self.lock:
            self.directory.change(edit)
            self._keep([["c", edit]])

    def issue_token(self, fields: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """The answer to a request for a token; a Problem if it is refused."""
        answer = self.tokens.issue(fields, now, self.options)
        token = answer["access_token"]
        self._keep([["t", token, self.tokens.tokens[token]]])
        return answer

    def expire_tokens(self) -> int:
        """Invalidate every token that was issued; returns how many there were."""
        with self.lock:
            count = len(self.tokens.tokens)
            self.tokens.tokens.clear()
            self._keep([["x"]])
            return count

    def keep_session(self, session: Session) -> None:
        """Add or replace a session without the client knowing."""
        with self.lock:
            self.sessions.put(session)
            self.keep([session])

    def keep(self, sessions: Iterable[Session | None]) -> None:
        """Write changed sessions to the journal."""
        self._keep(["s", session.record()] for session in sessions if session is not None)

    def forget_session(self, session_id: str) -> bool:
        """Lose a session without the client knowing; False if there is none."""
        with self.lock:
            if self.sessions.forget(session_id) is None:
                return False
            self._keep([["f", session_id]])
            return True

    def _keep(self, facts: Iterable[list[Any]]) -> None:
        if self.journal is not None:
            self.journal.append(facts)
            if self.journal.overgrown(len(self.sessions)):
                self.journal.rewrite(self._facts())

    def _take(self, fact: Any) -> None:
        match fact:
            case ["s", record]:
                self.sessions.put(Session.from_record(record))
            case ["f", session_id]:
                self.sessions.forget(session_id)
            case ["t", token, end]:
                self.tokens.tokens[token] = datetime.fromisoformat(end)
            case ["x"]:
                self.tokens.tokens.clear()
            case ["c", edit]:
                self.directory.change(edit)
            case _:
                raise ValueError(f"the journal has an unknown line {fact!r}")

    def _facts(self) -> Iterator[list[Any]]:
        yield from (["c", edit] for edit in self.directory.changes)
        yield from (["t", token, end] for token, end in self.tokens.tokens.items())
        yield from (["s", session.record()] for session in self.sessions.by_id.values())
