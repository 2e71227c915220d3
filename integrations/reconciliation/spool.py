"""The rights of one list, stored while they arrive and read back in portions once the list is complete.

A list may hold a million rights. They can't be compared while they arrive: that queries the database, and the vendor's client
limits how long a request may take. Nor is anything concluded from half a list. So they go into a temporary file, which stays
in memory while it is small. Others' rights (residents, meters, other providers) are many, so they are only counted.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, Any, Self

import orjson

from integrations.delivery.session_id import begins_ours
from integrations.vendors.protocol import RightSeen

PORTION = 2_000
IN_MEMORY_BYTES = 16_000_000
_HEAD_BYTES = 4
# How many kinds of right are counted separately; all others are counted as one kind.
KINDS_MAX = 20
KIND_CHARS = 40


class Spool:
    """Stores rights and yields those that may be ours: `with Spool(connection.key) as spool`."""

    def __init__(self, key: str) -> None:
        self._ours = begins_ours(key)
        self._stack = ExitStack()
        self._file: IO[bytes]
        self._portion: list[tuple[Any, ...]] = []
        # How many rights there are, and how many of each kind (as the vendor calls it) are certainly not ours.
        self.count = 0
        self.foreign: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def take(self, right: RightSeen) -> None:
        """Store one right, or only count it if it is certainly not ours."""
        self.count += 1
        if right.reference and not right.reference.startswith(self._ours):
            count_kind(self.foreign, _clean(right.kind))
            return
        self._portion.append(
            (
                _clean(right.remote_id),
                _clean(right.zone_id),
                _clean(right.plate),
                _clean(right.subdivision),
                _number(right.start),
                _number(right.end),
                _clean(right.space_number),
                _clean(right.reference),
                _clean(right.kind),
                _clean(right.country),
                right.unreadable,
            )
        )
        if len(self._portion) >= PORTION:
            self._put_aside()

    def portions(self) -> Iterator[list[RightSeen]]:
        """Yield the stored rights in order, at most `PORTION` at a time, without the vendor's raw documents."""
        self._put_aside()
        self._file.seek(0)
        while head := self._file.read(_HEAD_BYTES):
            rows = orjson.loads(self._file.read(int.from_bytes(head)))
            yield [
                RightSeen(
                    remote_id, zone_id, plate, subdivision, _time(start), _time(end), space, reference, {}, kind, country,
                    tuple(unreadable),
                )
                for remote_id, zone_id, plate, subdivision, start, end, space, reference, kind, country, unreadable in rows
            ]  # fmt: skip

    def _put_aside(self) -> None:
        if self._portion:
            body = orjson.dumps(self._portion)
            self._file.write(len(body).to_bytes(_HEAD_BYTES))
            self._file.write(body)
            self._portion = []


def count_kind(kinds: Counter[str], kind: str) -> None:
    """Count one more right of a kind; kinds beyond `KINDS_MAX` are counted together."""
    kind = kind[:KIND_CHARS]
    kinds[kind if kind in kinds or len(kinds) < KINDS_MAX else "…"] += 1


def _clean(text: str) -> str:
    """Return a text without lone surrogates, which neither a file nor a database accepts."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _number(at: datetime | None) -> tuple[int, int, int] | None:
    """Return a time as numbers that `_time` reads back to the microsecond."""
    if at is None:
        return None
    since = at - _EPOCH
    return since.days, since.seconds, since.microseconds


def _time(number: tuple[int, int, int] | None) -> datetime | None:
    return None if number is None else _EPOCH + timedelta(*number)
