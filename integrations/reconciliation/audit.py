"""Two audits that find what the engine was never told about: permits against what is stored here of their delivery.

`audit` walks over the permits that have not ended and checks whether each is as it was last accepted; `audit_remote_state`
walks over what was accepted and still runs for a permit that has ended. A row that was changed without the services (SQL,
`QuerySet.update`, a restored backup) is marked as due, a refused one too. They plan exactly as the engine does, so the two
can't disagree. Both take a few rows every second: a worker that audits also delivers.
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
# Permits that are looked at in one round, and how many ids it goes over at the most to find them: a million in seven minutes.
AUDIT_ROWS = 2_500
AUDIT_WINDOW = 50_000
REMOTE_STATE_WINDOW = 5_000


def audit(now: datetime) -> int:
    """Look at the next `AUDIT_ROWS` permits that have not ended; mark what differs; return how many did (periodic task)."""
    row = PeriodicTask.objects.get_or_create(name=AUDIT_TASK, defaults={"next_at": now})[0]
    top = row.cursor + AUDIT_WINDOW
    window = Permit.objects.not_ended(now).filter(pk__gt=row.cursor, pk__lte=top).order_by("pk")
    ids = list(window.values_list("pk", flat=True)[:AUDIT_ROWS])
    top = ids[-1] if len(ids) == AUDIT_ROWS else top
    _move(row, top if Permit.objects.filter(pk__gt=top).exists() else 0)
    return _mark(find_unmarked(ids, now) + find_stale(ids, now))


# Refused, but not while nothing was wanted: that stop is tried again automatically. One without `retry_at` was written by
# a worker from before it existed.
_REFUSED_FOR_ANOTHER = Q(state=PermitSync.State.REFUSED) & (
    Q(retry_at=None) | ~Q(refused_key__in=["", NOTHING])
)


def audit_remote_state(now: datetime) -> int:
    """Mark registrations that still run though their permit has ended; return how many (periodic task)."""
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
    """Return those permits that belong on a connection and have no registration there."""
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


# What is as it was accepted in each part that every vendor's document has, and need not be planned to know it.
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
    """Return those permits that have to be planned to know whether they are as they were accepted.

    Nearly all are as they were in every part: the database says so in a hundredth of the time that planning them takes. Left
    out are parts that no officer sees and that start no event on their own (the rate). SQLite has few rows.
    """
    if db.vendor != "postgresql" or not permit_ids:
        return list(permit_ids)
    item, value = bulk_sql.id_list(permit_ids)
    with bulk_sql.cursor(rows=len(permit_ids)) as cursor:
        cursor.execute(_MAY_DIFFER.format(ids=item), {"ids": value})
        return [row[0] for row in cursor.fetchall()]


def find_stale(permit_ids: Sequence[int], now: datetime) -> list[int]:
    """Return those permits of which something else is wanted than was accepted or refused."""
    permit_ids = _may_differ(permit_ids)
    here = PermitSync.objects.filter(permit_id__in=permit_ids)
    # What is kept for its successor differs on purpose (integrations.delivery.successors).
    done = here.filter(state=PermitSync.State.DONE, kept_since=None)
    found = [row[0] for row in done.values_list(*_COLUMNS) if _differs(row, now)]
    refused = here.refused().exclude(connection__status=Connection.Status.ENDED)
    for key, retry_at, *row in refused.values_list("refused_key", "retry_at", *_COLUMNS):
        # Without a key it is not known what was refused; such a row is tried again automatically, unless a worker wrote
        # it that knew nothing of either.
        if key != desired_key(_read(row, now)[3]) if key else retry_at is None:
            found.append(row[0])
    return found


def _differs(row: Any, now: datetime) -> bool:
    vendor_slug, account, remote_state, desired = _read(row, now)
    return bool(get_vendor(vendor_slug).plan(account, remote_state, desired, now=now, session_id=UNUSED))


def _read(row: Any, now: datetime) -> tuple[str, Account, RemoteState | None, Desired | None]:
    """Return the vendor, the account, what it has and what it should have, of a row of `_COLUMNS`."""
    _permit_id, *facts, remote_state, vendor_slug, operator_id, key = row
    desired = desired_of(PermitFacts(*facts), now=now)
    return vendor_slug, Account(facts[0], operator_id, key), remote_state, desired
