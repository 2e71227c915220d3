"""What the delivery engine stores.

`PermitSync` is the state of one permit on one connection: what the vendor has (`remote_state`), what is being sent
(`pending_steps`, stored before anything is sent), and whether it has to be brought up to date (`state`). There is exactly
one row for each pair, so ten edits during a push cause one more push.

Invariants: only rows with `state = due` are worked on; each change of the permit raises `version`, and a result is recorded
only if the row's lease token is still the one under which it was claimed, and makes it *done* only if `version` has not
changed since. So an edit during a push can't be lost, and a worker that was thought dead can't overwrite what its
successor recorded.

`Push` is one HTTP request that carried events; `PushEvent` is its result for one permit sync: the evidence.
"""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.utils.translation import gettext_lazy as _

from integrations.models.connections import Connection
from integrations.models.zones import ZoneMapping
from locations.models import Permit

# The `error_code` of drift: an accepted permit that the vendor does not list among the parking rights, or lists differently;
# one that was sent again and is still not listed correctly; and one that was ended and is still listed.
NOT_LISTED = "not_listed"
DIFFERS = "differs"
NOT_APPLIED = "not_applied"
STILL_LISTED = "still_listed"
DRIFT_CODES = frozenset({NOT_LISTED, DIFFERS, NOT_APPLIED, STILL_LISTED})


# Conditions that lists and counts share; see the methods of the same names.


def is_as_mapped() -> Q:
    """Whether it is on the connection to which the permit's location sends now.

    Put it last in a filter: it runs a subquery for each row that meets the other conditions.
    """
    mapping = ZoneMapping.objects.filter(
        location=OuterRef("permit__location"), zone__connection=OuterRef("connection")
    )
    return Q(Exists(mapping))


def is_of_current(at: datetime) -> Q:
    """Whether the permit's window holds `at` and it is not cancelled."""
    return Q(permit__status="active", permit__start__lte=at, permit__end__gt=at)


def _is_of_over(at: datetime) -> Q:
    return Q(permit__status="cancelled") | Q(permit__end__lte=at)


def is_still_there(at: datetime) -> Q:
    """Whether the vendor holds it beyond `at` although the permit was cancelled or is over."""
    return _is_of_over(at) & Q(remote_until__gt=at)


def is_listed_too_long(at: datetime) -> Q:
    """Whether it was ended and the vendor still lists it, as far as the last comparison knows."""
    return _is_of_over(at) & Q(drift_since__isnull=False, error_code__in=("", STILL_LISTED))


class PermitSyncQuerySet(models.QuerySet["PermitSync"]):
    """Queries for permit syncs."""

    def due(self) -> Self:
        """Those that are due to be brought up to date."""
        return self.filter(state=PermitSync.State.DUE)

    def refused(self) -> Self:
        """Those that the vendor refused."""
        return self.filter(state=PermitSync.State.REFUSED)

    def real(self) -> Self:
        """Leave out those of test plates."""
        return self.filter(permit__is_test=False)

    def waiting(self) -> Self:
        """Those of real permits that wait to be sent.

        Test plates are recognised by their priority, which is in the index of due rows, so no permit is read.
        """
        return self.due().filter(priority__gt=Priority.TEST)

    def by_urgency(self) -> Self:
        """The most urgent first, and of these the oldest: the order of the index of what is due."""
        return self.order_by("priority", "due_since")

    def as_mapped(self) -> Self:
        """Those on the connection to which the permit's location sends now."""
        return self.filter(is_as_mapped())

    def of_current(self, at: datetime) -> Self:
        """Those of permits whose window holds `at` and that are not cancelled."""
        return self.filter(is_of_current(at))

    def still_there(self, at: datetime) -> Self:
        """Those that the vendor holds beyond `at` although their permit was cancelled or is over."""
        return self.filter(is_still_there(at))

    def listed_too_long(self, at: datetime) -> Self:
        """Those that were ended and that the vendor still lists, as far as the last comparison knows."""
        return self.filter(is_listed_too_long(at))

    def drifting(self) -> Self:
        """Those that the vendor accepted and does not list, or lists differently."""
        drifts = ~Q(error_code="") | Q(drift_since__isnull=False)
        return self.filter(drifts, state=PermitSync.State.DONE)

    def hold(self) -> list[int]:
        """Lock these rows until the commit, in the order that everyone keeps (`integrations.delivery.outbox`).

        Returns their ids.
        """
        rows = self.order_by("permit_id", "connection_id").select_for_update(of=("self",), no_key=True)
        return list(rows.values_list("pk", flat=True))

    def note_seen(self, at: datetime) -> int:
        """Store that enforcement showed these at `at`; return how many there are.

        The first time since the current acceptance is kept; an earlier time concerns an earlier acceptance.
        """
        unseen = Q(seen_at=None) | Q(seen_at__lt=F("accepted_at"))
        return self.update(checked_at=at, seen_at=Case(When(unseen, then=Value(at)), default=F("seen_at")))


class Priority(models.IntegerChoices):
    """The order in which due rows are claimed; smaller first."""

    TEST = -1, _("test plate")
    NOW = 0, _("one edit: ended, or parked right now")
    SOON = 1, _("one edit: begins later")
    MASS_END = 2, _("many: ended")
    MASS_NOW = 3, _("many: parked right now")
    MASS_SOON = 4, _("many: begins later")


class PermitSync(models.Model):
    """The state of one permit on one connection; see the module's docstring."""

    class State(models.TextChoices):
        """Whether the row has to be brought up to date."""

        DUE = "due", _("waiting")
        DONE = "done", _("accepted")
        REFUSED = "refused", _("refused")

    # Found by the unique constraint, which begins with it: one index less to write at each claim and each result.
    permit = models.ForeignKey(Permit, on_delete=models.PROTECT, related_name="permit_syncs", db_index=False)
    connection = models.ForeignKey(
        Connection, on_delete=models.PROTECT, related_name="permit_syncs", db_index=False
    )
    state = models.CharField(max_length=8, choices=State.choices, default=State.DUE)
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NOW)
    version = models.PositiveIntegerField(db_column="generation", default=1)
    due_since = models.DateTimeField(db_column="marked_at")
    next_attempt_at = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    lease = models.CharField(max_length=32, null=True, blank=True)
    leased_until = models.DateTimeField(null=True, blank=True)
    # Number of sessions ever begun for this row: the last part of a session's id.
    session_count = models.PositiveIntegerField(db_column="sessions", default=0)
    # What the vendor has, as a document in the vendor's own form, or null.
    remote_state = models.JSONField(db_column="observed", null=True, blank=True)
    # Steps that have been decided and may have been sent (integrations.vendors.protocol.Step), or null.
    pending_steps = models.JSONField(db_column="intent", null=True, blank=True)
    # The end of what the vendor has; null where it has nothing. Serves reconciliation without opening the document.
    remote_until = models.DateTimeField(db_column="observed_until", null=True, blank=True)
    accepted_at = models.DateTimeField(null=True, blank=True)
    accepted_revision = models.PositiveIntegerField(default=0)
    # When enforcement was first seen to show the current acceptance; a time before `accepted_at` belongs to an earlier one.
    seen_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    error_kind = models.CharField(max_length=20, blank=True, default="")
    error_code = models.CharField(max_length=120, blank=True, default="")
    error = models.TextField(blank=True, default="")
    remedy = models.TextField(blank=True, default="")
    error_since = models.DateTimeField(null=True, blank=True)
    # Refused rows: how often in a row, when it is retried automatically (null: only after an edit), and what was wanted
    # then (integrations.delivery.desired_state.desired_key), which shows whether the permit has changed
    # since.
    refusals = models.PositiveIntegerField(default=0, db_default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    refused_key = models.CharField(max_length=32, blank=True, default="", db_default="")
    # Drift: since when enforcement has shown something else than was accepted (null: it does not), how often that was put
    # right since, and before when it is not tried again.
    drift_since = models.DateTimeField(null=True, blank=True)
    drift_tries = models.PositiveSmallIntegerField(default=0, db_default=0)
    drift_retry_at = models.DateTimeField(null=True, blank=True)

    # Since when it is kept although its permit belongs on another connection: until its successor there is accepted
    # (integrations.delivery.successors). Null: it is not.
    kept_since = models.DateTimeField(null=True, blank=True)

    objects = PermitSyncQuerySet.as_manager()

    class Meta:
        db_table = "integrations_registration"
        constraints = [
            models.UniqueConstraint(
                fields=["permit", "connection"], name="one_registration_per_permit_and_connection"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["due", "done", "refused"]), name="registration_state_is_known"
            ),
            models.CheckConstraint(
                condition=Q(remote_state=None, remote_until=None)
                | Q(remote_state__isnull=False, remote_until__isnull=False),
                name="registration_observed_has_an_end",
            ),
            models.CheckConstraint(
                condition=Q(lease=None, leased_until=None)
                | Q(lease__isnull=False, leased_until__isnull=False),
                name="registration_lease_has_an_end",
            ),
        ]
        indexes = [
            # The claim and the sweep. It holds only what is due, so that a million delivered rows cost nothing; the
            # lease is kept out of it, since each claim would otherwise rewrite the index.
            models.Index(
                fields=["connection", "priority", "due_since"],
                name="registration_due",
                condition=Q(state="due"),
            ),
            # The list of refused permit syncs, by connection and reason.
            models.Index(
                fields=["connection", "error_code"], name="registration_refused", condition=Q(state="refused")
            ),
            # What was refused and is retried automatically (integrations.delivery.refusals).
            models.Index(fields=["retry_at"], name="registration_retry", condition=Q(state="refused")),
            # Drift, for the overview. Nearly always empty, so that writing results costs no more.
            models.Index(
                fields=["connection"],
                name="registration_drift",
                condition=Q(state="done") & ~Q(error_code=""),
            ),
            # The list of drift, which stays in it while it is being put right.
            models.Index(
                fields=["connection", "drift_since"],
                name="registration_drift_since",
                condition=Q(drift_since__isnull=False),
            ),
            # What is kept for its successor; nearly always empty.
            models.Index(fields=["id"], name="registration_kept", condition=Q(kept_since__isnull=False)),
            # Reconciliation: what the vendor should list now.
            models.Index(
                fields=["connection", "remote_until"],
                name="registration_observed",
                condition=Q(remote_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"registration {self.pk} of permit {self.permit_id}"

    @property
    def is_drifting(self) -> bool:
        """Whether enforcement shows something else than was accepted, as far as is known, also while that is put right."""
        return self.drift_since is not None or self.error_code in DRIFT_CODES

    @property
    def is_seen(self) -> bool:
        """Whether enforcement was seen to show the current acceptance."""
        return self.seen_at is not None and (self.accepted_at is None or self.seen_at >= self.accepted_at)


class Push(models.Model):
    """One HTTP request that carried events."""

    class Outcome(models.TextChoices):
        """What became of the request as a whole."""

        ACCEPTED = "accepted", _("accepted")
        PARTLY = "partly", _("partly accepted")
        REFUSED = "refused", _("refused")
        NOT_REACHED = "later", _("not reached")
        STOPPED = "stopped", _("connection stopped")

    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, related_name="pushes", db_index=False
    )
    kind = models.CharField(max_length=20)
    events = models.PositiveIntegerField()
    accepted = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField()
    answered_at = models.DateTimeField()
    trace_id = models.CharField(max_length=40)
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    error_code = models.CharField(max_length=120, blank=True, default="")
    error = models.TextField(blank=True, default="")

    class Meta:
        verbose_name_plural = "pushes"
        ordering = ["-id"]
        indexes = [
            # Activity: a connection's pushes, newest first; and the charts of the last hours.
            models.Index(fields=["connection", "-sent_at"], name="push_activity"),
            models.Index(fields=["sent_at"], name="push_by_time"),
            # Activity found by a trace id or its beginning.
            models.Index(fields=["trace_id"], name="push_trace", opclasses=["varchar_pattern_ops"]),
            # Activity narrowed to what went wrong, and its reasons: few rows among very many.
            models.Index(
                fields=["connection", "-sent_at"], name="push_trouble", condition=~Q(outcome="accepted")
            ),
        ]

    def __str__(self) -> str:
        return f"push {self.trace_id}: {self.events} {self.kind}"


class PushEvent(models.Model):
    """The result of one push for one permit sync.

    Both rows that it refers to exist by construction: `record_results` writes it in the transaction that makes the push and
    updates the permit sync, and permit syncs are not deleted. So the database does not check them again for each
    event, which was a fifth of its work for a delivery (`benchmarks/README.md`); deletions cascade through Django.
    """

    class Result(models.TextChoices):
        """What the vendor said of the event."""

        ACCEPTED = "accepted", _("accepted")
        REFUSED = "refused", _("refused")
        LATER = "later", _("not reached")

    permit_sync = models.ForeignKey(
        PermitSync,
        db_column="registration_id",
        on_delete=models.CASCADE,
        related_name="events",
        db_index=False,
        db_constraint=False,
    )
    push = models.ForeignKey(
        Push, on_delete=models.CASCADE, related_name="event_rows", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=20)
    session_id = models.CharField(max_length=60)
    due_since = models.DateTimeField(db_column="marked_at")
    result = models.CharField(max_length=10, choices=Result.choices)
    error_code = models.CharField(max_length=120, blank=True, default="")
    error = models.TextField(blank=True, default="")
    # What the event's session says: so the evidence still tells which plate was where until when after the permit has
    # changed. Empty where a session was ended that had been replaced before. The database has defaults for these, since
    # a worker from before they existed writes evidence too while a deploy is under way.
    plate = models.CharField(max_length=20, blank=True, default="", db_default="")
    subdivision = models.CharField(max_length=6, blank=True, default="", db_default="")
    zone = models.CharField(max_length=64, blank=True, default="", db_default="")
    since = models.DateTimeField(null=True, blank=True)
    until = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # A permit's proof of delivery, in order.
            models.Index(fields=["permit_sync", "id"], name="event_evidence"),
            # Ending a push's evidence together with it, and a push's own page.
            models.Index(fields=["push"], name="event_of_push"),
            # Thinning (integrations.delivery.retention): the tries that were not accepted, oldest first; few among very many.
            models.Index(fields=["push", "id"], name="event_trouble", condition=~Q(result="accepted")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.session_id}: {self.result}"
