"""The slots in which one engine sends, and each connection's share of them. No database and no threads: numbers alone.

There are two kinds of slots, as many of one as of the other. An *ordinary* one is for a request that is expected to be
answered at once. A *spare* one is for what may well not be: the probe of a connection that has failed, a request of a
connection whose last one was slow, and every request that has taken longer than `SLOW_S`, which moves over. So however
many companies' remotes hang, they occupy the spare slots, and the ordinary ones serve those that work. Only when more
requests hang than there are spare slots, in the first seconds of a large outage, do they take up ordinary ones.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from integrations.delivery import rate_limit
from integrations.delivery.batch import Batch

# A request that takes longer than this is slow: such a connection gets few senders, so that it can't hold them all.
SLOW_S = 1.0
SLOW_SENDERS = 2
# Senders that no single connection gets: a dead remote is not recognised before its first requests have timed out.
SPARE_SENDERS = 2
# The first claim of a connection takes no more rows than this, each full one twice as many as the one before: senders, and
# the other workers (which hear of a full claim), begin after hundredths of a second instead of waiting for a thousand rows.
FIRST_CLAIM_ROWS = 400
# And so long as most of them need nothing sent: they are recorded by the engine's own thread, and the others wait for it.
IDLE_CLAIM_ROWS = 200
CLAIM_ROWS = 1_000


@dataclass(slots=True, eq=False)
class Flight:
    """One batch in flight. What its sender waits for the rate limit does not count as slowness of the remote."""

    batch: Batch
    began: float
    is_spare: bool = False
    sender: int | None = None
    waited_before_s: float = 0.0

    @property
    def connection_id(self) -> int:
        """The id of the batch's connection."""
        return self.batch.connection_id

    def took_s(self, now: float) -> float:
        """Return for how long the remote has been working on the batch in flight, in seconds."""
        waited_s = 0.0 if self.sender is None else rate_limit.waited_s(self.sender) - self.waited_before_s
        return now - self.began - waited_s


class FairShare:
    """What is in flight, and how much may be claimed and started beside it."""

    def __init__(self, ordinary: int) -> None:
        """`ordinary` is the number of ordinary slots; there are as many spare ones."""
        self.ordinary = self.spare = ordinary
        # The most connections that have failed which may be tried at once, however many of them there are.
        self.probes = max(1, 2 * ordinary // 3)
        self.flights: set[Flight] = set()
        self.busy: Counter[int] = Counter()
        self._slow: set[int] = set()
        # How many rows the next claim of a connection may take, where its last one came back full.
        self._pace: dict[int, int] = {}

    # -- in flight -------------------------------------------------------------------------------------------

    def start(self, batch: Batch) -> Flight:
        """Note that a batch is in flight from now on."""
        flight = Flight(batch, time.monotonic(), is_spare=self._takes_spare(batch))
        self.flights.add(flight)
        self.busy[flight.connection_id] += 1
        return flight

    def land(self, flight: Flight) -> None:
        """Note that a batch is back."""
        self.flights.discard(flight)
        pk = flight.connection_id
        self.busy[pk] -= 1
        if self.busy[pk] <= 0:
            del self.busy[pk]
        took_s = time.monotonic() - flight.began - sum(sent.waited_s for _, _, sent in flight.batch.pushes)
        (self._slow.add if took_s > SLOW_S else self._slow.discard)(pk)

    def move_slow_ones(self, now: float) -> None:
        """Find the requests that have become slow, and move them to spare slots (`now` in monotonic seconds)."""
        for flight in self.flights:
            if not flight.is_spare and flight.took_s(now) > SLOW_S:
                flight.is_spare = True
                self._slow.add(flight.connection_id)

    def free(self) -> int:
        """Return how many ordinary slots are free."""
        spare = sum(flight.is_spare for flight in self.flights)
        return self.ordinary - (len(self.flights) - spare) - max(0, spare - self.spare)

    def has_room(self, batch: Batch) -> bool:
        """Whether there is a slot of its kind for a batch."""
        if self._takes_spare(batch):
            return sum(flight.is_spare for flight in self.flights) < self.spare
        return self.free() > 0

    def is_slow(self, connection_id: int) -> bool:
        """Whether a connection's requests are slow."""
        return connection_id in self._slow

    def probes_left(self, lined_up: Iterable[Batch]) -> int:
        """Return how many more connections that have failed may be tried now."""
        in_flight = sum(flight.batch.probing for flight in self.flights)
        return max(0, self.probes - in_flight - sum(batch.probing for batch in lined_up))

    def _takes_spare(self, batch: Batch) -> bool:
        return batch.probing or batch.connection_id in self._slow

    # -- shares ----------------------------------------------------------------------------------------------

    def share(self, connection_id: int, others: Collection[int]) -> int:
        """Return how many batches a connection may have in flight; `others` are those that send or want to.

        A slow one gets few, the others what an even share allows, with slack.
        """
        if connection_id in self._slow:
            return SLOW_SENDERS
        return max(2, self.ordinary - max(min(len(others), self.ordinary // 2), SPARE_SENDERS))

    def unclaimed(self, lined_up: Mapping[int, Sequence[Batch]], shares: Mapping[int, int]) -> int:
        """Return how many ordinary slots nothing is lined up for; what is beyond a connection's share does not count."""
        taken = sum(
            min(len(batches), max(0, shares[pk] - self.busy[pk]))
            for pk, batches in lined_up.items()
            if not self.is_slow(pk)
        )
        return self.free() - taken

    # -- how many rows a claim takes -------------------------------------------------------------------------

    def pace(self, connection_id: int) -> int:
        """Return how many rows the next claim of a connection may take."""
        return self._pace.get(connection_id, FIRST_CLAIM_ROWS)

    def claimed(self, connection_id: int, *, quota: int, is_full: bool, mostly_idle: bool) -> None:
        """Note how a claim of `quota` rows went: full (there is more), and whether most rows needed nothing sent."""
        self._pace.pop(connection_id, None)
        if is_full:
            self._pace[connection_id] = IDLE_CLAIM_ROWS if mostly_idle else min(2 * quota, CLAIM_ROWS)
