"""The places at which one engine sends, and each connection's share of them. No database and no threads: numbers alone.

There are two kinds of places, as many of one as of the other. An *ordinary* one is for a request that is expected to be
answered at once. A *spare* one is for what may well not be: the probe of a connection that has failed, a request of a
connection whose last one was slow, and every request that has taken longer than `SLOW_S`, which moves over. So however many
companies are dead, they wait on the spare places, and the ordinary ones are for those that are well. Only when more requests
hang than there are spare places, in the first seconds of a large outage, do they take up ordinary ones.
"""

import time
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from integrations.delivery import rate_limit
from integrations.delivery.batch import Batch

# A request that takes longer than this is slow: such a connection gets few senders, so that it can't hold them all.
SLOW_S = 1.0
SLOW_SENDERS = 2
# Senders that no single connection gets: nobody knows that a remote is dead before its first requests have timed out.
SPARE_SENDERS = 2


@dataclass(slots=True, eq=False)
class Flight:
    """One unit under way. What its sender waits for its turns (a limit of requests) is no slowness of the remote."""

    unit: Batch
    began: float
    is_spare: bool = False
    sender: int | None = None
    waited_before_s: float = 0.0

    @property
    def connection_id(self) -> int:
        """The connection that it is of."""
        return self.unit.account.connection_id

    def took_s(self, now: float) -> float:
        """Return for how long the remote has been at it, while the unit is under way."""
        waited_s = 0.0 if self.sender is None else rate_limit.waited_s(self.sender) - self.waited_before_s
        return now - self.began - waited_s


class Places:
    """What is under way, and what may be started beside it."""

    def __init__(self, ordinary: int) -> None:
        """`ordinary` is the number of ordinary places; there are as many spare ones."""
        self.ordinary = self.spare = ordinary
        # The most connections that have failed which may be tried at once, however many of them there are.
        self.probes = max(1, 2 * ordinary // 3)
        self.flights: set[Flight] = set()
        self.busy: Counter[int] = Counter()
        self._slow: set[int] = set()

    def start(self, unit: Batch) -> Flight:
        """Note that a unit is under way from now on."""
        flight = Flight(unit, time.monotonic(), is_spare=self._takes_spare(unit))
        self.flights.add(flight)
        self.busy[flight.connection_id] += 1
        return flight

    def land(self, flight: Flight) -> None:
        """Note that a unit is back."""
        self.flights.discard(flight)
        pk = flight.connection_id
        self.busy[pk] -= 1
        if self.busy[pk] <= 0:
            del self.busy[pk]
        took_s = time.monotonic() - flight.began - sum(sent.waited_s for _, _, sent in flight.unit.pushes)
        (self._slow.add if took_s > SLOW_S else self._slow.discard)(pk)

    def look(self, now: float) -> None:
        """Find the requests that have become slow, and let them move over (`now` in monotonic seconds)."""
        for flight in self.flights:
            if not flight.is_spare and flight.took_s(now) > SLOW_S:
                flight.is_spare = True
                self._slow.add(flight.connection_id)

    def free(self) -> int:
        """Return how many ordinary places are free."""
        spare = sum(flight.is_spare for flight in self.flights)
        return self.ordinary - (len(self.flights) - spare) - max(0, spare - self.spare)

    def has_room(self, unit: Batch) -> bool:
        """Whether there is a place of its kind for a unit."""
        if self._takes_spare(unit):
            return sum(flight.is_spare for flight in self.flights) < self.spare
        return self.free() > 0

    def is_slow(self, connection_id: int) -> bool:
        """Whether a connection's requests are slow."""
        return connection_id in self._slow

    def share(self, connection_id: int, others: Collection[int]) -> int:
        """Return how many units a connection may have under way; `others` are those that send or want to.

        A slow one gets few, the others what an even share allows, with slack.
        """
        if connection_id in self._slow:
            return SLOW_SENDERS
        return max(2, self.ordinary - max(min(len(others), self.ordinary // 2), SPARE_SENDERS))

    def probes_left(self, lined_up: Iterable[Batch]) -> int:
        """Return how many more connections that have failed may be tried now."""
        under_way = sum(flight.unit.probing for flight in self.flights)
        return max(0, self.probes - under_way - sum(unit.probing for unit in lined_up))

    def _takes_spare(self, unit: Batch) -> bool:
        return unit.probing or unit.account.connection_id in self._slow
