"""What a comparison with enforcement's list comes to. Pure: no clock, no database, no network.

| what was accepted | listed | finding |
|---|---|---|
| runs | the same, whole | seen |
| runs, accepted a while ago | otherwise: another plate, state, zone, start, end or space | differs |
| runs, accepted a while ago | no | missing |
| was ended, or is over | yes, until later or without an end | surplus |
| any | with a time that can't be read, and otherwise the same | unreadable: it is not compared |
| about to begin or just begun, about to end, or accepted just now | no, or otherwise | open: nothing can be concluded |

Processing is asynchronous, and nobody has written down that rights are listed before they begin; so only what must be
listed *now* can be missing. What is the same, and what can't be compared, is decided in `integrations.vendors.right_keys`.

A list that lacks too much, or says too much otherwise, is no proof that enforcement does: more likely it is the list that is
wrong. Then the whole comparison is *held*: nothing is changed, and people are told.

Drift is put right by the smallest event that does it (`remedy_for`), twice; then by a new session and a stop of the old one,
and ever more slowly (`wait_after`): what the vendor accepts and turns down afterwards is not sent every few minutes for good.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple

from integrations.vendors.protocol import RightSeen, Step
from integrations.vendors.right_keys import differences

# How long after an acceptance, and around the edges of its window, a right may be listed or not.
SETTLING_TIME = timedelta(seconds=60)
# More than so many missing or different, and more than this share of what must be listed: the list is not believed.
HELD_ROWS = 20
HELD_SHARE = 0.05
# As often as this it is tried by the smallest event; from then on by a new session.
SMALL_TRIES = 2
FIRST_WAIT = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=12)


class Finding(Enum):
    """What the list says of one right; see the module's table."""

    SEEN = "seen"
    DIFFERS = "differs"
    SURPLUS = "surplus"
    UNREADABLE = "unreadable"
    OPEN = "open"


class Accepted(NamedTuple):
    """A registration as far as the comparison must know it. `remote_state` is what was accepted, or None."""

    pk: int
    remote_state: dict[str, Any] | None
    until: datetime | None
    accepted_at: datetime | None
    # Whether a listed right can be held against it; see `is_settled`.
    is_settled: bool
    # Something is noted of it that a right which is seen makes untrue.
    is_unseen: bool


def is_settled(state: str, lease: str | None, pending_steps: Sequence[Step] | None) -> bool:
    """Return whether a row is neither due nor being sent, so that a listed right can be held against what was accepted.

    A refused row counts too: its refused change may be the very consequence of a difference that only the list shows. But
    while it keeps a step that starts or extends a session, that step may have arrived, and the list shows either.
    """
    if lease is not None or state not in ("done", "refused"):
        return False
    return all(step.get("ends") for step in pending_steps or ())


def judge(row: Accepted, right: RightSeen, *, at: datetime) -> tuple[Finding, tuple[str, ...]]:
    """Return what a listed right of a registration's present session says at `at`, and what is otherwise in it."""
    if not row.is_settled or row.remote_state is None or row.until is None or row.accepted_at is None:
        return Finding.OPEN, ()
    if row.until <= at:
        # It is over here; that it is still listed for a moment says nothing.
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


def is_held(*, otherwise: int, expected: int) -> bool:
    """Whether a list in which `otherwise` rights are missing or different is not believed.

    `expected` rights must be listed now.
    """
    return otherwise > max(HELD_ROWS, HELD_SHARE * expected)


class Drift(NamedTuple):
    """Since when a registration drifts, how often it was put right since, and before when it is not tried again."""

    since: datetime | None = None
    tries: int = 0
    retry_at: datetime | None = None

    def may_try(self, now: datetime) -> bool:
        """Whether it may be tried now."""
        return self.retry_at is None or self.retry_at <= now


class Remedy(Enum):
    """How drift is put right."""

    NOTE = "note it and look again"
    SMALLEST = "the smallest event"
    ANEW = "a new session, and a stop of the old one"
    WAIT = "wait"


def remedy_for(drift: Drift, *, is_missing: bool, now: datetime, is_certain: bool = False) -> Remedy:
    """Return what to do about a right that is missing or different, by what was done before.

    What is missing is sent again only at the second look; what is listed otherwise is there to be seen, so it is put
    right at once. `is_certain` says that a person vouches for the list.
    """
    if is_certain:
        return Remedy.ANEW if is_missing else Remedy.SMALLEST
    if is_missing and (drift.since is None or drift.since > now - SETTLING_TIME):
        return Remedy.NOTE
    if not drift.may_try(now):
        return Remedy.WAIT
    return Remedy.ANEW if is_missing or drift.tries >= SMALL_TRIES else Remedy.SMALLEST


def wait_after(tries: int) -> timedelta:
    """Return how long drift waits after its `tries`-th try (from 1): not at first, then doubling."""
    if tries < SMALL_TRIES:
        return timedelta(0)
    return min(FIRST_WAIT * (1 << min(tries - SMALL_TRIES, 20)), LONGEST_WAIT)


class IdSet:
    """A set of many ids that takes little room: a bit for each number in the pages of 65,536 that hold any."""

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}
        self._count = 0

    def add(self, pk: int) -> None:
        """Put one in."""
        page = self._pages.get(pk >> 16)
        if page is None:
            page = self._pages[pk >> 16] = bytearray(8_192)
        place, bit = (pk & 0xFFFF) >> 3, 1 << (pk & 7)
        if not page[place] & bit:
            page[place] |= bit
            self._count += 1

    def discard(self, pk: int) -> None:
        """Take one out, if it is in."""
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
    """A right that is otherwise than was accepted, and the keys of what differs."""

    right: RightSeen
    names: tuple[str, ...] = ()
