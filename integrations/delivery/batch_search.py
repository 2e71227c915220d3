"""Finds which events of a batch the vendor refuses if it refuses a request as a whole without saying which. Pure.

Group testing: a group that is accepted is done; one that is refused holds at least one bad event, and is halved until one
stands alone and gets an answer of its own. How large the next group is follows from how many were bad so far: few bad ones
are found by halving large groups (about log2(n/d) + 2 requests each), and where more than a quarter are bad each event is
sent alone, which no scheme that gives every refused event its own answer can better by much. Events that were refused at an
earlier attempt are suspected from the beginning.

    Requests for 1,000 events in batches of 100 (the mean), beside the least that information theory allows:

    | bad | halving alone | this | least |
    |---|---|---|---|
    | 1 % | 138 | 113 | 81 |
    | 10 % | 740 | 554 | 469 |
    | 30 % | 1,381 | 1,020 | 881 |
    | all | 1,990 | 1,030 | – |

Invariant: each event is in exactly one of the pool, the suspected group or what was decided.
"""

import math
from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

# The rate of bad events is estimated as if so many had been looked at before, and so many of them had been bad.
_SEEN_BEFORE = 4.0
_BAD_BEFORE = 0.5
_SUSPECTED_BEFORE = 2.0
# From this rate on each event goes alone.
_ALONE_FROM = 0.28
# And from this one on hints cost more than they save: two requests for each bad event.
_NO_HINTS_FROM = 0.5


class BatchSearch(Generic[T]):
    """Decides which events are sent together next, and is told the results."""

    def __init__(self, events: Sequence[T], *, most: int, suspected: bool = False) -> None:
        """At most `most` go out together. `suspected` says that these were refused before: each is best sent alone."""
        self._pool = list(events)
        self._group: list[T] = []
        self._next: list[T] = []
        self._bad = _SUSPECTED_BEFORE if suspected else _BAD_BEFORE
        self._seen = _SEEN_BEFORE
        self._before = 0
        # Nothing was refused yet, or each refusal says whom it is about: all go together.
        self._together = not suspected
        self._most = most

    @property
    def left(self) -> list[T]:
        """The events that nothing was decided about."""
        return self._group + self._pool

    def next(self) -> list[T]:
        """Return the events to be sent together now; empty when all are decided."""
        if not self._next:
            if self._group:
                size = min(max(1, len(self._group) // 2), self._size())
                self._next = self._group[:size]
            else:
                self._next = self._pool[: len(self._pool) if self._together else self._size()]
            self._next = self._next[: self._most]
        return list(self._next)

    def decided(self, *, bad: int = 0) -> None:
        """Each event of `next` has its own result by now; `bad` of them were refused."""
        self._seen += len(self._next)
        self._bad += bad
        self._take_out(self._next)
        if bad:
            # Nothing is known any more of the others of its group.
            self._pool, self._group = self._group + self._pool, []

    def refused(self) -> None:
        """`next` was refused as a whole and does not say for whom."""
        tried = self._next
        self._together = False
        self._pool = _without(self.left, tried)
        self._group, self._next = tried, []

    def named(self, events: Sequence[T]) -> None:
        """`next` was refused as a whole for these: they are decided, and the others go together again."""
        self._take_out(events)
        self.together()

    def together(self) -> None:
        """All that are left go together next: each refusal says whom it is about."""
        self._together = True
        self._pool, self._group = self.left, []

    def try_alone(self, event: T) -> None:
        """Send this event alone next."""
        self._next = [event]

    def too_many(self, count: int) -> None:
        """`count` events were too many for one request; that says nothing of any of them."""
        self._most = max(1, count // 2)
        self._next = []

    def is_worth_a_hint(self, *, before: int) -> bool:
        """Whether to ask alone for an event that `next` was refused for as it seems, with so many `before` it.

        Not if so many are bad that each is best sent alone: a hint costs two requests for each bad event. The events
        before it are taken for good here, as if the first bad one were named.
        """
        self._before = max(self._before, before)
        return self._bad / (self._seen + self._before) < _NO_HINTS_FROM

    def _size(self) -> int:
        """Return how many events make a group that is as likely to be refused as not."""
        rate = self._bad / self._seen
        return 1 if rate >= _ALONE_FROM else max(1, int(math.log(0.5) / math.log1p(-rate)))

    def _take_out(self, events: Collection[T]) -> None:
        self._pool, self._group = _without(self._pool, events), _without(self._group, events)
        self._next = []


def _without(events: Sequence[T], those: Collection[T]) -> list[T]:
    gone = {id(event) for event in those}
    return [event for event in events if id(event) not in gone]
