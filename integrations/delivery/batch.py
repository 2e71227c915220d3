"""Sending one unit of work: up to a batch of registrations of one connection, through all their steps. No database.

Steps of one kind travel together. Where a request is refused as a whole, the events that the refusal names are taken out
and the others sent again; one that is named by a mere number is asked alone first, since nobody knows what the vendor
counts from. Where none is named, `integrations.delivery.batch_search` finds them. So no event is refused that was not
named surely or refused alone. Trouble with the remote or the connection ends the unit at once, so that nothing hammers. A
row's steps go out in their order: the next only after the one before was accepted or has come to nothing.

What a refusal means for the rest of a row: a start or an extension that is refused is dropped, and what should be stopped
is stopped all the same, since a plate that is no longer wanted must not park for free. A stop that is refused stays in
the row, to be sent again slowly (`integrations.delivery.refusals`); one that finds nothing to stop has reached its goal. A
change of a session that is gone says that the vendor has nothing: the row is looked at again, and begins it anew.

A refusal that is not in the vendor's form (`Intercepted`: a proxy's page) is trouble of the way, unless the way is open for
others: a firewall may object to one plate. So another event is sent alone. If that one is answered in the same manner, the
unit ends in trouble after `STRIKES` requests; if the vendor answers it, the search goes on, and an event that is intercepted
alone is shown as refused and tried again slowly; so is one that is intercepted again after others got through. Its steps
stay in the row, since nobody knows what arrived.

A fault of our own while a request was under way is no refusal either: nothing is halved then, and the steps stay in the row
as its intent, so that they go out again, word for word.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from integrations.delivery.batch_search import BatchSearch
from integrations.delivery.claim import ClaimedRow, ConnectionState
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

# After so many intercepted requests in a row it is the way that is in trouble; more once the vendor has answered meanwhile,
# since a search among a hundred events that holds a single bad one halves it seven times.
STRIKES = 3
STRIKES_WITHIN_SEARCH = 10


@dataclass(slots=True)
class Batch:
    """Rows of one connection that are sent together, and the requests that it took."""

    account: Account
    vendor: Vendor
    works: list[ClaimedRow]
    now: datetime
    probing: bool = False
    pushes: list[tuple[str, int, Sent]] = field(default_factory=list)
    # What ended the unit before its time: trouble of the remote or the connection, not of a record.
    trouble: DeliveryError | None = None
    # Until when its leases hold for sure (monotonic seconds). A process that was frozen for longer must not send any more.
    good_until: float = math.inf
    # Whether the vendor itself has answered a request of this unit; how many in a row something else has answered since,
    # and the rows whose events were intercepted alone.
    answered: bool = False
    strikes: int = 0
    intercepted: set[int] = field(default_factory=set)
    # The row that a number in a refusal pointed to, which is asked alone; and whether such numbers have been right so far.
    hinted: ClaimedRow | None = None
    hints_hold: bool = True

    def deliver(self) -> None:
        """Send all steps of all rows; results are left on the rows. Never raises a `DeliveryError`."""
        waiting = [work for work in self.works if work.steps]
        while waiting and self.trouble is None:
            kind = waiting[0].steps[0]["kind"]
            self._send([work for work in waiting if work.steps[0]["kind"] == kind], kind)
            waiting = [work for work in waiting if work.steps and work.later is None]
        for work in waiting:
            work.later = work.later or self.trouble

    def _send(self, works: list[ClaimedRow], kind: str) -> None:
        """Send the first step of each of these, in as many requests as it takes to learn what becomes of each."""
        search = BatchSearch(works, suspected=works[0].suspected, most=self.vendor.batch_size)
        ended: DeliveryError | None = None
        while ended is None and (group := search.next()):
            if time.monotonic() > self.good_until:
                # Whoever has the rows by now goes on; settling is fenced, and keeps them due.
                ended = TryLater(_("The worker was held up; another one goes on."), code="lease_over")
            else:
                self._request(search, group, kind)
                ended = self.trouble
        for work in search.left:
            work.later = work.later or ended

    def _request(self, search: BatchSearch[ClaimedRow], group: list[ClaimedRow], kind: str) -> None:
        """Send one request, and tell the search what came of it."""
        sent = self.vendor.send(self.account, [work.steps[0] for work in group])
        push, error = len(self.pushes), sent.error
        self.pushes.append((kind, len(group), sent))
        if len(group) > 1 and isinstance(error, TooLarge):
            search.too_many(len(group))
            return
        if isinstance(error, Intercepted):
            self._intercepted(search, group, error, push)
            return
        if len(group) > 1 and error is not None and _is_refusal(error):
            self._heard()
            self._refused(search, group, sent, push)
            return
        if isinstance(error, TryLater | FixConnection):
            self.trouble = error
        else:
            self._heard()
        refused = 0
        for work, result in zip(group, sent.results, strict=True):
            self._note(work, result, push)
            refused += result is not None and _is_refusal(result)
            # Put off one by one they wait one by one, unless the remote asks for time or it was the question of a probe.
            asked = isinstance(result, TryLater) and result.retry_after is not None
            if self.trouble is None and work.later is not None and (self.probing or asked):
                self.trouble = work.later
        if group[0] is self.hinted:
            # Believed of the next ones too, as long as it was true: each is asked alone.
            self.hinted, self.hints_hold = None, refused > 0
            search.decided(bad=refused)
            if self.hints_hold:
                search.together()
            return
        search.decided(bad=refused)

    def _heard(self) -> None:
        self.answered, self.strikes = True, 0

    def _refused(
        self, search: BatchSearch[ClaimedRow], group: list[ClaimedRow], sent: Sent, push: int
    ) -> None:
        """Take in a refusal of several events: nothing of it was applied."""
        named = [group[place] for place in sent.named]
        if named and sent.named_surely:
            for work in named:
                self._note(work, sent.error, push)
            search.named(named)
            return
        search.refused()
        if named and self.hints_hold and search.is_worth_a_hint(before=sent.named[0]):
            self.hinted = named[0]
            search.try_alone(named[0])

    def _intercepted(
        self, search: BatchSearch[ClaimedRow], group: list[ClaimedRow], error: Intercepted, push: int
    ) -> None:
        """Take in an answer that the vendor did not give: is it about these events, or is the way closed?"""
        alone = len(group) == 1
        if alone:
            work = group[0]
            self._note(work, error, push)
            search.decided(bad=1)
            if self.answered or work.barred:
                work.later = None
                set_aside(work, _as_refusal(error))
            else:
                self.intercepted.add(work.id)
            if work.barred and not self.probing:
                return  # that says nothing new of the way
        self.strikes += 1
        most = STRIKES_WITHIN_SEARCH if self.answered else STRIKES
        if self.probing or error.retry_after is not None or self.strikes >= most:
            self.trouble = error
        elif not alone:
            search.refused()
        if not self.answered and (rest := search.left):
            search.try_alone(rest[0])

    def _note(self, work: ClaimedRow, result: DeliveryError | None, push: int) -> None:
        """Take in what became of a row's first step."""
        step = work.steps[0]
        after = self.vendor.apply(work.remote_state, step)
        work.evidence.append(
            (push, step["kind"], step["session"], result, _told(step, work.remote_state, after))
        )
        if isinstance(result, TryLater | FixConnection):
            work.later = result
            if isinstance(result, FixConnection):
                self.trouble = self.trouble or result
            return
        if isinstance(result, Unexpected) and result.leaves_open:
            set_aside(work, result)
            return
        del work.steps[0]
        gone = isinstance(result, FixRecord) and result.gone
        if result is None or (gone and step.get("ends")):
            work.remote_state = after
            work.accepted_any = work.accepted_any or result is None
            return
        undo = self.vendor.undo(self.account, step, now=self.now)
        if gone and undo is None:
            work.remote_state, work.again = None, True
            return
        if gone and work.replay:
            # The start had arrived and its session was ended since: the next plan begins another.
            return
        work.refusal = work.refusal or result
        if step.get("ends"):
            work.stop_refused = True
            if work.remote_state is None or not self._is_of_observed(work, step):
                work.kept.append({**step, "refused": True})
            return
        if undo is not None and work.replay and not work.undone:
            # An earlier try of this very start may have arrived: what may be there is ended.
            work.undone = True
            work.steps.insert(0, undo)

    def _is_of_observed(self, work: ClaimedRow, step: Step) -> bool:
        """Whether a step ends the very session that the row still has: the next plan will ask for that again."""
        return self.vendor.apply(work.remote_state, step) is None


def set_aside(work: ClaimedRow, error: DeliveryError) -> None:
    """Park a row after a fault of our own: its steps may have arrived or not, so they stay as its intent.

    It is no `replay` any more, or settling would have it sent again at once and without end.
    """
    work.refusal = work.refusal or error
    work.kept, work.steps, work.replay = work.kept + work.steps, [], False


def _as_refusal(error: Intercepted) -> Unexpected:
    """Return what is shown of a row whose event alone is intercepted while others get through."""
    return Unexpected(error.sentence, code=error.code, status=error.status, trace_id=error.trace_id)


def _is_refusal(error: DeliveryError) -> bool:
    """Whether the vendor has refused a request, so that nothing of it was applied."""
    if isinstance(error, Unexpected):
        return not error.leaves_open
    return not isinstance(error, TryLater | FixConnection)


def _told(step: Step, before: RemoteState | None, after: RemoteState | None) -> RemoteState:
    """Return the session that a step is about, as the step leaves it; empty where it is not the row's own any more."""
    session = after or before or {}
    return session if session.get("session_id") == step["session"] else {}


def given_up(unit: Batch, name: str) -> Batch:
    """Return a unit in the place of one whose results can't be written: its rows are shown as refused, without evidence.

    What may have been sent stays with the rows, so that it is looked into when somebody retries them.
    """
    refusal = Unexpected(_("The result could not be written: %(name)s.") % {"name": name}, code=name)
    for work in unit.works:
        work.evidence = []
        work.refusal, work.later, work.again = refusal, None, False
        set_aside(work, refusal)
    return Batch(unit.account, unit.vendor, unit.works, unit.now)


def batches(
    works: Sequence[ClaimedRow], account: Account, vendor: Vendor, *, now: datetime, probing: bool
) -> list[Batch]:
    """Group claimed rows of one connection into units: by the kind of their first step, at most a batch each.

    Rows that have failed before travel in ever smaller company, so that one event that breaks a request can't hold up
    the others for long: 100, 100, 25, 6, 1. Rows that were refused before travel apart from those that were not.
    """
    groups: dict[tuple[str, int, bool], list[ClaimedRow]] = {}
    made: list[Batch] = []
    for work in works:
        size = 1 if probing or work.barred else batch_limit(vendor.batch_size, work.attempts)
        key = (work.steps[0]["kind"], size, work.suspected)
        group = groups.setdefault(key, [])
        group.append(work)
        if len(group) == size:
            made.append(Batch(account, vendor, group, now, probing))
            groups[key] = []
    made += [Batch(account, vendor, group, now, probing) for group in groups.values() if group]
    return made


def batch_limit(batch_size: int, attempts: int) -> int:
    """Return with how many others a row may travel that was tried `attempts` times before without success."""
    return max(1, batch_size >> (2 * max(0, attempts - 1)))


def may_go(unit: Batch, party: ConnectionState | None) -> bool:
    """Whether a unit that is lined up may still be sent, by how its connection stands now. Pure."""
    if unit.probing:
        return True  # it is what a breaker waits for
    if party is None or any(breaker.open_until is not None for breaker in party.breakers):
        return False
    return party.is_live or all(work.priority == Priority.TEST for work in unit.works)
