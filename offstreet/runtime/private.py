"""What an install keeps on this machine (`var/`) is its owner's alone: the directory 0700, the files in it 0600.

The database holds plates, people and password hashes, the broker's file and `demo.env` say where to find them, and the usual
umask lets every account of a machine read what is made. Files of an older install are closed as well, by their names: a
directory that somebody names as `VAR_DIR` may hold other things. One that all accounts write to (`/tmp`) is left alone.
"""

import os
import stat
from pathlib import Path

# For processes that run in the directory: files come out as 0600, directories and sockets as 0700.
UMASK = 0o077
OWNERS_FILE = 0o600
OWNERS_DIRECTORY = 0o700
# What an install makes in its directory; an entry that ends in * stands for all that begin so.
OURS = ("db.sqlite3*", "demo.*", "sandbox.json*", "worker.alive", "static.stamp", "broker*", "mail")


def directory(path: Path) -> Path:
    """Make the directory if there is none, and close it and what is ours in it to other accounts; return it."""
    path.mkdir(mode=OWNERS_DIRECTORY, parents=True, exist_ok=True)
    if path.stat().st_mode & stat.S_ISVTX:
        return path
    _close(path)
    for pattern in OURS:
        for found in path.glob(pattern):
            for one in (found, *(found.rglob("*") if found.is_dir() and not found.is_symlink() else ())):
                _close(one)
    return path


def file(path: Path) -> Path:
    """Make an empty file that only its owner reads, unless it is there; return it.

    SQLite gives the files beside a database (`-wal`, `-shm`) the mode of the database.
    """
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, OWNERS_FILE))
    return path


def _close(path: Path) -> None:
    """Take everybody else's rights to a file or a directory that is ours to close; what goes away meanwhile is closed too."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    open_to_others = stat.S_IMODE(found.st_mode) & UMASK
    if open_to_others and not stat.S_ISLNK(found.st_mode) and found.st_uid == os.geteuid():
        path.chmod(stat.S_IMODE(found.st_mode) & ~UMASK)
