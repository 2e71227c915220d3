"""What the tests need besides Python, where it is on this machine, and how it gets installed.

`python -m tests.provision` installs what is missing where it may (as root, with apt-get) and says in one line each
what is there, what was installed, and which tests will be skipped because something is missing. It never fails: a test that
finds its server missing skips itself by name.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from offstreet.runtime.broker import SERVER_NAMES

APT_TIMEOUT_S = 900
LOG = Path(__file__).resolve().parent.parent / "build" / "provision.log"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
POLICY = Path("/usr/sbin/policy-rc.d")


def find_postgres() -> Path | None:
    """Return the directory that holds `initdb` and `postgres`, the newest there is, or None."""
    homes = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: _number(path.parent.name), reverse=True
    )
    on_path = shutil.which("initdb")
    if on_path:
        homes.append(Path(on_path).resolve().parent)
    return next((home for home in homes if (home / "initdb").exists() and (home / "postgres").exists()), None)


def find_redis() -> Path | None:
    """Return a Redis or Valkey server on the PATH, or None (the wheel's is found by `offstreet.runtime.broker`)."""
    return next((Path(found) for name in SERVER_NAMES if (found := shutil.which(name))), None)


def find_chromium() -> Path | None:
    """Return a Chromium to drive, or None."""
    return next((Path(found) for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Need:
    """One thing that some tests need."""

    name: str
    packages: tuple[str, ...]
    find: Callable[[], Path | None]
    without: str


NEEDS = (
    Need(
        "PostgreSQL", ("postgresql",), find_postgres, "the tests, flows and faults on PostgreSQL are skipped"
    ),
    Need("Redis", ("redis-server",), find_redis, "Valkey from the wheel takes its place"),
    Need("Chromium", ("chromium",), find_chromium, "the browser tests are skipped"),
)


def why_not() -> str | None:
    """Return why nothing can be installed here, or None if it can."""
    if os.environ.get("PROVISION") == "no":
        return "PROVISION=no"
    if not shutil.which("apt-get"):
        return "there is no apt-get"
    if os.geteuid() != 0:
        return "only root may install packages"
    return None


def install(need: Need) -> bool:
    """Install a need's packages; return whether it is there afterwards. The output goes to `LOG`."""
    LOG.parent.mkdir(exist_ok=True)
    options = ["-o", "Acquire::Retries=2", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=300"]
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *options, *need.packages]
    with LOG.open("ab") as log, services_stay_down():
        for attempt in (command, ["apt-get", "update", "--quiet", *options], command):
            try:
                done = subprocess.run(
                    attempt,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=APT_TIMEOUT_S,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return False
            if attempt is command and done.returncode == 0:
                break
    return need.find() is not None


@contextmanager
def services_stay_down() -> Iterator[None]:
    """Keep packages from starting their services: the tests start their own, on other ports."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink(missing_ok=True)


def main() -> int:
    """Install what is missing where that is possible; always return 0."""
    obstacle = why_not()
    for need in NEEDS:
        if need.find() is not None:
            continue
        if obstacle is None:
            print(f"Installing {' '.join(need.packages)} …", flush=True)
            if install(need):
                continue
        reason = obstacle or f"its packages could not be installed, see {LOG.relative_to(LOG.parent.parent)}"
        print(f"No {need.name}: {reason}; {need.without}.", flush=True)
    return 0


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


if __name__ == "__main__":
    sys.exit(main())
