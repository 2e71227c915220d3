"""Decides what a comparison with enforcement's list means. Pure: no clock, no database, no network.

| what was accepted | listed | finding |
|---|---|---|
| runs | with the same details | seen |
| runs, accepted a while ago | with another plate, state, zone, start, end or space | differs |
| runs, accepted a while ago | no | missing |
| was ended, or is over | with a later end or none | surplus |
| any | with a time that can't be read, and nothing else different | unreadable: it is not compared |
| about to begin or just begun, about to end, or accepted just now | no, or with other details | open: nothing is concluded |

Processing is asynchronous, and it is documented nowhere that rights are listed before they begin; so only a right that must
be listed *now* can be missing. `integrations.vendors.right_keys` decides which details are equal and which can't be compared.

If too many rights are missing or different, the list itself is more likely to be wrong than what enforcement sees. Then the
whole comparison is *held*: nothing is changed, and people are notified.

Drift is repaired by the smallest event that corrects it (`remedy_for`), twice; then by a new session and a stop of the old
one, at growing intervals (`wait_after`): what the vendor accepts and later drops is not sent every few minutes forever.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from integrations.vendors.protocol import RightSeen, Step
from integrations.vendors.right_keys import differences

# For this long after an acceptance, and around a right's start and end, it may or may not be listed.
SETTLING_TIME = timedelta(seconds=60)
# With more than this many missing or different rights, and more than this share of those expected, the list is not trusted.
HELD_ROWS = 20
HELD_SHARE = 0.05
# How many times the smallest event is tried before a new session is started.
SMALL_TRIES = 2
FIRST_WAIT = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=12)


class Finding(Enum):
    """What the list says about one right; see the module's table."""

    SEEN = "seen"
    DIFFERS = "differs"
    SURPLUS = "surplus"
    UNREADABLE = "unreadable"
    OPEN = "open"


class Accepted(NamedTuple):
    """The fields of a permit sync that a comparison needs. `remote_state` is what was accepted, or None."""

    pk: int
    remote_state: dict[str, Any] | None
    until: datetime | None
    accepted_at: datetime | None
    # Whether it can be compared with a listed right; see `is_settled`.
    is_settled: bool
    # It is stored as unseen or drifting, which seeing its right corrects.
    is_unseen: bool


def is_settled(state: str, lease: str | None, pending_steps: Sequence[Step] | None) -> bool:
    """Return whether a row is neither due nor being sent, so that what was accepted can be compared with the list.

    A refused row counts too: the refusal may be caused by a difference that only the list shows. But while the row keeps a
    step that starts or extends a session, that step may have arrived, and the list may show the state before or after it.
    """
    if lease is not None or state not in ("done", "refused"):
        return False
    return all(step.get("ends") for step in pending_steps or ())


def judge(row: Accepted, right: RightSeen, *, at: datetime) -> tuple[Finding, tuple[str, ...]]:
    """Return the finding for a listed right of a permit sync's current session at `at`, and the keys that differ."""
    if not row.is_settled or row.remote_state is None or row.until is None or row.accepted_at is None:
        return Finding.OPEN, ()
    if row.until <= at:
        # It has ended here; that it is listed for a moment longer means nothing.
        is_late = max(row.until, row.accepted_at) < at - SETTLING_TIME
        if not is_late or (right.end is not None and right.end <= at + SETTLING_TIME):
            return Finding.OPEN, ()
        return (Finding.UNREADABLE if "end" in right.unreadable else Finding.SURPLUS), ()
    names = differences(row.remote_state, right, at=at)
    if not names:
        return (Finding.UNREADABLE if right.unreadable else Finding.SEEN), ()
    return (Finding.DIFFERS if row.accepted_at < at - SETTLING_TIME else Finding.OPEN), names


def must_be_listed(*, start: datetime, until: datetime, accepted_at: datetime, at: datetime) -> bool:
    """Whether a right that was accepted must be among those that enforcement sees at `at`."""
    return start <= at - SETTLING_TIME and until > at + SETTLING_TIME and accepted_at < at - SETTLING_TIME


def is_held(*, wrong: int, expected: int) -> bool:
    """Whether a list is not trusted, with `wrong` rights missing or different out of the `expected` ones.

    `expected` counts the rights that must be listed now.
    """
    return wrong > max(HELD_ROWS, HELD_SHARE * expected)


class Drift(NamedTuple):
    """Since when a permit sync has drifted, how many repairs were tried since, and the earliest time of the next one."""

    since: datetime | None = None
    tries: int = 0
    retry_at: datetime | None = None

    def may_try(self, now: datetime) -> bool:
        """Whether a repair may be tried now."""
        return self.retry_at is None or self.retry_at <= now


class Remedy(Enum):
    """How drift is repaired."""

    NOTE = "note it and look again"
    SMALLEST = "the smallest event"
    NEW_SESSION = "a new session, and a stop of the old one"
    WAIT = "wait"


def remedy_for(drift: Drift, *, is_missing: bool, now: datetime, is_certain: bool = False) -> Remedy:
    """Return what to do about a right that is missing or different, given what was tried before.

    A missing right is sent again only once a second comparison misses it too; one that is listed differently is repaired at
    once. `is_certain` says that a person confirmed the list.
    """
    if is_certain:
        return Remedy.NEW_SESSION if is_missing else Remedy.SMALLEST
    if is_missing and (drift.since is None or drift.since > now - SETTLING_TIME):
        return Remedy.NOTE
    if not drift.may_try(now):
        return Remedy.WAIT
    return Remedy.NEW_SESSION if is_missing or drift.tries >= SMALL_TRIES else Remedy.SMALLEST


def wait_after(tries: int) -> timedelta:
    """Return how long to wait after the `tries`-th repair (from 1): no time at first, then doubling."""
    if tries < SMALL_TRIES:
        return timedelta(0)
    return min(FIRST_WAIT * (1 << min(tries - SMALL_TRIES, 20)), LONGEST_WAIT)


class IdSet:
    """A compact set of ids: a bitmap with one page for each range of 65,536 ids that is in use."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0

    def add(self, pk: int) -> None:
        """Add an id."""
        page = self._pages.get(pk >> 16)
        if page is None:
            page = self._pages[pk >> 16] = bytearray(8_192)
        place, bit = (pk & 0xFFFF) >> 3, 1 << (pk & 7)
        if not page[place] & bit:
            page[place] |= bit
            self._count += 1

    def discard(self, pk: int) -> None:
        """Remove an id if it is in the set."""
        if pk in self:
            self._pages[pk >> 16][(pk & 0xFFFF) >> 3] &= ~(1 << (pk & 7))
            self._count -= 1

    def __contains__(self, pk: int) -> bool:
        page = self._pages.get(pk >> 16)
        return page is not None and bool(page[(pk & 0xFFFF) >> 3] & 1 << (pk & 7))

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for number in sorted(self._pages):
            for place, bits in enumerate(self._pages[number]):
                yield from ((number << 16) + (place << 3) + bit for bit in range(8) if bits >> bit & 1)


@dataclass(frozen=True, slots=True)
class Listed:
    """A right that is listed differently from what was accepted, and the keys that differ."""

    right: RightSeen
    names: tuple[str, ...] = ()
