"""``python -m passport.sandbox``: serve the sandbox until SIGTERM or SIGINT.

Every option may come from the environment instead (``SANDBOX_PORT`` and so on); the command line wins. Prints one line
when it is ready. Exit status: 0 when told to stop, 2 when it could not start (with one sentence why).
"""

import argparse
import gc
import logging
import os
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from .app import make_app
from .credentials import SANDBOX_AUDIENCE, SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from .journal import Journal
from .server import serve
from .simulator import Simulator
from .zones import DEFAULT_ZONES_FILE


def _parser() -> argparse.ArgumentParser:
    environment = os.environ.get
    parser = argparse.ArgumentParser(
        prog="python -m passport.sandbox", description="A stand-in for Passport's API (see docs/sandbox.md)."
    )
    parser.add_argument("--host", default=environment("SANDBOX_HOST", "127.0.0.1"))
    parser.add_argument(
        "--port", type=int, default=environment("SANDBOX_PORT", "8765"), help="0 takes a free port"
    )
    parser.add_argument(
        "--zones", type=Path, default=environment("SANDBOX_ZONES", str(DEFAULT_ZONES_FILE)), metavar="FILE"
    )
    parser.add_argument(
        "--state",
        type=Path,
        default=environment("SANDBOX_STATE") or None,
        metavar="FILE",
        help="keep sessions, tokens and changes of zones in FILE over restarts (default: forget them)",
    )
    parser.add_argument("--client-id", default=environment("SANDBOX_CLIENT_ID", SANDBOX_CLIENT_ID))
    parser.add_argument(
        "--client-secret", default=environment("SANDBOX_CLIENT_SECRET", SANDBOX_CLIENT_SECRET)
    )
    parser.add_argument("--audience", default=environment("SANDBOX_AUDIENCE", SANDBOX_AUDIENCE))
    return parser


def _bind(host: str, port: int) -> socket.socket:
    """A socket for uvicorn to listen on; OSError if it can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends small packets without delay only if the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _announce(host: str, listener: socket.socket) -> None:
    shown = f"[{host}]" if ":" in host else host
    print(f"Passport sandbox ready on http://{shown}:{listener.getsockname()[1]}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the sandbox; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    try:
        journal = Journal(options.state) if options.state is not None else None
    except OSError as error:
        print(f"{options.state} can't be used, or another sandbox has it: {error}", file=sys.stderr)
        return 2
    try:
        simulator = Simulator(
            client_id=options.client_id,
            client_secret=options.client_secret,
            audience=options.audience,
            journal=journal,
            zones_file=options.zones,
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"The sandbox could not start: {error}", file=sys.stderr)
        return 2
    try:
        listener = _bind(options.host, options.port)
    except OSError as error:
        print(f"Can't listen on {options.host}:{options.port}: {error}", file=sys.stderr)
        return 2
    # Sessions live long and form no cycles; scanning them again and again would only cost time.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    # uvicorn shuts down cleanly on either signal and then raises it again; being told to stop is not a failure.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        serve(make_app(simulator), simulator, listener, partial(_announce, options.host, listener))
    if journal is not None:
        journal.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
