"""What survives a restart of the sandbox, and what a torn file does."""

import errno
import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from passport.sandbox import journal as journals
from passport.sandbox.journal import Journal
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_partner import LOT_B, NOON, UNIVERSITY, Partner, code, stamp


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "sandbox.jsonl"


def begin(file: Path) -> Partner:
    return Partner(Simulator(journal=Journal(file)))


def end(partner: Partner) -> None:
    assert partner.simulator.journal is not None
    partner.simulator.journal.close()


def again(partner: Partner, file: Path) -> Partner:
    """Restart: a new simulator from the same file, at the same time and with the same token in hand."""
    end(partner)
    fresh = begin(file)
    fresh.now, fresh.token, fresh.trace = partner.now, partner.token, partner.trace
    return fresh


def test_sessions_tokens_and_zones_survive(file: Path) -> None:
    partner = begin(file).log_in()
    partner.start("kept")
    partner.start("stopped")
    partner.advance(1)
    partner.extend("kept", end_time=stamp(NOON + timedelta(hours=20)))
    partner.stop("stopped")
    partner.control("DELETE", f"operators/{UNIVERSITY}/zones/{LOT_B}")
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"name": "Renamed"})
    partner.control("DELETE", "sessions/none", expect=404)
    before = partner.rights()

    partner = again(partner, file)
    assert partner.rights() == before
    assert code(partner.start("stopped")) == "session_already_stopped"
    zones = json.loads(partner.zones().body)["data"]
    assert LOT_B not in {zone["id"] for zone in zones}
    assert partner.control("GET", "operators")["data"][0]["name"] == "Renamed"
    end(partner)


def test_the_same_start_is_still_the_same_after_a_restart(file: Path) -> None:
    partner = begin(file).log_in()
    event = partner.event()
    partner.send("started", event)
    partner = again(partner, file)
    assert partner.send("started", event).status == 202
    assert code(partner.send("started", {**event, "rate_name": "Other"})) == "session_conflict"
    end(partner)


def test_a_late_right_still_shows_late_after_a_restart(file: Path) -> None:
    partner = begin(file).log_in()
    partner.fault("late", delay_s=30, times=1)
    partner.start()
    partner = again(partner, file)
    assert partner.rights() == []
    partner.advance(31)
    assert len(partner.rights()) == 1
    end(partner)


def test_lost_sessions_and_expired_tokens_stay_gone(file: Path) -> None:
    partner = begin(file).log_in()
    partner.start()
    partner.control("DELETE", "sessions/s-1")
    partner.control("POST", "tokens/expire")
    partner = again(partner, file)
    assert partner.zones().status == 401
    assert len(partner.simulator.sessions) == 0
    end(partner)


def test_a_reset_empties_the_file(file: Path) -> None:
    partner = begin(file).log_in()
    partner.start()
    partner.control("POST", "reset")
    assert file.read_bytes() == b""
    end(partner)


def test_a_line_cut_short_by_a_crash_is_dropped(file: Path) -> None:
    partner = begin(file).log_in()
    partner.start("kept")
    end(partner)
    with file.open("ab") as torn:
        torn.write(file.read_bytes()[-50:-1])
        torn.write(b'["s",["half')
    partner = begin(file)
    assert set(partner.simulator.sessions.by_id) == {"kept"}
    end(partner)


def test_a_line_of_another_make_is_not_swallowed(file: Path) -> None:
    file.parent.mkdir()
    file.write_text('{"something": "else"}\n')
    with pytest.raises(ValueError, match="unknown line"):
        begin(file)


def test_two_sandboxes_never_share_a_file(file: Path) -> None:
    partner = begin(file)
    with pytest.raises(OSError):
        Journal(file)
    end(partner)
    Journal(file).close()


def test_the_file_is_rewritten_to_its_live_facts(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "_REWRITE_AT_LINES", 50)
    partner = begin(file).log_in()
    partner.start()
    for minute in range(200):
        partner.advance(1)
        partner.extend(end_time=stamp(NOON + timedelta(hours=10, minutes=minute)))
    assert len(file.read_bytes().splitlines()) <= 55
    before = partner.rights()
    partner = again(partner, file)
    assert partner.rights() == before
    assert len(file.read_bytes().splitlines()) == 2, "one token, one session"
    end(partner)


def test_a_full_disk_leaves_no_half_line(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    partner = begin(file).log_in()
    partner.start("before")
    real, room = os.write, [10]

    def write(fd: int, data: bytes) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data[: room.pop()])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(OSError):
        partner.start("during")
    monkeypatch.undo()
    partner.start("after")
    partner = again(partner, file)
    assert {"before", "after"} <= set(partner.simulator.sessions.by_id)
    end(partner)


def test_the_file_is_for_its_owner_alone(file: Path) -> None:
    partner = begin(file).log_in()
    assert file.stat().st_mode & 0o077 == 0
    end(partner)
