"""What the sandbox knows, and how it is changed from outside: by the control API, by the pages and by tests.

What clients ask of it is answered in ``api``. One lock guards everything, so a simulator may be shared by threads.
"""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .credentials import SANDBOX_AUDIENCE, SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from .faults import FaultBook
from .journal import Journal
from .options import Options
from .sessions import Session, SessionBook
from .tokens import TokenOffice
from .traffic import Traffic
from .zones import DEFAULT_ZONES_FILE, Directory

_MAX_CLOCK_OFFSET_S = 10 * 366 * 86_400


class Simulator:
    """The sandbox without the network. All state hangs on it and may be read by tests under its `lock`."""

    def __init__(
        self,
        *,
        client_id: str = SANDBOX_CLIENT_ID,
        client_secret: str = SANDBOX_CLIENT_SECRET,
        audience: str = SANDBOX_AUDIENCE,
        options: Options | None = None,
        journal: Journal | None = None,
        zones_file: Path = DEFAULT_ZONES_FILE,
    ) -> None:
        self.lock = threading.RLock()
        self._zones_file = zones_file
        self.directory = Directory.from_file(zones_file)
        self.tokens = TokenOffice(client_id=client_id, client_secret=client_secret, audience=audience)
        self.options = options or Options()
        self.sessions = SessionBook(log_size=self.options.event_log_size)
        self.faults = FaultBook()
        self.traffic = Traffic()
        self.clock_offset_s = 0.0
        self.journal = journal
        if journal is not None:
            journal.open(self)

    def clock(self, now: datetime) -> datetime:
        """The sandbox's own time, which the control API can move."""
        return now + timedelta(seconds=self.clock_offset_s) if self.clock_offset_s else now

    def keep(self, sessions: list[Session]) -> None:
        """Write sessions into the journal, if there is one."""
        if self.journal is not None and sessions:
            self.journal.write_sessions(sessions)

    def change_directory(self, edit: Mapping[str, Any]) -> None:
        """Edit operators and zones (see :meth:`Directory.change`) and keep the edit."""
        with self.lock:
            self.directory.change(edit)
            if self.journal is not None:
                self.journal.write_change(edit)

    def change_options(self, edit: Mapping[str, Any]) -> Options:
        """Change settings; ValueError names what is wrong."""
        with self.lock:
            self.options = self.options.changed(edit)
            self.sessions.log_size = self.options.event_log_size
            return self.options

    def move_clock(self, offset_s: float) -> None:
        """Let the sandbox's clock run `offset_s` seconds ahead of (or behind) the real one; ValueError if absurd."""
        if not abs(offset_s) <= _MAX_CLOCK_OFFSET_S:
            raise ValueError(f"offset_s must be within {_MAX_CLOCK_OFFSET_S:,} seconds")
        with self.lock:
            self.clock_offset_s = offset_s
            self.sessions.look_again()

    def expire_tokens(self) -> int:
        """Invalidate every token that was issued; returns how many there were."""
        with self.lock:
            count = self.tokens.expire_all()
            if self.journal is not None:
                self.journal.write_no_tokens()
            return count

    def keep_session(self, session: Session) -> None:
        """Add a session as it is, without the client knowing."""
        with self.lock:
            self.sessions.put(session)
            self.keep([session])

    def forget_session(self, session_id: str) -> bool:
        """Lose a session without the client knowing; False if there is none."""
        with self.lock:
            gone = self.sessions.forget(session_id) is not None
            if gone and self.journal is not None:
                self.journal.write_forgotten(session_id)
            return gone

    def reset(self) -> None:
        """Start over: no sessions, tokens, faults or counters; zones from the file, default settings."""
        with self.lock:
            self.directory = Directory.from_file(self._zones_file)
            self.tokens.expire_all()
            self.options = Options()
            self.sessions = SessionBook(log_size=self.options.event_log_size)
            self.faults.clear()
            connections, self.traffic = self.traffic.connections_open, Traffic()
            self.traffic.connected(connections)
            self.clock_offset_s = 0.0
            if self.journal is not None:
                self.journal.rewrite(self)
