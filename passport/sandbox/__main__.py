"""``python -m passport.sandbox``: serve the sandbox until SIGTERM or SIGINT.

Every option may come from the environment instead (``SANDBOX_PORT`` and so on); the command line wins. Prints one line
when it is ready. Exit status: 0 when stopped, 2 when it could not start (with one sentence that says why).
"""

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .app import make_app
from .credentials import SANDBOX_CREDENTIALS
from .journal import Journal
from .server import serve
from .simulator import Simulator
from .zones import DEFAULT_ZONES_FILE

_OPTIONS = (
    ("--host", str, "127.0.0.1", "where to listen"),
    ("--port", int, "8765", "0 takes a free port"),
    ("--zones", Path, str(DEFAULT_ZONES_FILE), "a file of operators and zones"),
    ("--state", Path, None, "keep sessions, tokens and changes of zones in this file (default: forget them)"),
    ("--client-id", str, SANDBOX_CREDENTIALS["client_id"], "the partner application's"),
    ("--client-secret", str, SANDBOX_CREDENTIALS["client_secret"], "the partner application's"),
    ("--audience", str, SANDBOX_CREDENTIALS["audience"], "the audience that tokens are requested for"),
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m passport.sandbox", description="A stand-in for Passport's API (see docs/sandbox.md)."
    )
    for flag, kind, default, about in _OPTIONS:
        variable = "SANDBOX_" + flag.removeprefix("--").replace("-", "_").upper()
        parser.add_argument(flag, type=kind, default=os.environ.get(variable) or default, help=about)
    return parser


@contextmanager
def _or_exit(failure: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"{failure}: {error}", file=sys.stderr)
        sys.exit(2)


def main() -> None:
    """Run the sandbox."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    with _or_exit(f"{options.state} can't be used, or another sandbox has it"):
        journal = Journal(options.state) if options.state is not None else None
    with _or_exit("The sandbox could not start"):
        credentials = {name: getattr(options, name) for name in SANDBOX_CREDENTIALS}
        simulator = Simulator(journal=journal, zones_file=options.zones, credentials=credentials)
    with _or_exit(f"Can't listen on {options.host}:{options.port}"):
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family, backlog=1024)
        # asyncio sends small packets without delay only if the socket knows its protocol: a new object asks for it.
        listener = socket.socket(fileno=listener.detach())
    # Sessions live long and form no cycles, so scanning them repeatedly would only cost time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # uvicorn shuts down cleanly on either signal and then raises it again; stopping is not a failure.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    host = f"[{options.host}]" if ":" in options.host else options.host
    ready = f"Passport sandbox ready on http://{host}:{listener.getsockname()[1]}"
    with suppress(KeyboardInterrupt):
        serve(make_app(simulator), simulator, listener, lambda: print(ready, flush=True))
    if journal is not None:
        journal.close()


if __name__ == "__main__":
    main()
