"""Sending one batch: rows of one connection, through all their steps. No database.

Steps of one kind travel together. Where a request is refused as a whole, the events that the refusal names are taken out
and the others sent again; one that is named by a number only is sent alone first, since it is unknown whether the
vendor counts from 0 or 1. If none is named, `integrations.delivery.batch_search` finds them. So an event counts as
refused only if it was named unambiguously or refused alone. A problem with the remote or the connection ends the batch
at once, so that the remote is not hammered. A row's steps go out in order: the next only after the one before was
accepted or has become pointless.

What a refusal means for the rest of a row: a start or an extension that is refused is dropped, and what should be stopped
is still stopped, since a plate that is no longer wanted must not park for free. A stop that is refused stays with
the row, to be sent again slowly (`integrations.delivery.refusals`); one that finds nothing to stop has reached its goal. A
change of a session that is gone shows that the vendor has nothing: the row is planned again and starts another session.

A refusal that is not in the vendor's form (`Intercepted`: a proxy's page) counts as a problem on the way to the vendor,
unless other events get through: a firewall may block one plate. So another event is sent alone. If that one is
intercepted, too, the batch ends after `STRIKES` requests. If the vendor answers it, the search goes on, and an event
that is intercepted alone is shown as refused and retried slowly; so is one that is intercepted again after others got
through. Its steps stay with the row, since it is unknown what arrived.

An error in our own code during a request isn't a refusal either: the batch isn't halved, and the steps stay with the
row, so that exactly the same events are sent again.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from integrations.delivery.batch_search import BatchSearch
from integrations.delivery.connection_state import ConnectionState
from integrations.delivery.row_outcome import ClaimedRow, RowOutcome
from integrations.models.delivery import Priority
from integrations.vendors.errors import (
    DeliveryError,
    FixConnection,
    FixRecord,
    Intercepted,
    TooLarge,
    TryLater,
    Unexpected,
)
from integrations.vendors.protocol import Account, RemoteState, Sent, Step, Vendor

# After this many intercepted requests in a row, the way to the vendor is taken to be broken. More are allowed once the
# vendor has answered in between, since finding one bad event among a hundred takes seven halvings.
STRIKES = 3
STRIKES_WITHIN_SEARCH = 10


@dataclass(slots=True)
class Batch:
    """Rows of one connection that are sent together, and the requests that it took."""

    account: Account
    vendor: Vendor
    outcomes: list[RowOutcome]
    now: datetime
    probing: bool = False
    pushes: list[tuple[str, int, Sent]] = field(default_factory=list)
    # What ended the batch early: a problem with the remote or the connection, not with a record.
    trouble: DeliveryError | None = None
    # Until when its leases certainly hold (monotonic seconds). A process that was frozen for longer must not send
    # anything.
    good_until: float = math.inf
    # Whether the connection may still send; asked before each request, since other batches of it are being sent at the
    # same time.
    may_continue: Callable[[], bool] = field(default=lambda: True)
    # Whether the vendor itself has answered a request of this batch; how many in a row were intercepted since, and the
    # rows whose events were intercepted alone.
    answered: bool = False
    strikes: int = 0
    intercepted: set[int] = field(default_factory=set)
    # The row that a number in a refusal points to, which is sent alone; and whether such numbers have been right so far.
    hinted: RowOutcome | None = None
    hints_hold: bool = True

    @classmethod
    def of(
        cls,
        rows: Sequence[ClaimedRow],
        account: Account,
        vendor: Vendor,
        now: datetime,
        *,
        probing: bool = False,
    ) -> "Batch":
        """Return a batch of claimed rows of which nothing has been sent."""
        return cls(account, vendor, [RowOutcome(row) for row in rows], now, probing)

    @property
    def connection_id(self) -> int:
        """The connection that all rows are of."""
        return self.account.connection_id

    @property
    def rows(self) -> list[ClaimedRow]:
        """The rows as they were claimed."""
        return [outcome.row for outcome in self.outcomes]

    def deliver(self) -> None:
        """Send all steps of all rows; the results are left in `outcomes`. Never raises a `DeliveryError`."""
        waiting = [outcome for outcome in self.outcomes if outcome.steps]
        while waiting and self.trouble is None:
            kind = waiting[0].steps[0]["kind"]
            self._send([outcome for outcome in waiting if outcome.steps[0]["kind"] == kind], kind)
            waiting = [outcome for outcome in waiting if outcome.steps and outcome.retry_error is None]
        if self.trouble is not None:
            for outcome in waiting:
                outcome.retry(self.trouble)

    def _send(self, outcomes: list[RowOutcome], kind: str) -> None:
        """Send the first step of each of these, in as many requests as it takes to learn what becomes of each."""
        search = BatchSearch(outcomes, suspected=outcomes[0].row.is_suspect, most=self.vendor.batch_size)
        ended: DeliveryError | None = None
        while ended is None and (group := search.next()):
            if time.monotonic() > self.good_until:
                # Whichever worker has the rows by now goes on; recording is fenced, and keeps them due.
                ended = TryLater(_("The worker was held up; another one continues."), code="lease_over")
            elif not (self.probing or self.may_continue()):
                # Another request of the connection was told to wait, or a person has stopped it; its breaker is open.
                ended = TryLater(_("Nothing is sent for the moment."), code="paused")
            else:
                self._request(search, group, kind)
                ended = self.trouble
        if ended is not None:
            for outcome in search.left:
                outcome.retry(ended)

    def _request(self, search: BatchSearch[RowOutcome], group: list[RowOutcome], kind: str) -> None:
        """Send one request, and tell the search the result."""
        for outcome in group:
            outcome.was_sent = True
        sent = self.vendor.send(self.account, [outcome.steps[0] for outcome in group])
        push, error = len(self.pushes), sent.error
        self.pushes.append((kind, len(group), sent))
        if len(group) > 1 and isinstance(error, TooLarge):
            search.too_many(len(group))
            return
        if isinstance(error, Intercepted):
            self._intercepted(search, group, error, push)
            return
        if len(group) > 1 and error is not None and _is_refusal(error):
            self._vendor_answered()
            self._refused(search, group, sent, push)
            return
        if isinstance(error, TryLater | FixConnection):
            self.trouble = error
        else:
            self._vendor_answered()
        refused = 0
        for outcome, result in zip(group, sent.results, strict=True):
            self._note(outcome, result, push)
            refused += result is not None and _is_refusal(result)
            # Events that are put off one by one wait one by one, unless the remote asks for time or this was a probe.
            asks_for_time = isinstance(result, TryLater) and result.retry_after is not None
            if self.trouble is None and (self.probing or asks_for_time):
                self.trouble = outcome.retry_error
        if group[0] is self.hinted:
            # As long as such numbers turn out to be right, the next ones are trusted, too: each is sent alone.
            self.hinted, self.hints_hold = None, refused > 0
            search.decided(bad=refused)
            if self.hints_hold:
                search.together()
            return
        search.decided(bad=refused)

    def _vendor_answered(self) -> None:
        self.answered, self.strikes = True, 0

    def _refused(
        self, search: BatchSearch[RowOutcome], group: list[RowOutcome], sent: Sent, push: int
    ) -> None:
        """Handle a refusal of several events, none of which was applied."""
        named = [group[place] for place in sent.named]
        if named and sent.named_surely:
            for outcome in named:
                self._note(outcome, sent.error, push)
            search.named(named)
            return
        search.refused()
        if named and self.hints_hold and search.is_worth_a_hint(before=sent.named[0]):
            self.hinted = named[0]
            search.try_alone(named[0])

    def _intercepted(
        self, search: BatchSearch[RowOutcome], group: list[RowOutcome], error: Intercepted, push: int
    ) -> None:
        """Handle an answer that didn't come from the vendor: is it about these events, or does nothing get through?"""
        alone = len(group) == 1
        if alone:
            outcome = group[0]
            search.decided(bad=1)
            self._add_evidence(outcome, error, push)
            if self.answered or outcome.row.is_barred:
                outcome.set_aside(_as_refusal(error))
            else:
                outcome.retry(error)
                self.intercepted.add(outcome.row.id)
            if outcome.row.is_barred and not self.probing:
                return  # that says nothing new about the way to the vendor
        self.strikes += 1
        most = STRIKES_WITHIN_SEARCH if self.answered else STRIKES
        if self.probing or error.retry_after is not None or self.strikes >= most:
            self.trouble = error
        elif not alone:
            search.refused()
        if not self.answered and (rest := search.left):
            search.try_alone(rest[0])

    def _add_evidence(
        self, outcome: RowOutcome, result: DeliveryError | None, push: int
    ) -> RemoteState | None:
        """Note the result of a row's first step; return what the vendor would have after it."""
        step = outcome.steps[0]
        after = self.vendor.apply(outcome.remote_state, step)
        session = _session_of(step, outcome.remote_state, after)
        outcome.evidence.append((push, step["kind"], step["session"], result, session))
        return after

    def _note(self, outcome: RowOutcome, result: DeliveryError | None, push: int) -> None:
        """Handle the result of a row's first step."""
        step = outcome.steps[0]
        after = self._add_evidence(outcome, result, push)
        if isinstance(result, TryLater | FixConnection):
            outcome.retry(result)
            if isinstance(result, FixConnection):
                self.trouble = self.trouble or result
            return
        if isinstance(result, Unexpected) and result.leaves_open:
            outcome.set_aside(result)
            return
        del outcome.steps[0]
        gone = isinstance(result, FixRecord) and result.gone
        if result is None or (gone and step.get("ends")):
            outcome.remote_state = after
            outcome.has_right = outcome.has_right or (result is None and not step.get("ends"))
            return
        undo = self.vendor.undo(self.account, step, now=self.now)
        if gone and undo is None:
            outcome.remote_state = None
            outcome.replan()
            return
        if gone and outcome.row.is_replay:
            # The start had arrived and its session was ended since: the next plan starts another.
            return
        outcome.refuse(result)
        if step.get("ends"):
            outcome.stop_refused = True
            if outcome.remote_state is None or not self._ends_current_session(outcome, step):
                outcome.retained_steps.append({**step, "refused": True})
        elif undo is not None and outcome.row.is_replay:
            # An earlier attempt to send this very start may have arrived: what may be there is ended.
            outcome.steps.insert(0, undo)

    def _ends_current_session(self, outcome: RowOutcome, step: Step) -> bool:
        """Whether a step ends the very session that the row still has: the next plan will ask for that again."""
        return self.vendor.apply(outcome.remote_state, step) is None


def _as_refusal(error: Intercepted) -> Unexpected:
    """Return what is shown of a row whose event alone is intercepted while others get through."""
    return Unexpected(error.sentence, code=error.code, status=error.status, trace_id=error.trace_id)


def _is_refusal(error: DeliveryError) -> bool:
    """Whether the vendor has refused a request, so that nothing of it was applied."""
    if isinstance(error, Unexpected):
        return not error.leaves_open
    return not isinstance(error, TryLater | FixConnection)


def _session_of(step: Step, before: RemoteState | None, after: RemoteState | None) -> RemoteState:
    """Return the session that a step is about, as the step leaves it; empty where the row has another one by now."""
    session = after or before or {}
    return session if session.get("session_id") == step["session"] else {}


def given_up(batch: Batch, name: str) -> Batch:
    """Return a batch that stands in for one whose results can't be written: its rows are set aside, without evidence.

    What may have been sent stays with the rows, so that it is looked into when they are retried.
    """
    error = Unexpected(_("The result could not be written: %(name)s.") % {"name": name}, code=name)
    for outcome in batch.outcomes:
        outcome.give_up(error)
    return Batch(batch.account, batch.vendor, batch.outcomes, batch.now)


def batches(
    rows: Sequence[ClaimedRow], account: Account, vendor: Vendor, *, now: datetime, probing: bool
) -> list[Batch]:
    """Group claimed rows of one connection into batches, by the kind of their first step.

    Rows that have failed before travel in ever smaller groups, so that one event that breaks a request can't hold up the
    others for long: 100, 100, 25, 6, 1. Rows that were refused before travel apart from those that were not.
    """
    groups: dict[tuple[str, int, bool], list[ClaimedRow]] = {}
    made: list[Batch] = []
    for row in rows:
        size = 1 if probing or row.is_barred else batch_limit(vendor.batch_size, row.attempts)
        key = (row.steps[0]["kind"], size, row.is_suspect)
        group = groups.setdefault(key, [])
        group.append(row)
        if len(group) == size:
            made.append(Batch.of(group, account, vendor, now, probing=probing))
            groups[key] = []
    made += [Batch.of(group, account, vendor, now, probing=probing) for group in groups.values() if group]
    return made


def batch_limit(batch_size: int, attempts: int) -> int:
    """Return how many rows travel together where each was tried `attempts` times before without success."""
    return max(1, batch_size >> (2 * max(0, attempts - 1)))


def may_go(batch: Batch, connection: ConnectionState | None) -> bool:
    """Whether a batch that is lined up may still be sent, by how its connection stands now. Pure."""
    if batch.probing:
        return True  # it is what a breaker waits for
    if connection is None or any(breaker.open_until is not None for breaker in connection.breakers):
        return False
    return connection.is_live or all(row.priority == Priority.TEST for row in batch.rows)
