"""Only the owner can read what an installation keeps on this machine, no matter the umask."""

import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from offstreet.runtime import commands, private
from tests.servers import run_checked


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    """Make files readable for everyone, unless the code says differently."""
    before = os.umask(0o000)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_new_directory_and_a_new_file_are_closed_from_the_first_moment(tmp_path: Path) -> None:
    made = private.directory(tmp_path / "deep" / "var")
    assert mode(made) == 0o700
    assert mode(private.file(made / "demo.lock")) == 0o600


def test_the_files_beside_an_sqlite_database_are_closed_like_it(tmp_path: Path) -> None:
    database = sqlite3.connect(private.file(tmp_path / "db.sqlite3"))
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE permits (plate TEXT)")
    modes = {path.name: mode(path) for path in tmp_path.iterdir()}
    database.close()
    assert modes == dict.fromkeys(("db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"), 0o600)


def test_a_file_that_is_there_keeps_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "demo.lock").write_text("17")
    assert private.file(tmp_path / "demo.lock").read_text() == "17"


def test_what_an_older_install_left_open_is_closed_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    var = tmp_path / "var"
    (var / "broker" / "appendonlydir").mkdir(parents=True)
    files = (
        "db.sqlite3",
        "db.sqlite3-wal",
        "demo.env",
        "sandbox.json",
        "sandbox.json.lock",
        "broker/appendonlydir/a.aof",
    )
    for name in files:
        (var / name).touch()
    other = tmp_path / "other"
    other.touch()
    (var / "theirs").touch()
    (var / "db.sqlite3-link").symlink_to(other)
    private.directory(var)
    assert {name: mode(var / name) for name in files} == dict.fromkeys(files, 0o600)
    assert {mode(path) for path in (var, var / "broker", var / "broker/appendonlydir")} == {0o700}
    assert {mode(var / "theirs"), mode(other)} == {0o666}


def test_a_directory_that_all_accounts_write_to_stays_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    private.directory(tmp_path)
    assert mode(tmp_path) == 0o1777


def test_a_command_of_a_development_install_closes_its_directory_and_makes_a_closed_database(
    tmp_path: Path,
) -> None:
    """Without the demo, which `tests/flows/test_demo.py` covers."""
    var = tmp_path / "var"
    var.mkdir()
    env = {"PATH": os.environ["PATH"], "VAR_DIR": str(var), "ENVIRONMENT": "development"}
    run_checked(commands.manage_command("check"), env=env)
    assert (mode(var), mode(var / "db.sqlite3")) == (0o700, 0o600)
