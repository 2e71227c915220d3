"""Two audits that find changes the engine was not notified of, by comparing permits with their stored delivery state.

`audit` goes through the permits that have not ended and checks that each matches what was last accepted.
`audit_remote_state` goes through what was accepted and is still running although its permit has ended. A row that was
changed without the services (SQL, `QuerySet.update`, a restored backup) is marked as due, even if it was refused. The audits
use the engine's own planning, so the two can't disagree. Each handles a few rows a second, because a worker that audits also
delivers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog
from django.db import connection as db
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from integrations.delivery import bulk_sql, outbox
from integrations.delivery.desired_state import FACT_LOOKUPS, NOTHING, PermitFacts, desired_key, desired_of
from integrations.delivery.session_id import UNUSED
from integrations.models import Connection, PeriodicTask, PermitSync, ZoneMapping
from integrations.vendors.protocol import Account, Desired, RemoteState, get_vendor
from locations.models import Permit

log = structlog.get_logger(__name__)

AUDIT_TASK = "audit"
REMOTE_STATE_TASK = "audit what was accepted"
# Permits checked in one round, and the most ids it scans to find them: a million permits take seven minutes.
AUDIT_ROWS = 2_500
AUDIT_WINDOW = 50_000
REMOTE_STATE_WINDOW = 5_000


def audit(now: datetime) -> int:
    """Check the next `AUDIT_ROWS` permits that have not ended, mark those that differ, return how many (periodic task)."""
    row = PeriodicTask.objects.get_or_create(name=AUDIT_TASK, defaults={"next_at": now})[0]
    top = row.cursor + AUDIT_WINDOW
    window = Permit.objects.not_ended(now).filter(pk__gt=row.cursor, pk__lte=top).order_by("pk")
    ids = list(window.values_list("pk", flat=True)[:AUDIT_ROWS])
    top = ids[-1] if len(ids) == AUDIT_ROWS else top
    _move(row, top if Permit.objects.filter(pk__gt=top).exists() else 0)
    return _mark(find_unmarked(ids, now) + find_stale(ids, now))


# Refused, except where the refused step was a stop: that is retried automatically. A row without `retry_at` was written by
# a worker that predates the column.
_REFUSED_FOR_ANOTHER = Q(state=PermitSync.State.REFUSED) & (
    Q(retry_at=None) | ~Q(refused_key__in=["", NOTHING])
)


def audit_remote_state(now: datetime) -> int:
    """Mark permit syncs that are still running although their permit has ended; return their number (periodic task)."""
    row = PeriodicTask.objects.get_or_create(name=REMOTE_STATE_TASK, defaults={"next_at": now})[0]
    top = row.cursor + REMOTE_STATE_WINDOW
    running = PermitSync.objects.filter(
        Q(permit__status=Permit.Status.CANCELLED) | Q(permit__end__lte=now),
        Q(state=PermitSync.State.DONE) | _REFUSED_FOR_ANOTHER,
        pk__gt=row.cursor,
        pk__lte=top,
        remote_until__gt=now,
    )
    running = running.exclude(connection__status=Connection.Status.ENDED)
    ids = list(running.values_list("permit_id", flat=True))
    _move(row, top if PermitSync.objects.filter(pk__gt=top).exists() else 0)
    return _mark(ids)


def _move(row: PeriodicTask, cursor: int) -> None:
    PeriodicTask.objects.filter(name=row.name).update(cursor=cursor)


def _mark(differing: Sequence[int]) -> int:
    if differing:
        log.warning("permits were changed without the services", count=len(differing))
        with transaction.atomic():
            outbox.mark(permit_ids=sorted(set(differing)), bulk=True)
    return len(differing)


def find_unmarked(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return the permits that belong on a connection but have no permit sync there."""
    mapping = ZoneMapping.objects.filter(location=OuterRef("location")).exclude(
        zone__connection__status=Connection.Status.ENDED
    )
    there = PermitSync.objects.filter(
        permit=OuterRef("pk"), connection=OuterRef("location__zone_mapping__zone__connection")
    )
    wanted = Permit.objects.not_ended(now).filter(Exists(mapping), ~Exists(there), pk__in=permit_ids)
    return list(wanted.values_list("pk", flat=True))


_COLUMNS = (
    "permit_id",
    *FACT_LOOKUPS,
    "remote_state",
    "connection__vendor",
    "connection__operator_id",
    "connection__key",
)


# Selects rows that differ from what was accepted in a field that every vendor's document has. Only these need planning.
_MAY_DIFFER = """
SELECT r.permit_id FROM {ids} JOIN integrations_registration r ON r.permit_id = a.id
JOIN locations_permit p ON p.id = r.permit_id
LEFT JOIN integrations_zonemapping m ON m.location_id = p.location_id LEFT JOIN integrations_zone z ON z.id = m.zone_id
WHERE r.state = 'refused' OR (r.state = 'done' AND (r.observed IS NOT NULL
    AND p.status = 'active' AND z.connection_id = r.connection_id
    AND r.observed->>'plate' = p.plate AND r.observed->>'subdivision' = p.subdivision
    AND COALESCE(r.observed->>'country', p.country) = p.country
    AND r.observed->>'zone_id' = z.remote_id
    AND COALESCE(r.observed->>'space', '') = CASE WHEN z.session_type = 'space' THEN p.space_number ELSE '' END
    AND abs(extract(epoch FROM (r.observed->>'start')::timestamptz - p.start)) < 0.001
    AND abs(extract(epoch FROM (r.observed->>'end')::timestamptz - p."end")) < 0.001) IS NOT TRUE)
"""


def _may_differ(permit_ids: Sequence[int]) -> list[int]:
    """Return the permits that must be planned to find out whether they still match what was accepted.

    Nearly all of them match in every field, and the database establishes that in a hundredth of the time that planning takes.
    Fields that no officer sees and that cause no event themselves (the rate) are not compared. SQLite has few rows, so there
    all are planned.
    """
    if db.vendor != "postgresql" or not permit_ids:
        return list(permit_ids)
    item, value = bulk_sql.id_list(permit_ids)
    with bulk_sql.cursor(rows=len(permit_ids)) as cursor:
        cursor.execute(_MAY_DIFFER.format(ids=item), {"ids": value})
        return [row[0] for row in cursor.fetchall()]


def find_stale(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return the permits whose desired state differs from what was accepted or refused."""
    permit_ids = _may_differ(permit_ids)
    here = PermitSync.objects.filter(permit_id__in=permit_ids)
    # A right that is kept until its successor exists differs on purpose (integrations.delivery.successors).
    done = here.filter(state=PermitSync.State.DONE, kept_since=None)
    found = [row[0] for row in done.values_list(*_COLUMNS) if _differs(row, now)]
    refused = here.refused().exclude(connection__status=Connection.Status.ENDED)
    for key, retry_at, *row in refused.values_list("refused_key", "retry_at", *_COLUMNS):
        # Without a key it is unknown what was refused. Such a row is retried automatically, unless it was written by a
        # worker that predates both columns.
        if key != desired_key(_read(row, now)[3]) if key else retry_at is None:
            found.append(row[0])
    return found


def _differs(row: Any, now: datetime) -> bool:
    vendor_slug, account, remote_state, desired = _read(row, now)
    return bool(get_vendor(vendor_slug).plan(account, remote_state, desired, now=now, session_id=UNUSED))


def _read(row: Any, now: datetime) -> tuple[str, Account, RemoteState | None, Desired | None]:
    """Return the vendor, the account, the remote state and the desired state of a row of `_COLUMNS`."""
    _permit_id, *facts, remote_state, vendor_slug, operator_id, key = row
    desired = desired_of(PermitFacts(*facts), now=now)
    return vendor_slug, Account(facts[0], operator_id, key), remote_state, desired
