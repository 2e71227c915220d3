"""Collects the static files, but only when one of their sources has changed: compressing them takes seconds."""

import fcntl
import hashlib
from collections.abc import Callable
from pathlib import Path

from offstreet.runtime import private
from offstreet.runtime.commands import ROOT

SOURCES = ("static", "offstreet/static", "locations/static", "integrations/static", "passport/static")
COLLECTED = "staticfiles"


def signature(root: Path = ROOT) -> str:
    """Return a checksum over name, size and time of every source, and over the lock (packages bring files too)."""
    digest = hashlib.sha256((root / "requirements" / "base.txt").read_bytes())
    digest.update((root / "offstreet" / "storage.py").read_bytes())
    for source in SOURCES:
        for path in sorted((root / source).rglob("*")):
            if path.is_file():
                stat = path.stat()
                digest.update(f"{path.relative_to(root)}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def collect_if_changed(collect: Callable[[], bool], *, root: Path = ROOT) -> bool:
    """Call `collect` if the collected files are older than their sources; return False only if it failed.

    Two processes that ask at once collect one after the other, and the second finds nothing to do.
    """
    stamp = root / "var" / "static.stamp"
    with private.file(private.directory(stamp.parent) / stamp.name).open("a+") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        handle.seek(0)
        wanted = signature(root)
        if handle.read() == wanted and (root / COLLECTED).is_dir():
            return True
        if not collect():
            return False
        handle.truncate(0)
        handle.write(wanted)
        return True
