"""Several threads in one process, each in place of a worker or a person, with its own database connection."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import connection


def own_connection() -> "psycopg.Connection[tuple[Any, ...]]":
    """Return a new connection to the product's PostgreSQL, bypassing Django; the caller closes it."""
    parameters = connection.get_connection_params()
    return psycopg.connect(**{name: parameters[name] for name in ("dbname", "user", "host", "port")})


def start(work: Callable[[], object], errors: list[str] | None = None) -> threading.Thread:
    """Start a thread that closes its database connection at the end; what it raises is added to `errors`, where given."""

    def run() -> None:
        try:
            work()
        except Exception as error:
            if errors is None:
                raise
            errors.append(repr(error))
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def side_by_side(count: int, work: Callable[[int], object]) -> None:
    """Call `work` with 0, 1, 2 … in as many threads and wait for all of them. Raises what the first of them raised."""
    errors: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except Exception as error:
            errors.append(error)
            raise

    threads = [start(lambda number=number: guarded(number)) for number in range(count)]  # type: ignore[misc]
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def until(is_so: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until it is so, for at most as many seconds; return whether it is."""
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()
