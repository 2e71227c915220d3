"""Batches on their way: lined up, in flight with a sender, or waiting for a lock to be recorded.

A sender thread does nothing but requests. All else, and with it everything that needs the database, is done by the
engine's own thread.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import structlog
from django.db.utils import DataError, IntegrityError
from django.utils.translation import gettext as _

from integrations.delivery import circuit_breaker, claim, host_failures, rate_limit, record_results
from integrations.delivery.batch import Batch, given_up, may_go
from integrations.delivery.connection_state import ConnectionState
from integrations.delivery.fair_share import FairShare, Flight
from integrations.delivery.inbox import Inbox
from integrations.vendors.errors import DeliveryError, Unexpected

log = structlog.get_logger(__name__)

RENEW_EVERY_S = 3.0
# How soon recording is tried again that a lock prevented; of one connection each time, so that waiting for locks
# (`record_results.LOCK_WAIT_MS`) takes up little of the engine's time, however many changes are being made.
LATE_AGAIN_S = 0.25


class Pipeline:
    """See the module's docstring."""

    def __init__(self, share: FairShare, inbox: Inbox) -> None:
        self._share = share
        self._inbox = inbox
        threads = share.ordinary + share.spare
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sender")
        self.lined_up: dict[int, list[Batch]] = {}
        self._renewed = time.monotonic()
        # Connections that may not send any more, as far as is known here: one of their requests was told to wait, or another
        # worker's was. Batches under way ask before each request; sender threads add to it.
        self._paused: set[int] = set()
        self.looked_at = time.monotonic()
        # Batches that a lock kept from being recorded, by connection, and when the next is tried again.
        self.late: dict[int, list[Batch]] = {}
        self._late_at = 0.0
        self._host_failures = host_failures.HostFailureDetector()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight, lined up or late."""
        return not (self._share.flights or self.lined_up or self.late)

    def all_lined_up(self) -> list[Batch]:
        """Return all batches that are lined up."""
        return [batch for batches in self.lined_up.values() for batch in batches]

    def load(self, connection_id: int) -> int:
        """Return how many batches of a connection are in flight or lined up."""
        return self._share.busy[connection_id] + len(self.lined_up.get(connection_id, ()))

    def share_of(self, connection_id: int) -> int:
        """Return how many batches a connection may have in flight."""
        others = self._share.busy.keys() | self.lined_up.keys() | self._inbox.awake.keys() - {connection_id}
        return self._share.share(connection_id, others)

    def unclaimed_slots(self) -> int:
        """Return how many ordinary slots nothing is lined up for."""
        return self._share.unclaimed(self.lined_up, {pk: self.share_of(pk) for pk in self.lined_up})

    # -- sending ---------------------------------------------------------------------------------------------

    def line_up(self, connection_id: int, batches: Iterable[Batch]) -> None:
        """Add batches to those that wait for a sender; urgent ones go to the front.

        They were claimed just now, so the connection may send.
        """
        self._paused.discard(connection_id)
        waiting = self.lined_up.setdefault(connection_id, [])
        waiting += batches
        waiting.sort(key=lambda batch: batch.outcomes[0].row.priority)

    def dispatch(self) -> None:
        """Hand batches that are lined up to the senders, one of each connection in turn."""
        started = True
        while started:
            started = False
            for pk in list(self.lined_up):
                waiting = self.lined_up[pk]
                if self._share.busy[pk] >= self.share_of(pk) or not self._share.has_room(waiting[0]):
                    continue
                batch = waiting.pop(0)
                batch.may_continue = partial(self._may_send, pk)
                self._pool.submit(self._deliver, self._share.start(batch))
                started = True
                if not waiting:
                    del self.lined_up[pk]

    def _deliver(self, flight: Flight) -> None:
        """Run in a sender thread."""
        batch = flight.batch
        flight.waited_before_s = rate_limit.waited_s()
        flight.sender = threading.get_ident()
        try:
            batch.deliver()
        except Exception as error:
            log.exception("a batch failed unexpectedly", connection_id=batch.connection_id)
            name = type(error).__name__
            for outcome in batch.outcomes:
                if outcome.steps and outcome.retry_error is None:
                    outcome.set_aside(Unexpected(_("Sending failed: %(name)s.") % {"name": name}, code=name))
        finally:
            if batch.trouble is not None:
                self._paused.add(batch.connection_id)
            self._inbox.put_back(flight)

    def _may_send(self, connection_id: int) -> bool:
        return connection_id not in self._paused

    # -- recording -------------------------------------------------------------------------------------------

    def record(self, batches: list[Batch]) -> None:
        """Record batches that are back, need nothing sent or are given back; those that a lock prevents become late."""
        now: list[Batch] = []
        for batch in batches:
            # It joins what is late of its connection, so that those locks are waited for once and not with each batch.
            late = self.late.get(batch.connection_id)
            (now if late is None else late).append(batch)
        if not now:
            return
        try:
            recorded = record_results.record(now)
        except (record_results.Blocked, DataError, IntegrityError) as error:
            self._record_apart(now, error)
            return
        self._inbox.awaken(recorded.due_again)
        for batch in now:
            pk = batch.connection_id
            self._host_failures.note(batch, now=recorded.at)
            if batch.trouble is not None:
                # What was claimed and not sent waits with the rest; its lease runs out, or the probe finds it.
                self._inbox.forget(pk)
                self._give_back(pk, batch.trouble)
            else:
                self._inbox.batch_recorded(pk, probing=batch.probing)

    def _record_apart(self, batches: list[Batch], error: Exception) -> None:
        """Record what could not be recorded together: by connection, then one by one, so that the cause stands alone."""
        by_connection = defaultdict(list)
        for batch in batches:
            by_connection[batch.connection_id].append(batch)
        if len(by_connection) > 1:
            for batches_of_one in by_connection.values():
                self.record(batches_of_one)
        elif isinstance(error, record_results.Blocked):
            self.late |= by_connection
        elif len(batches) > 1:
            for batch in batches:
                self.record([batch])
        elif batches[0].pushes:
            name = type(error).__name__
            log.error("a result could not be written", connection_id=next(iter(by_connection)), error=name)
            self.record([given_up(batches[0], name)])
        else:
            raise error

    def record_late(self) -> None:
        """Try again to record what a lock prevented: one connection each time, in turn."""
        now = time.monotonic()
        if self.late and now >= self._late_at:
            self._late_at = now + LATE_AGAIN_S
            pk = next(iter(self.late))
            self.record(self.late.pop(pk))

    # -- leases ----------------------------------------------------------------------------------------------

    def renew_leases(self) -> None:
        """Extend the leases of what is in flight, lined up or late, when some of it has taken long."""
        now = time.monotonic()
        self._share.move_slow_ones(now)
        if now - self._renewed < RENEW_EVERY_S:
            return
        self._renewed = now
        held = [flight.batch for flight in self._share.flights if now - flight.began > RENEW_EVERY_S]
        held += self.all_lined_up()
        held += [batch for late in self.late.values() for batch in late]
        # Not what has lost its leases meanwhile (this process was frozen): another worker has it.
        held = [batch for batch in held if now <= batch.good_until]
        if held:
            claim.renew([row for batch in held for row in batch.rows])
            for batch in held:
                batch.good_until = now + claim.LEASE_SAFE_S

    # -- not sent after all ----------------------------------------------------------------------------------

    def _give_back(self, connection_id: int, error: DeliveryError) -> None:
        """Record what was claimed of a connection in trouble and not sent: it stays due."""
        unsent = self.lined_up.pop(connection_id, [])
        for batch in unsent:
            for outcome in batch.outcomes:
                outcome.retry(error)
        if unsent:
            self.record(unsent)

    def release_stopped(
        self, connection_ids: Iterable[int], connections: Mapping[int, ConnectionState]
    ) -> None:
        """Release what is lined up of connections that another worker was told to wait for, or that a person has paused."""
        for pk in connection_ids:
            going: list[Batch] = []
            stopped: list[Batch] = []
            for batch in self.lined_up.pop(pk, []):
                (going if may_go(batch, connections.get(pk)) else stopped).append(batch)
            if going:
                self.lined_up[pk] = going
            if stopped:
                claim.release([row for batch in stopped for row in batch.rows])

    def look_at_breakers(self, connections: Mapping[int, ConnectionState]) -> None:
        """Take in how the connections with batches lined up or in flight (`connection_ids`) stand by now."""
        self.looked_at = time.monotonic()
        ids = self.connection_ids()
        for pk in ids | self._paused:
            state = connections.get(pk)
            is_open = state is None or any(breaker.open_until is not None for breaker in state.breakers)
            (self._paused.add if is_open and pk in ids else self._paused.discard)(pk)
        self.release_stopped(list(self.lined_up), connections)

    def connection_ids(self) -> set[int]:
        """Return the connections that have batches lined up or in flight."""
        return set(self._share.busy) | set(self.lined_up)

    def release_all(self) -> None:
        """Let other workers have what is lined up here."""
        unsent = self.all_lined_up()
        self.lined_up.clear()
        claim.release([row for batch in unsent for row in batch.rows])
        for batch in unsent:
            if batch.probing:
                circuit_breaker.release_probe(batch.connection_id, batch.vendor.slug)

    def drop(self) -> None:
        """Forget what is lined up, after an error in the database: its leases run out and it is claimed again."""
        self.lined_up.clear()

    def close(self) -> None:
        """End the sender threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
