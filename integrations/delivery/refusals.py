"""Refused permit syncs that are retried automatically, with growing delays.

A refusal is final only where the same record would be refused whenever it is sent (the vendor says so:
`DeliveryError.for_good`); then the permit or the zone has to be changed. All other reasons may pass: a zone that was gone
for a moment, a firewall, a fault of our own that a new version fixes. The refusal of a stop is never final: a plate that is
no longer wanted would park for free until its session expires.

`record_results` writes when a row is retried (`PermitSync.retry_at`). Until then it is shown as refused, with its reason.
"""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection as db
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Greatest

from integrations.delivery.database_clock import come
from integrations.delivery.row_outcome import RowOutcome
from integrations.models import Connection, PermitSync
from integrations.models.delivery import PermitSyncQuerySet, Priority

RETRY_TASK = "try refused ones again"
# Rows of one connection that are retried in one round (every few seconds), so that a hundred thousand that are refused for
# the same reason don't delay anything else.
ROWS_EACH = 50
CONNECTIONS = 200


def retries(outcome: RowOutcome) -> bool:
    """Whether a refused row is retried automatically. Pure."""
    if outcome.stop_refused or outcome.retained_steps:
        return True
    return outcome.error is None or not outcome.error.for_good


def wait(refusals: int, *, draw: Callable[[], float] = random.random) -> timedelta:
    """Return how long a row waits after its `refusals`-th refusal in a row (from 1): doubling, with jitter of a quarter."""
    first, longest = settings.REFUSAL_RETRY_FIRST_S, settings.REFUSAL_RETRY_MAX_S
    return timedelta(seconds=min(first * 2 ** min(refusals - 1, 30), longest) * (0.75 + 0.25 * draw()))


def retry_due(now: datetime) -> int:
    """Make the refused rows due whose time has come; return how many (periodic task).

    The error stays on them, and so does the number of refusals: the next wait is longer.
    """
    longest = timedelta(seconds=settings.REFUSAL_RETRY_MAX_S)
    due = PermitSync.objects.refused().filter(come("retry_at", now, at_most=longest))
    due = due.filter(Q(connection__status=Connection.Status.LIVE) | Q(priority=Priority.TEST))
    due = due.exclude(connection__status=Connection.Status.ENDED)
    connections = due.order_by().values_list("connection", flat=True).distinct()[:CONNECTIONS]
    return sum(_retry(connection, due, now) for connection in list(connections))


def _retry(connection_id: int, due: PermitSyncQuerySet, now: datetime) -> int:
    ids = list(
        due.filter(connection=connection_id).order_by("retry_at").values_list("pk", flat=True)[:ROWS_EACH]
    )
    with transaction.atomic():
        rows = PermitSync.objects.refused().filter(pk__in=ids).order_by("permit_id", "connection_id")
        if db.features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True, no_key=True)
        held = list(rows.values_list("pk", "priority"))
        mine = [pk for pk, priority in held if priority != Priority.TEST]
        changes = {
            "state": PermitSync.State.DUE,
            "next_attempt_at": now,
            "due_since": now,
            "retry_at": None,
        }
        changed = PermitSync.objects.filter(pk__in=[pk for pk, _priority in held])
        changed.update(**changes, version=F("version") + 1)
        # Behind edits that people make now.
        PermitSync.objects.filter(pk__in=mine).update(priority=Greatest(F("priority"), Priority.MASS_END))
    return len(held)
