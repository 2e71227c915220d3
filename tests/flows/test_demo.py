"""`make demo`, as it runs on a machine with nothing installed, from start to end."""

import contextlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from offstreet.runtime import commands, demo, processes
from offstreet.runtime.commands import ROOT
from tests import run_function
from tests.flows.scripts import demo as demo_scripts
from tests.servers import READY_TIMEOUT_S, eventually, run_checked, scratch_directory

MEMORY_LIMIT_KB = 450 * 1024


@pytest.fixture
def var_dir() -> Iterator[Path]:
    """An empty state directory."""
    with scratch_directory() as path:
        yield path


def two_free_ports() -> int:
    """Return a port that is free like the one after it."""
    return eventually(lambda: next((p for p in [processes.free_port()] if processes.port_is_free(p + 1)), 0))


def tree(pid: int) -> list[int]:
    """The ids of a process and of all that it started, and they, and so on."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(found for child in children for found in tree(int(child)))]


def memory_kb(pid: int) -> int:
    """A process's memory, with shared pages counted proportionally."""
    match = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(match.group(1)) if match else 0


def open_to_others(directory: Path) -> list[str]:
    """What another account may read, write or connect to in a directory, itself included."""
    return [
        f"{stat.filemode(found.lstat().st_mode)} {found}"
        for found in (directory, *directory.rglob("*"))
        # The test's own file.
        if found.name != "demo.log" and found.lstat().st_mode & 0o077
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.timeout(240)
def test_the_demo_comes_up_restarts_what_dies_and_leaves_nothing_behind(var_dir: Path) -> None:
    port = two_free_ports()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "VAR_DIR": str(var_dir), "PORT": str(port)}
    log_path = var_dir / "demo.log"
    with log_path.open("wb") as log:
        manager = processes.spawn(
            [sys.executable, "-m", "offstreet.runtime.demo"], env=env, cwd=ROOT, output=log
        )

    def printed() -> str:
        return log_path.read_text(errors="replace")

    try:
        ready = processes.wait_until(
            lambda: "Offstreet is ready" in printed(), timeout_s=3 * READY_TIMEOUT_S, process=manager
        )
        assert ready, printed()
        assert f"http://127.0.0.1:{port}\n" in printed()
        # Nothing was served before the seed was in, and the accounts stay on the screen.
        assert printed().index("seed    │ Harbor Properties") < printed().index("web     │ ")
        last = printed().rstrip().splitlines()[-len(demo.LOGINS) :]
        assert [line.split()[0] for line in last] == [email for email, _what in demo.LOGINS]
        assert "broker  │" not in printed()
        assert processes.answers_http(f"http://127.0.0.1:{port}/accounts/login/")
        assert processes.answers_http(f"http://127.0.0.1:{port}/demo/mail/")
        assert processes.answers_http(f"http://127.0.0.1:{port + 1}/")

        # A command beside it needs no configuration.
        beside = {**kept, "VAR_DIR": str(var_dir)}
        status = run_checked(
            commands.manage_command("passport", "status", "--company", "university"), env=beside
        )
        assert "PASSPORTUNIVERSITY" in status

        # A second one in the same place, and one on the same port, each get a clear sentence.
        for changed, sentence in (
            ({}, "A demo is running here already"),
            ({"VAR_DIR": f"{var_dir}/2"}, "is taken"),
        ):
            refused = subprocess.run(
                [sys.executable, "-m", "offstreet.runtime.demo"],
                env={**env, **changed}, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
            )  # fmt: skip
            assert refused.returncode == 1
            assert sentence in refused.stderr

        assert open_to_others(var_dir) == []

        everything = tree(manager.pid)
        total_kb = sum(memory_kb(pid) for pid in everything)
        assert total_kb < MEMORY_LIMIT_KB, f"{total_kb / 1024:.0f} MB"

        worker = next(pid for pid in everything if "celery" in Path(f"/proc/{pid}/cmdline").read_text())
        os.kill(worker, signal.SIGKILL)
        assert eventually(lambda: "worker ended by SIGKILL; starting it again in 0.5 s" in printed())
        heartbeat, killed_at = var_dir / "worker.alive", time.time()
        eventually(
            lambda: heartbeat.stat().st_mtime > killed_at, timeout_s=READY_TIMEOUT_S, what="the new worker"
        )

        everything = tree(manager.pid)
        assert (var_dir / "demo.env").exists()
        processes.stop(manager, timeout_s=30, signum=signal.SIGINT)
        assert manager.returncode == 0, printed()
        assert not (var_dir / "demo.env").exists()
        assert [pid for pid in everything if Path(f"/proc/{pid}").exists()] == []
    finally:
        processes.stop(manager, timeout_s=15)


@pytest.mark.parametrize("knows_someone", [True, False], ids=["one that knows nobody", "none at all"])
@pytest.mark.timeout(240)
def test_the_demo_starts_without_the_seeds_operators_and_says_so(var_dir: Path, knows_someone: bool) -> None:
    port = two_free_ports()
    zones = var_dir / "zones.json"
    zones.write_text('{"operators": []}')
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {
        **kept,
        "VAR_DIR": str(var_dir),
        "PORT": str(port),
        "PASSPORT_BASE_URL": f"http://127.0.0.1:{port + 1}",
    }
    with contextlib.ExitStack() as ending, (var_dir / "demo.log").open("wb") as log:
        if knows_someone:
            other = [
                *commands.sandbox_command(port=port + 1, state=var_dir / "other.json"),
                "--zones",
                str(zones),
            ]
            passport = processes.spawn(other, env=kept, cwd=ROOT, output=subprocess.DEVNULL)
            ending.callback(processes.stop, passport, timeout_s=5)
            assert processes.wait_until(
                lambda: processes.answers_http(f"http://127.0.0.1:{port + 1}/sandbox/health"),
                timeout_s=READY_TIMEOUT_S,
                process=passport,
            )
        manager = processes.spawn(
            [sys.executable, "-m", "offstreet.runtime.demo"], env=env, cwd=ROOT, output=log
        )
        ending.callback(processes.stop, manager, timeout_s=15)

        def printed() -> str:
            return (var_dir / "demo.log").read_text(errors="replace")

        ready = processes.wait_until(
            lambda: "Offstreet is ready" in printed(), timeout_s=3 * READY_TIMEOUT_S, process=manager
        )
        assert ready, printed()
        said = "Passport does not know this operator ID." if knows_someone else "Passport can't be reached."
        assert printed().count(f"no integration: {said}") == 3
        counted = run_checked(
            run_function.command(demo_scripts.counts), env={**kept, "VAR_DIR": str(var_dir)}
        )
        assert json.loads(counted) == {"companies": 3, "connections": 0, "notices": 3}
