"""One claimed row, and its result as it is delivered. No database.

A `ClaimedRow` is what the claim read and decided; it never changes. A `RowOutcome` belongs to one delivery of such a row:
the steps still to be sent, what the vendor has by now, and the one decision (`Disposition`) that
`integrations.delivery.record_results` turns into the row's new state.
"""

from datetime import datetime
from enum import Enum
from typing import NamedTuple

from integrations.vendors.errors import DeliveryError
from integrations.vendors.protocol import Desired, RemoteState, Step


class ClaimedRow(NamedTuple):
    """A row under our lease, and the steps that are to be sent for it.

    A tuple, since one is made for each row, and a frozen dataclass takes five times as long.
    """

    id: int
    connection_id: int
    priority: int
    version: int
    attempts: int
    session_count: int
    due_since: datetime
    revision: int
    lease: str
    remote_state: RemoteState | None
    steps: list[Step]
    # Steps that are not sent now and stay with the row: those of a row that could not be planned.
    retained_steps: list[Step] = []
    # The steps were decided at an earlier attempt, which may have reached the vendor.
    is_replay: bool = False
    # Why the vendor would refuse what is wanted, where that is known without asking; or why the row could not be planned.
    preflight_error: DeliveryError | None = None
    # What was wanted of the vendor when the steps were planned; unknown (`was_planned` is False) where that was earlier.
    desired: Desired | None = None
    was_planned: bool = False
    # How many times in a row the vendor refused it, and how many of these since its last edit.
    refusals: int = 0
    refusals_since_edit: int = 0
    # It was intercepted on the way, and others have got through since.
    is_barred: bool = False
    # Its permit belongs on another connection, which has not accepted it yet; until then it is kept here.
    kept_since: datetime | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether it was refused before, so that it should not hold up others."""
        return self.refusals > 0


class Disposition(Enum):
    """What is to be done with a row, as far as is known so far."""

    # Everything so far was accepted, or there was nothing to do.
    DONE = "done"
    # The vendor refused something, or would have.
    REFUSED = "refused"
    # Shown as refused, with its steps kept: they may have arrived, so the same steps are sent again, slowly.
    SET_ASIDE = "set aside"
    # The vendor does not have what we assumed: planned again at once.
    NEEDS_REPLAN = "needs a new plan"
    # The remote, or the way to it, is failing: the rest is sent later.
    RETRY = "retry"


class RowOutcome:
    """The result for a row so far.

    `error` is the first refusal or, under `RETRY`, what the row waits for.
    """

    __slots__ = (
        "disposition",
        "error",
        "evidence",
        "has_right",
        "remote_state",
        "retained_steps",
        "row",
        "steps",
        "stop_refused",
        "was_sent",
    )

    def __init__(self, row: ClaimedRow) -> None:
        self.row = row
        self.steps: list[Step] = list(row.steps)
        self.retained_steps: list[Step] = list(row.retained_steps)
        self.remote_state = row.remote_state
        self.error = row.preflight_error
        self.disposition = Disposition.DONE if row.preflight_error is None else Disposition.REFUSED
        # A step that ends a session was refused: such a refusal is never final.
        self.stop_refused = False
        # The vendor accepted a step that does not end a session.
        self.has_right = False
        # A request with one of its steps was begun, so the step may have arrived whatever the answer.
        self.was_sent = False
        # Rows of `PushEvent`: (index of the push in the batch, kind, session id, error or None, the session as it says).
        self.evidence: list[tuple[int, str, str, DeliveryError | None, RemoteState]] = []

    @property
    def retry_error(self) -> DeliveryError | None:
        """What the row waits for, where the rest is sent later."""
        return self.error if self.disposition is Disposition.RETRY else None

    @property
    def needs_replan(self) -> bool:
        """Whether the row is planned again at once: an assumption was wrong, or only an earlier plan is complete."""
        if self.disposition is Disposition.NEEDS_REPLAN:
            return True
        return self.row.is_replay and self.disposition in (Disposition.DONE, Disposition.REFUSED)

    @property
    def unsent_steps(self) -> list[Step]:
        """The steps that stay with the row if nothing more is sent.

        A plan of which nothing was sent is not among them: by the time the row is claimed again, its permit may have been
        cancelled, and it is planned as it is then.
        """
        if self.was_sent or self.row.is_replay:
            return self.retained_steps + self.steps
        return self.retained_steps + [step for step in self.steps if step.get("refused")]

    @property
    def accepted(self) -> bool:
        """Whether the vendor accepted the row's change, or a lasting part of it.

        An accepted end counts only when everything is done: the end of a session whose start was refused proves nothing.
        """
        if self.disposition is Disposition.DONE:
            return any(error is None for _push, _kind, _session, error, _state in self.evidence)
        return self.has_right

    def retry(self, error: DeliveryError) -> None:
        """Send the rest later; the first reason counts."""
        if self.disposition is not Disposition.RETRY:
            self.disposition, self.error = Disposition.RETRY, error

    def replan(self) -> None:
        """Plan the row again at once: the vendor does not have what we believed."""
        self.disposition = Disposition.NEEDS_REPLAN

    def refuse(self, error: DeliveryError | None) -> None:
        """Record a refusal; the first one is shown."""
        self.error = self.error or error
        if self.disposition is Disposition.DONE:
            self.disposition = Disposition.REFUSED

    def set_aside(self, error: DeliveryError) -> None:
        """Show the row as refused and keep its steps (see `Disposition.SET_ASIDE`)."""
        self.error = self.error or error
        if self.disposition is not Disposition.NEEDS_REPLAN:
            self.disposition = Disposition.SET_ASIDE
        self.retained_steps, self.steps = self.unsent_steps, []

    def give_up(self, error: DeliveryError) -> None:
        """Set the row aside for this reason alone, whatever was noted before, and drop the evidence."""
        self.evidence = []
        self.disposition, self.error = Disposition.SET_ASIDE, error
        self.retained_steps, self.steps = self.unsent_steps, []
