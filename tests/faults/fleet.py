"""What one process of a fleet does: it reports through files that it is up, and continues when the test says so."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

from integrations.delivery import rate_limit
from passport.vendor import default_client

T = TypeVar("T")
# What a thread gets is the slot that the limiter took for it; what it does is the time at which it continues.
Turn = tuple[float, float]


def ask_for_tokens(*, home: str, number: int, threads: int, operator: str) -> None:
    """Let each of many clients get a token at `go-1` and use it at `go-2`; each has a token store of its own."""
    clients = [default_client() for _ in range(threads)]
    (Path(home) / f"up-{number}").touch()
    _wait_for(Path(home) / "go-1")
    _side_by_side(clients, lambda client: client.check_token())
    (Path(home) / f"had-{number}").touch()
    _wait_for(Path(home) / "go-2")
    _side_by_side(clients, lambda client: client.list_rights({"operator_id": operator}))


def take_turns(*, home: str, number: int, bucket: str, limit: int, seconds: int) -> None:
    """From `go-1` on, take turns in four threads for some seconds; write them to `times-NUMBER` (slot, time; POSIX)."""
    mine, turns = threading.local(), list[Turn]()
    take = rate_limit.take

    def noting(key: str, per_second: float) -> tuple[datetime, datetime]:
        mine.slot, now = take(key, per_second)
        return mine.slot, now

    with patch.object(rate_limit, "take", noting):
        wait = rate_limit.waiter(bucket, limit)

        def work(_thread: int) -> None:
            until = time.time() + seconds
            while time.time() < until:
                wait()
                turns.append((mine.slot.timestamp(), time.time()))

        (Path(home) / f"up-{number}").touch()
        _wait_for(Path(home) / "go-1")
        _side_by_side(range(4), work)
    part = Path(home) / f"times-{number}.part"
    part.write_text(json.dumps(turns))
    part.rename(Path(home) / f"times-{number}")


def _wait_for(mark: Path) -> None:
    while not mark.exists():
        time.sleep(0.005)


def _side_by_side(given: Sequence[T], call: Callable[[T], object]) -> None:
    """Call it with each in a separate thread, and fail if one of them does."""
    failed: list[str] = []

    def guarded(one: T) -> None:
        try:
            call(one)
        except Exception as error:  # noqa: BLE001 - told below, with all others
            failed.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(one,)) for one in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed, failed
