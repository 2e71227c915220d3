"""What becomes of the rows of a connection that ends: nothing of them is sent any more, and what may still be there is left.

Whoever saves a permit marks all its rows, those on connections from which its location has moved away too. One that is saved
in the very moment in which such a connection ends may not see that yet, and its row becomes due again after the end: nobody
would ever claim it, and the permit's page would say that it waits. `settle_late` settles such rows within a minute. (To keep
saves and the end apart by a lock would make each save wait for whatever else is done with its connection.)
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, PermitSync
from integrations.models.delivery import PermitSyncQuerySet
from integrations.vendors.protocol import Step

PORTION = 5_000


def settle(connection: Connection, *, leave_behind: bool) -> None:
    """Settle the rows of an account to which nothing is sent any more, in the transaction that ends it.

    Raises `ValidationError` for what may not be left.
    """
    there = Q(remote_until__gt=timezone.now()) | Q(pending_steps__isnull=False)
    _settle(connection.permit_syncs.filter(Q(state=PermitSync.State.DUE) | there), leave_behind=leave_behind)


def settle_late(now: datetime) -> int:
    """Settle rows that became due while their connection ended; return how many (periodic task)."""
    late = PermitSync.objects.due().filter(connection__in=_ended_with_due_rows())
    if not late.exists():
        return 0
    with transaction.atomic():
        return _settle(late, leave_behind=True)


def _ended_with_due_rows() -> list[int]:
    """Return ended connections that have due rows; each costs one look into the index of what is due."""
    due = PermitSync.objects.due().filter(connection=OuterRef("pk"))
    ended = Connection.objects.filter(Exists(due), status=Connection.Status.ENDED)
    return list(ended.values_list("pk", flat=True))


def _settle(rows: PermitSyncQuerySet, *, leave_behind: bool) -> int:
    now = timezone.now()
    # Counted under their locks: a worker that has just claimed some of them has told so by then.
    ids = rows.hold()
    left: list[int] = []
    for some in _portions(ids):
        known = PermitSync.objects.filter(pk__in=some).values_list("pk", "remote_until", "pending_steps")
        left += [
            pk
            for pk, until, steps in known
            if (until is not None and until > now) or _may_be_there(steps, now)
        ]
    if left and not leave_behind:
        text = ngettext(
            "%(count)d permit is or may still be valid there. Remove the zones of the locations, "
            "wait until the permit is removed, then end the integration.",
            "%(count)d permits are or may still be valid there. Remove the zones of the locations, "
            "wait until the permits are removed, then end the integration.",
            len(left),
        )
        raise ValidationError(text, code="held_there", params={"count": len(left)})
    # Without its lease, what a worker still learns of such a row is kept as evidence alone.
    settled = {"lease": None, "leased_until": None, "retry_at": None}
    for some in _portions(sorted(set(ids) - set(left))):
        PermitSync.objects.filter(pk__in=some).update(
            state=PermitSync.State.DONE, pending_steps=None, **settled
        )
    for some in _portions(left):
        PermitSync.objects.filter(pk__in=some).update(
            state=PermitSync.State.REFUSED,
            error_kind="connection",
            error_code="connection_ended",
            error=_("The integration ended before this was removed. It expires there automatically."),
            error_since=now,
            **settled,
        )
    return len(ids)


def _portions(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for begin in range(0, len(ids), PORTION):
        yield ids[begin : begin + PORTION]


def _may_be_there(steps: Sequence[Step] | None, now: datetime) -> bool:
    """Whether steps that are stored with a row may stand for a right: sent without an answer, or an end that was refused."""
    return any(
        not step.get("refused") or "until" not in step or datetime.fromisoformat(step["until"]) > now
        for step in steps or ()
    )
