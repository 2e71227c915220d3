"""An engine's inbox: connections that have something due, and batches that are back from the senders.

`awake` are the connections to be claimed for next, in the order in which they were named. A wake-up says no more than "look
at this connection", so ten of them are one look.
"""

from collections.abc import Iterable
from queue import Empty, SimpleQueue

from integrations.delivery.fair_share import Flight


class Inbox:
    """`wake` and `put_back` may be called from any thread; the rest belongs to the engine's own."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Flight | list[int]] = SimpleQueue()
        self.awake: dict[int, None] = {}
        # Connections that may have more that is due than could be claimed: claimed for when one of their batches is back.
        self._unfinished: set[int] = set()

    def wake(self, connection_ids: Iterable[int]) -> None:
        """Queue these connections to be claimed for; returns at once."""
        self._queue.put(list(connection_ids))

    def put_back(self, flight: Flight) -> None:
        """Hand in a batch that a sender is done with."""
        self._queue.put(flight)

    def receive(self, wait_s: float) -> tuple[list[Flight], bool]:
        """Take what has arrived, waiting for the first; return the batches that are back, and whether anything came."""
        finished: list[Flight] = []
        heard = False
        try:
            item = self._queue.get(timeout=wait_s) if wait_s else self._queue.get_nowait()
            while True:
                heard = True
                if isinstance(item, Flight):
                    finished.append(item)
                else:
                    self.awaken(item)
                item = self._queue.get_nowait()
        except Empty:
            return finished, heard

    def awaken(self, connection_ids: Iterable[int]) -> None:
        """Claim for these connections in the next turn; those already awake keep their place in the order."""
        self.awake.update(dict.fromkeys(connection_ids))

    def claimed(self, connection_id: int) -> None:
        """Note that a connection was just claimed for."""
        self._unfinished.discard(connection_id)

    def no_room(self, connection_id: int) -> None:
        """Note that a connection could not be claimed for, since it has its share in flight."""
        self._unfinished.add(connection_id)

    def batch_recorded(self, connection_id: int, *, probing: bool) -> None:
        """Look at a connection again if it may have more, now that one of its batches is back."""
        if probing or connection_id in self._unfinished:
            self.awake.setdefault(connection_id)

    def forget(self, connection_id: int) -> None:
        """Leave a connection alone until something wakes it again."""
        self.awake.pop(connection_id, None)
        self._unfinished.discard(connection_id)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is waiting to be taken in."""
        return self._queue.empty()
