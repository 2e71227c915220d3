"""The delivery engine: one per worker process; claims, sends and settles as a pipeline.

One thread (`Engine.run`) does everything that needs the database; a few sender threads do nothing but requests. The engine
is level-triggered: a wake-up says only "look at this connection", and each look claims what is due *now*. It looks again
while claims come back full, and when a row turns out to have been changed under way, so nothing is missed between two
wake-ups; a full claim also passes the hint on, so that other workers join in.

    wake-ups ─┐
              ├─ inbox ─→ senders get what is lined up ─→ settle ─→ renew leases ─→ claim for woken connections ─┐
    finished ─┘ ←──────────────────────────────────── senders ←──────────────────────────────────────────────────┘

Up to one round is lined up beyond what the senders hold, so that they need not wait for the database; what is urgent
goes to the front of it.

Fairness: each connection may have at most a share of the senders under way, never all of them, and takes at most
`CLAIM_ROWS` rows at a time; requests that hang give way to the others (`integrations.delivery.fair_share`). So one with a
hundred thousand rows leaves the others their senders, and so do any number with a dead remote.
No transaction is open while anything is sent. Several engines (workers) share the rows through leases and the trouble
through breakers; they know nothing of each other.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from queue import Empty, SimpleQueue

import structlog
from django.conf import settings
from django.db import close_old_connections
from django.db.utils import DataError, IntegrityError
from django.db.utils import Error as DatabaseError
from django.utils.translation import gettext as _

from integrations.delivery import circuit_breaker, claim, host_failures, rate_limit, record_results
from integrations.delivery.batch import Batch, batches, given_up, may_go, set_aside
from integrations.delivery.claim import ClaimedRow, ClaimRequest, ConnectionState
from integrations.delivery.fair_share import Flight, Places
from integrations.vendors.errors import DeliveryError, Unexpected
from integrations.vendors.protocol import get_vendor

log = structlog.get_logger(__name__)

SENDERS = 18
# Rows that a claim takes, shared by its connections; each gets at least one batch.
CLAIM_ROWS = 1_000
# The first claim of a connection takes no more than this, each full one twice as many as the one before: senders, and the
# other workers (which hear of a full claim), begin after hundredths of a second instead of waiting for a thousand rows.
FIRST_CLAIM_ROWS = 400
# And so long as most of what it gets needs nothing sent: that is settled right here, and the others wait for it.
IDLE_CLAIM_ROWS = 200
CONNECTIONS_PER_CLAIM = 64
RENEW_EVERY_S = 3.0
IDLE_S = 1.0
DATABASE_PAUSE_S = 0.5
# How soon results are written again that somebody's lock kept from it; of one connection each time, so that a waiting for
# locks (`settling.LOCK_WAIT_MS`) takes up little of everybody's time, however many changes are under way.
LATE_AGAIN_S = 0.25
# While something waits for a sender, it is looked this often whether a request has become slow and given way.
CROWDED_S = 0.1
# Nothing is sent in the last moments of a lease: whoever was frozen that long may have lost the rows to another worker.
LEASE_MARGIN_S = 1.0


class Engine:
    """See the module's text. `wake` may be called from any thread; `run` and `drain` from one."""

    def __init__(
        self, *, senders: int = SENDERS, pass_on: Callable[[Iterable[int]], None] = lambda _ids: None
    ) -> None:
        """`pass_on` hints other workers that these connections have more than was claimed."""
        self._pass_on = pass_on
        self._places = Places(senders)
        threads = self._places.ordinary + self._places.spare
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="sender")
        self._inbox: SimpleQueue[Flight | list[int]] = SimpleQueue()
        self._awake: dict[int, None] = {}
        # Connections that may have more that is due than could be claimed: looked at when something of theirs lands.
        self._more: set[int] = set()
        # How many rows the next claim of a connection may take, where its last one came back full.
        self._pace: dict[int, int] = {}
        self._ready: dict[int, list[Batch]] = {}
        self._renewed = time.monotonic()
        # Units that somebody's lock kept from being settled, by connection, and when the next is tried again.
        self._late: dict[int, list[Batch]] = {}
        self._late_at = 0.0
        self._trouble = host_failures.HostFailureDetector()

    # -- from outside ----------------------------------------------------------------------------------------

    def wake(self, connection_ids: Iterable[int]) -> None:
        """Look at these connections soon; returns at once."""
        self._inbox.put(list(connection_ids))

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set, then finish what is under way; a database that is away is waited for."""
        while not stop.is_set():
            try:
                self._turn(IDLE_S)
            except DatabaseError:
                log.exception("the database did not answer; going on in a moment")
                self._forget()
                stop.wait(DATABASE_PAUSE_S)
            except Exception:
                log.exception("the engine met something that nobody foresaw; going on")
                self._forget()
                stop.wait(DATABASE_PAUSE_S)
        self._finish()

    def drain(self, connection_ids: Iterable[int]) -> int:
        """Deliver until nothing more can be claimed of these connections now; return the number of rows looked at."""
        self.wake(connection_ids)
        rows = 0
        while self._places.flights or self._ready or self._awake or self._late or not self._inbox.empty():
            rows += self._turn(IDLE_S)
        return rows

    def close(self) -> None:
        """End the sender threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    # -- one turn --------------------------------------------------------------------------------------------

    def _turn(self, idle_s: float) -> int:
        """Take in what has happened, settle, claim, send; return the number of rows claimed."""
        can_claim = bool(self._awake) and self._free() > 0
        wait_s = min(idle_s, LATE_AGAIN_S) if self._late else idle_s
        wait_s = min(wait_s, CROWDED_S) if self._awake or self._ready else wait_s
        finished, heard = self._receive(0 if can_claim else wait_s)
        # At once, so that senders wait for the remote alone; but nothing more where one was just told to wait.
        if not any(flight.unit.trouble for flight in finished):
            self._dispatch()
        if finished:
            self._settle([flight.unit for flight in finished])
        self._settle_late()
        self._renew()
        rows = self._claim() if self._awake and self._free() > 0 else 0
        self._dispatch()
        if not heard and not self._places.flights and not self._awake and not self._late:
            close_old_connections()
        return rows

    def _receive(self, wait_s: float) -> tuple[list[Flight], bool]:
        """Take in what has arrived, waiting for the first; return what has finished, and whether anything came."""
        finished: list[Flight] = []
        heard = False
        try:
            item = self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait()
            while True:
                heard = True
                if isinstance(item, Flight):
                    finished.append(item)
                    self._places.land(item)
                else:
                    self._awake.update(dict.fromkeys(item))
                item = self._inbox.get_nowait()
        except Empty:
            return finished, heard

    def _settle(self, units: list[Batch]) -> None:
        """Settle units that are back, that need nothing sent, or that are given back; whatever is held up becomes late."""
        now_or_later = defaultdict(list)
        for unit in units:
            now_or_later[unit.account.connection_id in self._late].append(unit)
        # They join what is late of their connection, so that its locks are waited for once and not with each of them.
        for unit in now_or_later[True]:
            self._late[unit.account.connection_id].append(unit)
        if not now_or_later[False]:
            return
        units = now_or_later[False]
        try:
            settled = record_results.record(units)
        except (record_results.Blocked, DataError, IntegrityError) as error:
            self._settle_apart(units, error)
            return
        self._awake.update(dict.fromkeys(settled.due_again))
        for unit in units:
            pk = unit.account.connection_id
            self._trouble.note(unit, now=settled.at)
            if unit.trouble is not None:
                # What was claimed and not yet sent waits with the rest; its lease runs out or the probe finds it.
                self._awake.pop(pk, None)
                self._more.discard(pk)
                self._give_back(pk, unit.trouble)
            elif pk in self._more or unit.probing:
                self._awake.setdefault(pk)

    def _settle_apart(self, units: list[Batch], error: Exception) -> None:
        """Settle what could not be settled together: by connection, then one by one, so that the cause stands alone."""
        by_connection = defaultdict(list)
        for unit in units:
            by_connection[unit.account.connection_id].append(unit)
        if len(by_connection) > 1:
            for units_of_one in by_connection.values():
                self._settle(units_of_one)
        elif isinstance(error, record_results.Blocked):
            self._late |= by_connection
        elif len(units) > 1:
            for unit in units:
                self._settle([unit])
        elif units[0].pushes:
            name = type(error).__name__
            log.error("a result could not be written", connection_id=next(iter(by_connection)), error=name)
            self._settle([given_up(units[0], name)])
        else:
            raise error

    def _settle_late(self) -> None:
        """Try again with what locks had kept from being settled: one connection each time, in turn."""
        now = time.monotonic()
        if self._late and now >= self._late_at:
            self._late_at = now + LATE_AGAIN_S
            pk = next(iter(self._late))
            self._settle(self._late.pop(pk))

    def _give_back(self, connection_id: int, error: DeliveryError) -> None:
        """Settle what was claimed of a connection in trouble and not sent: it stays due."""
        unsent = self._ready.pop(connection_id, [])
        for unit in unsent:
            for work in unit.works:
                work.later = error
        if unsent:
            self._settle(unsent)

    def _renew(self) -> None:
        """Lengthen the leases of what is under way or lined up, when some of it has taken long."""
        now = time.monotonic()
        self._places.look(now)
        if now - self._renewed < RENEW_EVERY_S:
            return
        self._renewed = now
        held = [flight.unit for flight in self._places.flights if now - flight.began > RENEW_EVERY_S]
        held += [unit for waiting in self._ready.values() for unit in waiting]
        held += [unit for late in self._late.values() for unit in late]
        # Not what has lost its leases meanwhile (this process was frozen): another worker has it.
        held = [unit for unit in held if now <= unit.good_until]
        if held:
            claim.renew([work for unit in held for work in unit.works])
            for unit in held:
                unit.good_until = now + claim.LEASE.total_seconds() - LEASE_MARGIN_S

    # -- claiming and sending --------------------------------------------------------------------------------

    def _free(self) -> int:
        """Places that no connection has a claim on: what is lined up counts only as far as its share reaches."""
        claimed = sum(
            min(len(units), max(0, self._share(pk) - self._places.busy[pk]))
            for pk, units in self._ready.items()
            if not self._places.is_slow(pk)
        )
        return self._places.free() - claimed

    def _load(self, connection_id: int) -> int:
        return self._places.busy[connection_id] + len(self._ready.get(connection_id, ()))

    def _share(self, connection_id: int) -> int:
        others = self._places.busy.keys() | self._ready.keys() | self._awake.keys() - {connection_id}
        return self._places.share(connection_id, others)

    def _claim(self) -> int:
        good_until = time.monotonic() + claim.LEASE.total_seconds() - LEASE_MARGIN_S
        wanted = list(self._awake)[:CONNECTIONS_PER_CLAIM]
        waiting = [pk for pk in self._ready if pk not in self._awake][:CONNECTIONS_PER_CLAIM]
        now, connections = claim.connections([*wanted, *waiting])
        self._stop_short([*wanted, *waiting], connections)
        asks = self._asks(wanted, {pk: connections[pk] for pk in wanted if pk in connections}, now)
        works = claim.claim(asks, now=now) if asks else []
        got = Counter(work.connection_id for work in works)
        idle = Counter(work.connection_id for work in works if not work.steps)
        asked = {ask.account.connection_id: ask for ask in asks}
        full = []
        for pk in wanted:
            ask = asked.get(pk)
            self._awake.pop(pk, None)
            if ask is None:
                continue
            self._more.discard(pk)
            self._pace.pop(pk, None)
            if ask.gate.probing:
                if not got[pk]:
                    circuit_breaker.release_probe(pk, ask.vendor.slug)
            elif got[pk] >= ask.quota:
                # Looked at again after the others, and by other workers as well.
                self._awake[pk] = None
                mostly_idle = 2 * idle[pk] > got[pk]
                self._pace[pk] = IDLE_CLAIM_ROWS if mostly_idle else min(2 * ask.quota, CLAIM_ROWS)
                full.append(pk)
        if full:
            self._pass_on(full)
        self._take_in(works, asked, good_until, now)
        return len(works)

    def _stop_short(self, connection_ids: list[int], connections: dict[int, ConnectionState]) -> None:
        """Give back what is lined up of connections that another worker was told to wait for, or that a person has paused."""
        for pk in connection_ids:
            going: list[Batch] = []
            stopped: list[Batch] = []
            for unit in self._ready.pop(pk, []):
                (going if may_go(unit, connections.get(pk)) else stopped).append(unit)
            if going:
                self._ready[pk] = going
            if stopped:
                claim.release([work for unit in stopped for work in unit.works])

    def _asks(
        self, connection_ids: list[int], connections: dict[int, ConnectionState], now: datetime
    ) -> list[ClaimRequest]:
        lined_up = [unit for units in self._ready.values() for unit in units]
        gates = circuit_breaker.send_permissions(
            {pk: party.breakers for pk, party in connections.items()},
            now=now,
            most_probes=self._places.probes_left(lined_up),
        )
        asks = []
        for pk in connection_ids:
            party = connections.get(pk)
            if party is None or not gates[pk].may_send:
                continue
            vendor = get_vendor(party.vendor)
            room = 2 * self._share(pk) - self._load(pk)
            if room <= 0:
                self._more.add(pk)  # looked at again when one of its units has landed
                if gates[pk].probing:
                    circuit_breaker.release_probe(pk, party.vendor)
                continue
            each = max(vendor.batch_size, CLAIM_ROWS // len(connection_ids))
            # While somebody holds rows of its, a few at a time: the urgent come first, and the rest can't be settled yet.
            pace = vendor.batch_size if pk in self._late else self._pace.get(pk, FIRST_CLAIM_ROWS)
            quota = 1 if gates[pk].probing else min(each, pace, room * vendor.batch_size)
            asks.append(ClaimRequest(party.account, vendor, quota, gates[pk], tests_only=not party.is_live))
        return asks

    def _take_in(
        self, works: list[ClaimedRow], asked: dict[int, ClaimRequest], good_until: float, now: datetime
    ) -> None:
        """Settle rows that need nothing sent; line the others up."""
        idle = [work for work in works if not work.steps]
        if idle:
            nothing = defaultdict(list)
            for work in idle:
                nothing[work.connection_id].append(work)
            self._settle(
                [Batch(asked[pk].account, asked[pk].vendor, mine, now) for pk, mine in nothing.items()]
            )
        busy = defaultdict(list)
        for work in works:
            if work.steps:
                busy[work.connection_id].append(work)
        for pk, mine in busy.items():
            ask = asked[pk]
            made = batches(mine, ask.account, ask.vendor, now=now, probing=ask.gate.probing)
            for unit in made:
                unit.good_until = good_until
            waiting = self._ready.setdefault(pk, [])
            waiting += made
            waiting.sort(key=lambda unit: unit.works[0].priority)
        for pk in {work.connection_id for work in idle} - busy.keys():
            ask = asked[pk]
            if ask.gate.probing:
                circuit_breaker.release_probe(pk, ask.vendor.slug)
                self._awake[pk] = None

    def _dispatch(self) -> None:
        """Hand lined-up units to the senders, one of each connection in turn."""
        started = True
        while started:
            started = False
            for pk in list(self._ready):
                waiting = self._ready[pk]
                if self._places.busy[pk] >= self._share(pk) or not self._places.has_room(waiting[0]):
                    continue
                self._pool.submit(self._deliver, self._places.start(waiting.pop(0)))
                started = True
                if not waiting:
                    del self._ready[pk]

    def _deliver(self, flight: Flight) -> None:
        """Run in a sender thread."""
        unit = flight.unit
        flight.waited_before_s = rate_limit.waited_s()
        flight.sender = threading.get_ident()
        try:
            unit.deliver()
        except Exception as error:
            log.exception(
                "a unit failed in a way that nobody foresaw", connection_id=unit.account.connection_id
            )
            for work in unit.works:
                if work.steps and work.later is None:
                    name = type(error).__name__
                    set_aside(work, Unexpected(_("Sending failed: %(name)s.") % {"name": name}, code=name))
        finally:
            self._inbox.put(flight)

    # -- ends ------------------------------------------------------------------------------------------------

    def _forget(self) -> None:
        """After an error in the database: drop what was lined up; the leases run out and the rows are claimed again."""
        self._ready.clear()
        close_old_connections()

    def _finish(self) -> None:
        """Give back what was not sent, and settle what is under way, for as long as a request may take."""
        give_up_at = time.monotonic() + settings.PASSPORT_TOTAL_TIMEOUT_S + 2
        try:
            self._release()
        except DatabaseError:
            log.exception("leases could not be given back; they run out")
        while (self._places.flights or self._late) and time.monotonic() < give_up_at:
            finished, _heard = self._receive(0.2)
            try:
                if finished:
                    self._settle([flight.unit for flight in finished])
                self._settle_late()
            except DatabaseError:
                log.exception("a result could not be settled; the same events go out again")
        self.close()
        close_old_connections()

    def _release(self) -> None:
        """Let other workers have what is lined up here."""
        lined_up = [unit for waiting in self._ready.values() for unit in waiting]
        self._ready.clear()
        claim.release([work for unit in lined_up for work in unit.works])
        for unit in lined_up:
            if unit.probing:
                circuit_breaker.release_probe(unit.account.connection_id, unit.vendor.slug)
