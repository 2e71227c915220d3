"""Marks permit syncs as due, in the transaction that saved the change.

`mark` is step 2 of a permit's way: one statement inserts or updates the permit syncs of the given permits as *due*. Changes
coalesce: there is one row per permit and connection, so ten edits cause one plan, which reads the current state.
`version` counts the marks, which lets `record_results` see that something changed during a push.

The order of locks, for everything that waits for one (so that no deadlock can occur):

1. the company, 2. its connections by id, 3. a zone refresh, ticket or test plate, 4. permits by id, 5. locations by id,
6. permit syncs by permit and connection. Any may be left out; none is taken after one that follows it in this list.

Rows are locked without their keys (`no_key=True`): a row that refers to them takes a shared lock on the key at the commit,
whatever it holds by then. Only locations are locked with theirs, on purpose (`locations.services.lock_locations`). Code that
must not wait skips locked rows (claims, leases, urgency) or waits only briefly (recording results). Breakers,
periodic tasks and rate buckets are locked one at a time, in transactions of their own.

Nothing here talks to a vendor or a broker; the wake-up is a hint, given after the commit and never waited for.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import connection as db
from django.db import transaction

from integrations.delivery.bulk_sql import cursor
from integrations.delivery.database_clock import database_now, sql_now
from integrations.delivery.wakeup import wake
from integrations.models import Connection, PermitSync
from locations import audit_log
from locations.models import Company, Permit, User

# How many permits one statement marks.
MARK_ROWS = 5_000
_IS_ENDING = "NOT (p.status = 'active' AND p.\"end\" > {now})"
_PRIORITY = (
    "CASE WHEN p.is_test THEN -1"
    f" WHEN {_IS_ENDING} THEN {{ending}}"
    " WHEN p.start <= {now} THEN {current}"
    " ELSE {coming} END"
)
# The first branch finds where a permit belongs now, the second where it has been before (another connection after its
# location was remapped or unmapped), so that what is no longer wanted is removed there. Nothing is sent to a
# connection that has ended, so nothing of it becomes due again. They give nothing but
# the pair: with anything computed beside it, the union could hold a pair twice, which `ON CONFLICT` refuses.
_MARK = """
INSERT INTO integrations_registration
    (permit_id, connection_id, state, priority, generation, marked_at, next_attempt_at, attempts, sessions,
     accepted_revision, error_kind, error_code, error, remedy)
SELECT x.permit_id, x.connection_id, 'due', {priority}, 1, {now}, {now}, 0, 0, 0, '', '', '', ''
FROM (
    SELECT p.id AS permit_id, z.connection_id AS connection_id
    FROM locations_permit p
    JOIN integrations_zonemapping m ON m.location_id = p.location_id
    JOIN integrations_zone z ON z.id = m.zone_id
    JOIN integrations_connection c ON c.id = z.connection_id
    WHERE {which} AND p.status = 'active' AND p."end" > {now} AND c.status <> 'ended'
    UNION
    SELECT r.permit_id, r.connection_id
    FROM integrations_registration r JOIN locations_permit p ON p.id = r.permit_id
    JOIN integrations_connection c ON c.id = r.connection_id
    WHERE {which} AND c.status <> 'ended'
) x JOIN locations_permit p ON p.id = x.permit_id
WHERE true
ORDER BY x.permit_id, x.connection_id
ON CONFLICT (permit_id, connection_id) DO UPDATE SET
    state = 'due',
    priority = CASE WHEN integrations_registration.state = 'due'
                     AND integrations_registration.priority < excluded.priority
                    THEN integrations_registration.priority ELSE excluded.priority END,
    marked_at = CASE WHEN integrations_registration.state = 'due'
                     THEN integrations_registration.marked_at ELSE excluded.marked_at END,
    generation = integrations_registration.generation + 1,
    next_attempt_at = excluded.next_attempt_at,
    attempts = 0, error_kind = '', error_code = '', error = '', remedy = '', error_since = NULL
RETURNING connection_id
"""


def mark(*, permit_ids: Sequence[int], bulk: bool = False) -> set[int]:
    """Mark the permit syncs of these permits as due and wake their connections after the commit.

    Must run in the transaction that changed the permits. `bulk` puts them behind people's single edits. Returns the ids
    of the connections concerned. A permit of an unmapped location that was never sent has no row: it waits for its
    mapping, which marks it then.
    """
    if not permit_ids:
        return set()
    rows = len(permit_ids)
    if db.vendor == "postgresql":
        ids = f"{{{','.join(map(str, permit_ids))}}}"
        return _mark("p.id = ANY(%(which)s::bigint[])", ids, bulk=bulk, rows=rows)
    ids = orjson.dumps(list(permit_ids)).decode()
    return _mark("p.id IN (SELECT value FROM json_each(%(which)s))", ids, bulk=bulk, rows=rows)


def mark_connection(*, connection_id: int, bulk: bool = True) -> set[int]:
    """Mark all permits that have not ended, at all locations mapped on a connection, as due (backfill).

    In portions, so that no statement comes near its deadline, however many permits there are.
    """
    permits = Permit.objects.not_ended(database_now())
    permits = permits.filter(location__zone_mapping__zone__connection=connection_id)
    ids = list(permits.order_by("pk").values_list("pk", flat=True))
    touched: set[int] = set()
    for begin in range(0, len(ids), MARK_ROWS):
        touched |= mark(permit_ids=ids[begin : begin + MARK_ROWS], bulk=bulk)
    return touched


def retry(*, permit_sync_ids: Iterable[int], actor: User | None = None) -> int:
    """Make refused permit syncs due again, unchanged; return how many."""
    ids = list(permit_sync_ids)
    with transaction.atomic():
        refused = PermitSync.objects.refused().filter(pk__in=ids)
        refused = refused.exclude(connection__status=Connection.Status.ENDED)
        by_company: dict[int, list[int]] = defaultdict(list)
        for company_id, permit_id in refused.values_list("connection__company", "permit_id"):
            by_company[company_id].append(permit_id)
        permits = [permit for refused_ids in by_company.values() for permit in refused_ids]
        mark(permit_ids=permits, bulk=len(permits) > 1)
        for company in Company.objects.filter(pk__in=by_company):
            retried = by_company[company.pk]
            # A single retry names its permit; several are only counted.
            details: dict[str, Any] = {"permit": retried[0]} if len(retried) == 1 else {}
            audit_log.record(company=company, kind="retried", actor=actor, count=len(retried), **details)
    return len(permits)


def _mark(which: str, value: str, *, bulk: bool, rows: int) -> set[int]:
    """Mark the permits that meet the SQL condition `which`, at most `rows` of them."""
    # The database's clock, since the claim compares with it.
    now = sql_now()
    ending, current, coming = (2, 3, 4) if bulk else (0, 0, 1)
    priority = _PRIORITY.format(now=now, ending=ending, current=current, coming=coming)
    sql = _MARK.format(now=now, priority=priority, which=which)
    with cursor(rows=rows) as opened:
        opened.execute(sql, {"which": value})
        touched = {row[0] for row in opened.fetchall()}
    if touched:
        transaction.on_commit(lambda: wake(touched), robust=True)
    return touched
