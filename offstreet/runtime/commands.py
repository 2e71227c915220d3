"""The command lines of the product's processes, the same for the demo and for the tests that start real ones."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def manage_command(*arguments: str) -> list[str]:
    """Return the command line of one management command."""
    return [sys.executable, str(ROOT / "manage.py"), *arguments]


def web_command() -> list[str]:
    """Return the command line of the web server; `WEB_BIND` in its environment says where it listens."""
    return [sys.executable, "-m", "gunicorn", "-c", str(ROOT / "offstreet" / "runtime" / "gunicorn_conf.py")]


def worker_command(*, name: str = "worker") -> list[str]:
    """Return the command line of a worker.

    Threads, because deliveries wait on the network. Workers don't gossip or greet each other: what they share is in
    the database. The sweeper and the scheduler are threads of every worker, so there is no beat process.
    """
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", "offstreet", "worker"),
        *("--pool", "threads", "--hostname", f"{name}@%h"),
        *("--without-gossip", "--without-mingle", "--without-heartbeat"),
    ]


def sandbox_command(*, port: int, state: Path) -> list[str]:
    """Return the command line of the sandbox, which keeps what it was told under `state`."""
    return [sys.executable, "-m", "passport.sandbox", "--port", str(port), "--state", str(state)]
