"""The delivery engine: one per worker process; it claims, sends and records as a pipeline.

One thread (`Engine.run`) does everything that needs the database; a number of sender threads do nothing but requests. The
engine is level-triggered: a wake-up says only "look at this connection", and each look claims what is due *now*. It looks
again while claims come back full, and when a row turns out to have been changed in flight, so nothing is missed between two
wake-ups; a full claim also passes the hint on, so that other workers join in.

    wake-ups ─┐
              ├─ inbox ─→ senders get what is lined up ─→ record ─→ renew leases ─→ claim for woken connections ─┐
    finished ─┘ ←──────────────────────────────────── senders ←──────────────────────────────────────────────────┘

Three parts: `inbox` is what the engine hears, `fair_share` who may send how much, `pipeline` the batches from being claimed
to being recorded. The engine itself takes the turns, and claims. About one round of batches is lined up beyond what the
senders hold, so that they need not wait for the database; what is urgent goes to the front.

Fairness: each connection may have at most a share of the senders, never all of them, and takes at most `CLAIM_ROWS` rows at
a time; requests that hang move aside for the others (`integrations.delivery.fair_share`). So a connection with a hundred
thousand rows leaves the others their senders, and so does any number of connections whose remote is dead.

No transaction is open while anything is sent. Several engines (workers) share the rows through leases, and share what
is wrong with a remote through breakers; they know nothing of each other.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.db.utils import Error as DatabaseError

from integrations.delivery import circuit_breaker, claim
from integrations.delivery.batch import Batch, batches
from integrations.delivery.claim import ClaimRequest
from integrations.delivery.connection_state import ConnectionState, read_connections
from integrations.delivery.fair_share import CLAIM_ROWS, FairShare
from integrations.delivery.inbox import Inbox
from integrations.delivery.pipeline import LATE_AGAIN_S, Pipeline
from integrations.delivery.row_outcome import ClaimedRow
from integrations.vendors.protocol import get_vendor

log = structlog.get_logger(__name__)

CONNECTIONS_PER_CLAIM = 64
IDLE_S = 1.0
DATABASE_PAUSE_S = 0.5
# While something waits for a sender, this is how often it is checked whether a request has become slow and moves aside.
CROWDED_S = 0.1
# How soon what another worker was told (`Retry-After`) reaches this one's batches.
LOOK_EVERY_S = 0.2


class Engine:
    """See the module's docstring. `wake` may be called from any thread; `run` and `drain` from one."""

    def __init__(
        self,
        *,
        senders: int | None = None,
        pass_on: Callable[[Iterable[int]], None] = lambda _ids: None,
        on_turn: Callable[[], None] = lambda: None,
    ) -> None:
        """`senders` is the number of deliveries at once (None: by the settings).

        `pass_on` tells other workers that these connections have more than was claimed. `on_turn` is called after each turn
        that went well, about once a second at least.
        """
        self._pass_on = pass_on
        self._on_turn = on_turn
        self._share = FairShare(senders or settings.DELIVERIES_AT_ONCE)
        self._inbox = Inbox()
        self._pipeline = Pipeline(self._share, self._inbox)

    # -- from outside ----------------------------------------------------------------------------------------

    def wake(self, connection_ids: Iterable[int]) -> None:
        """Look at these connections soon; returns at once."""
        self._inbox.wake(connection_ids)

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish what is in flight; while the database can't be reached, wait."""
        while not stop.is_set():
            try:
                self._turn(IDLE_S)
                self._on_turn()
            except DatabaseError:
                log.exception("the database did not answer; continuing in a moment")
                self._forget()
                stop.wait(DATABASE_PAUSE_S)
            except Exception:
                log.exception("unexpected error in the engine; continuing")
                self._forget()
                stop.wait(DATABASE_PAUSE_S)
        self._finish()

    def drain(self, connection_ids: Iterable[int]) -> int:
        """Deliver until nothing more can be claimed of these connections now; return the number of rows looked at."""
        self.wake(connection_ids)
        rows = 0
        while not self._pipeline.is_idle or self._inbox.awake or not self._inbox.is_empty:
            rows += self._turn(IDLE_S)
        return rows

    def close(self) -> None:
        """End the sender threads."""
        self._pipeline.close()

    # -- one turn --------------------------------------------------------------------------------------------

    def _turn(self, idle_s: float) -> int:
        """Take in what has happened, record, claim, send; return the number of rows claimed."""
        wait_s = min(idle_s, LATE_AGAIN_S) if self._pipeline.late else idle_s
        wait_s = min(wait_s, CROWDED_S) if self._inbox.awake or self._pipeline.lined_up else wait_s
        wait_s = min(wait_s, LOOK_EVERY_S) if self._share.flights else wait_s
        finished, heard = self._receive(0 if self._can_claim() else wait_s)
        # At once, so that senders wait for the remote alone; but nothing more where one was just told to wait.
        if not any(batch.trouble for batch in finished):
            self._pipeline.dispatch()
        if finished:
            self._pipeline.record(finished)
        self._pipeline.record_late()
        self._pipeline.renew_leases()
        self._look_at_breakers()
        rows = self._claim() if self._can_claim() else 0
        self._pipeline.dispatch()
        if not heard and not self._share.flights and not self._inbox.awake and not self._pipeline.late:
            close_old_connections()
        return rows

    def _look_at_breakers(self) -> None:
        """Learn now and then whether another worker was told to wait, for as long as anything is lined up or in flight."""
        if time.monotonic() - self._pipeline.looked_at >= LOOK_EVERY_S and (
            ids := self._pipeline.connection_ids()
        ):
            _now, connections = read_connections(sorted(ids))
            self._pipeline.look_at_breakers(connections)

    def _receive(self, wait_s: float) -> tuple[list[Batch], bool]:
        """Take in what has arrived; return the batches that are back, and whether anything came."""
        finished, heard = self._inbox.receive(wait_s)
        for flight in finished:
            self._share.land(flight)
        return [flight.batch for flight in finished], heard

    def _can_claim(self) -> bool:
        return bool(self._inbox.awake) and self._pipeline.unclaimed_slots() > 0

    # -- claiming --------------------------------------------------------------------------------------------

    def _claim(self) -> int:
        good_until = time.monotonic() + claim.LEASE_SAFE_S
        awake, lined_up = self._inbox.awake, self._pipeline.lined_up
        wanted = list(awake)[:CONNECTIONS_PER_CLAIM]
        waiting = [pk for pk in lined_up if pk not in awake][:CONNECTIONS_PER_CLAIM]
        now, connections = read_connections([*wanted, *waiting])
        self._pipeline.release_stopped([*wanted, *waiting], connections)
        found = self._requests(wanted, {pk: connections[pk] for pk in wanted if pk in connections}, now)
        requests = {request.account.connection_id: request for request in found}
        rows = claim.claim(found, now=now) if found else []
        for pk in wanted:
            awake.pop(pk, None)
        self._after_claim(requests, rows)
        self._line_up(rows, requests, good_until, now)
        return len(rows)

    def _requests(
        self, connection_ids: list[int], connections: dict[int, ConnectionState], now: datetime
    ) -> list[ClaimRequest]:
        """Return what may be claimed of each connection that may send and has room."""
        permissions = circuit_breaker.send_permissions(
            {pk: connection.breakers for pk, connection in connections.items()},
            now=now,
            most_probes=self._share.probes_left(self._pipeline.all_lined_up()),
        )
        requests = []
        for pk in connection_ids:
            connection = connections.get(pk)
            if connection is None or not permissions[pk].may_send:
                continue
            vendor, permission = get_vendor(connection.vendor), permissions[pk]
            room = 2 * self._pipeline.share_of(pk) - self._pipeline.load(pk)
            if room <= 0:
                self._inbox.no_room(pk)
                if permission.probing:
                    circuit_breaker.release_probe(pk, connection.vendor)
                continue
            each = max(vendor.batch_size, CLAIM_ROWS // len(connection_ids))
            # While another transaction holds rows of its, a few at a time: the urgent come first, and the rest can't be
            # recorded yet.
            pace = vendor.batch_size if pk in self._pipeline.late else self._share.pace(pk)
            quota = 1 if permission.probing else min(each, pace, room * vendor.batch_size)
            requests.append(
                ClaimRequest(connection.account, vendor, quota, permission, tests_only=not connection.is_live)
            )
        return requests

    def _after_claim(self, requests: dict[int, ClaimRequest], rows: list[ClaimedRow]) -> None:
        """Note what each connection's claim gave: those with more are looked at again, here and by other workers."""
        got = Counter(row.connection_id for row in rows)
        idle = Counter(row.connection_id for row in rows if not row.steps)
        full = []
        for pk, request in requests.items():
            self._inbox.claimed(pk)
            is_full = not request.permission.probing and got[pk] >= request.quota
            self._share.claimed(pk, quota=request.quota, is_full=is_full, mostly_idle=2 * idle[pk] > got[pk])
            if is_full:
                full.append(pk)
            elif request.permission.probing and not got[pk]:
                circuit_breaker.release_probe(pk, request.vendor.slug)
        if full:
            self._inbox.awaken(full)
            self._pass_on(full)

    def _line_up(
        self, rows: list[ClaimedRow], requests: dict[int, ClaimRequest], good_until: float, now: datetime
    ) -> None:
        """Record rows that need nothing sent; line the others up."""
        idle: dict[int, list[ClaimedRow]] = defaultdict(list)
        to_send: dict[int, list[ClaimedRow]] = defaultdict(list)
        for row in rows:
            (to_send if row.steps else idle)[row.connection_id].append(row)
        if idle:
            self._pipeline.record(
                [Batch.of(mine, requests[pk].account, requests[pk].vendor, now) for pk, mine in idle.items()]
            )
        for pk, mine in to_send.items():
            request = requests[pk]
            probing = request.permission.probing
            made = batches(mine, request.account, request.vendor, now=now, probing=probing)
            for batch in made:
                batch.good_until = good_until
            self._pipeline.line_up(pk, made)
        for pk in idle.keys() - to_send.keys():
            if requests[pk].permission.probing:
                circuit_breaker.release_probe(pk, requests[pk].vendor.slug)
                self._inbox.awaken([pk])

    # -- ending ----------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """After an error in the database: drop what is lined up; the leases run out and the rows are claimed again."""
        self._pipeline.drop()
        close_old_connections()

    def _finish(self) -> None:
        """Release what was not sent, and record what is in flight, for as long as a request may take."""
        unfinished = [flight.batch for flight in self._share.flights]
        unfinished += [batch for late in self._pipeline.late.values() for batch in late]
        longest_s = max((batch.vendor.total_timeout_s for batch in unfinished), default=0.0)
        give_up_at = time.monotonic() + longest_s + 2
        try:
            self._pipeline.release_all()
        except DatabaseError:
            log.exception("leases could not be released; they run out")
        while (self._share.flights or self._pipeline.late) and time.monotonic() < give_up_at:
            finished, _heard = self._receive(0.2)
            try:
                if finished:
                    self._pipeline.record(finished)
                self._pipeline.record_late()
            except DatabaseError:
                log.exception("a result could not be recorded; the same events will be sent again")
        self.close()
        close_old_connections()
