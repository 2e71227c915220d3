"""Sending one unit of work: up to a batch of registrations of one connection, through all their steps. No database.

Steps of one kind travel together. A request that is refused as a whole is halved until the bad event stands alone (a 400
does not say which it was); trouble with the remote or the connection ends the unit at once, so that nothing hammers. A
row's steps go out in their order: the next only after the one before was accepted or has come to nothing.

What a refusal means for the rest of a row: a start or an extension that is refused is dropped, and what should be stopped
is stopped all the same, since a plate that is no longer wanted must not park for free. A stop that is refused stays in
the row, to be sent again when somebody changes or retries it; one that finds nothing to stop has reached its goal. A
change of a session that is gone says that the vendor has nothing: the row is looked at again, and begins it anew.

A fault of our own while a request was under way is no refusal: nobody knows what arrived. Nothing is halved then, and the
steps stay in the row as its intent, so that they go out again, word for word, when somebody changes or retries it.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from integrations.claims import Party, Work
from integrations.errors import DeliveryError, FixConnection, FixRecord, TryLater, Unexpected
from integrations.models.delivery import Priority
from integrations.vendors import Account, Observed, Sent, Step, Vendor


@dataclass(slots=True)
class Unit:
    """Rows of one connection that are sent together, and the requests that it took."""

    account: Account
    vendor: Vendor
    works: list[Work]
    now: datetime
    probing: bool = False
    pushes: list[tuple[str, int, Sent]] = field(default_factory=list)
    # What ended the unit before its time: trouble of the remote or the connection, not of a record.
    trouble: DeliveryError | None = None
    # Until when its leases hold for sure (monotonic seconds). A process that was frozen for longer must not send any more.
    good_until: float = math.inf

    def deliver(self) -> None:
        """Send all steps of all rows; results are left on the rows. Never raises a `DeliveryError`."""
        waiting = [work for work in self.works if work.steps]
        while waiting and self.trouble is None:
            if time.monotonic() > self.good_until:
                self._let_go(waiting)
                return
            kind = waiting[0].steps[0]["kind"]
            self._send([work for work in waiting if work.steps[0]["kind"] == kind], kind)
            waiting = [work for work in waiting if work.steps and work.later is None]
        for work in waiting:
            work.later = work.later or self.trouble

    def _let_go(self, waiting: Sequence[Work]) -> None:
        """Leave what was not sent to whoever has the rows by now; settling is fenced, and keeps them due."""
        for work in waiting:
            work.later = TryLater(_("The worker was held up; another one goes on."), code="lease_over")

    def _send(self, works: list[Work], kind: str) -> None:
        if self.trouble is not None:
            for work in works:
                work.later = self.trouble
            return
        sent = self.vendor.send(self.account, [work.steps[0] for work in works])
        error = sent.error
        if len(works) > 1 and error is not None and _is_refusal(error):
            # Nothing of a refused request was applied; the halves show who it was.
            self.pushes.append((kind, len(works), sent))
            middle = len(works) // 2
            self._send(works[:middle], kind)
            self._send(works[middle:], kind)
            return
        if isinstance(error, TryLater | FixConnection):
            self.trouble = error
        push = len(self.pushes)
        self.pushes.append((kind, len(works), sent))
        for work, result in zip(works, sent.results, strict=True):
            self._note(work, result, push)
            if self.probing:
                # One event alone, that is to be tried later: for others that waits by itself, but here it was the question.
                self.trouble = self.trouble or work.later

    def _note(self, work: Work, result: DeliveryError | None, push: int) -> None:
        """Take in what became of a row's first step."""
        step = work.steps[0]
        after = self.vendor.apply(work.observed, step)
        work.evidence.append((push, step["kind"], step["session"], result, _told(step, work.observed, after)))
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
            work.observed = after
            work.accepted_any = work.accepted_any or result is None
            return
        undo = self.vendor.undo(self.account, step, now=self.now)
        if gone and undo is None:
            work.observed, work.again = None, True
            return
        if gone and work.replay:
            # The start had arrived and its session was ended since: the next plan begins another.
            return
        work.refusal = work.refusal or result
        if step.get("ends"):
            if work.observed is None or not self._is_of_observed(work, step):
                work.kept.append({**step, "refused": True})
            return
        if undo is not None and work.replay and not work.undone:
            # An earlier try of this very start may have arrived: what may be there is ended.
            work.undone = True
            work.steps.insert(0, undo)

    def _is_of_observed(self, work: Work, step: Step) -> bool:
        """Whether a step ends the very session that the row still has: the next plan will ask for that again."""
        return self.vendor.apply(work.observed, step) is None


def set_aside(work: Work, error: DeliveryError) -> None:
    """Park a row after a fault of our own: its steps may have arrived or not, so they stay as its intent.

    It is no `replay` any more, or settling would have it sent again at once and without end.
    """
    work.refusal = work.refusal or error
    work.kept, work.steps, work.replay = work.kept + work.steps, [], False


def _is_refusal(error: DeliveryError) -> bool:
    """Whether the vendor has refused a request, so that nothing of it was applied."""
    if isinstance(error, Unexpected):
        return not error.leaves_open
    return not isinstance(error, TryLater | FixConnection)


def _told(step: Step, before: Observed | None, after: Observed | None) -> Observed:
    """Return the session that a step is about, as the step leaves it; empty where it is not the row's own any more."""
    session = after or before or {}
    return session if session.get("session_id") == step["session"] else {}


def given_up(unit: Unit, name: str) -> Unit:
    """Return a unit in the place of one whose results can't be written: its rows are shown as refused, without evidence.

    What may have been sent stays with the rows, so that it is looked into when somebody retries them.
    """
    refusal = Unexpected(_("The result could not be written: %(name)s.") % {"name": name}, code=name)
    for work in unit.works:
        work.evidence = []
        work.refusal, work.later, work.again = refusal, None, False
        set_aside(work, refusal)
    return Unit(unit.account, unit.vendor, unit.works, unit.now)


def units(
    works: Sequence[Work], account: Account, vendor: Vendor, *, now: datetime, probing: bool
) -> list[Unit]:
    """Group claimed rows of one connection into units: by the kind of their first step, at most a batch each.

    Rows that have failed before travel in ever smaller company, so that one event that breaks a request can't hold up
    the others for long: 100, 100, 25, 6, 1.
    """
    groups: dict[tuple[str, int], list[Work]] = {}
    made: list[Unit] = []
    for work in works:
        size = 1 if probing else batch_limit(vendor.batch_size, work.attempts)
        group = groups.setdefault((work.steps[0]["kind"], size), [])
        group.append(work)
        if len(group) == size:
            made.append(Unit(account, vendor, group, now, probing))
            groups[(work.steps[0]["kind"], size)] = []
    made += [Unit(account, vendor, group, now, probing) for group in groups.values() if group]
    return made


def batch_limit(batch_size: int, attempts: int) -> int:
    """Return with how many others a row may travel that was tried `attempts` times before without success."""
    return max(1, batch_size >> (2 * max(0, attempts - 1)))


def may_go(unit: Unit, party: Party | None) -> bool:
    """Whether a unit that is lined up may still be sent, by how its connection stands now. Pure."""
    if unit.probing:
        return True  # it is what a breaker waits for
    if party is None or any(breaker.open_until is not None for breaker in party.breakers):
        return False
    return party.is_live or all(work.priority == Priority.TEST for work in unit.works)
