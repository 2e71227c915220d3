"""Moving to another connection ends no right before its successor is accepted.

When a location is mapped to a zone of another connection, each right is started on the new connection and ended on the old
one. The claim keeps the old right (`PermitSync.kept_since`) until the new one is accepted, even if the new connection is
paused, fails or refuses the permit. `release_kept` then makes the old right due, to be ended.
"""

from datetime import datetime

from django.db import transaction
from django.db.models import Exists, F, OuterRef

from integrations.delivery.database_clock import database_now
from integrations.delivery.wakeup import wake
from integrations.models import Connection, PermitSync
from integrations.models.delivery import Priority

TASK = "end what was moved"
ROWS = 2_000


def release_kept(now: datetime) -> int:
    """Make kept rows whose successor has been accepted due; return how many (periodic task)."""
    successor = PermitSync.objects.filter(
        permit=OuterRef("permit"),
        connection=OuterRef("permit__location__zone_mapping__zone__connection"),
        state=PermitSync.State.DONE,
        remote_until__gt=now,
    ).exclude(connection=OuterRef("connection"))
    kept = PermitSync.objects.filter(kept_since__isnull=False, state=PermitSync.State.DONE)
    kept = kept.exclude(connection__status=Connection.Status.ENDED)
    ids = list(kept.filter(Exists(successor)).values_list("pk", flat=True)[:ROWS])
    if not ids:
        return 0
    with transaction.atomic():
        # The successors are left alone; only kept rows become due.
        rows = PermitSync.objects.filter(pk__in=ids, state=PermitSync.State.DONE)
        rows.hold()
        touched = set(rows.values_list("connection_id", flat=True))
        at = database_now()
        count = rows.update(
            state=PermitSync.State.DUE,
            priority=Priority.MASS_END,
            version=F("version") + 1,
            due_since=at,
            next_attempt_at=at,
            attempts=0,
        )
        transaction.on_commit(lambda: wake(touched))
    return count
