"""Claiming: lock due rows, plan what is to be sent, and store the plan, all in one short transaction.

Two statements read: the first locks rows that are due (SKIP LOCKED on PostgreSQL; SQLite has a single writer and needs no
more), the second reads the permits behind them. They must be two: a row that changed while it was being locked would
otherwise be joined with the permit as it was before. A third statement writes the lease, the pending steps (the exact
events that will be sent) and the next attempt. So a crash afterwards costs an attempt and loses nothing: the same events
are sent again.

At most `quota` rows are taken per connection, by priority and age: a company with a hundred thousand due rows takes no
more of a claim than one with a single row.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import structlog
from django.db import connection as db
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Greatest
from django.utils.translation import gettext as _

from integrations.delivery import bulk_sql
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.database_clock import believed_until, database_now
from integrations.delivery.desired_state import PermitFacts, desired_of, kept_of
from integrations.delivery.record_results import BACKOFF_MAX
from integrations.delivery.row_outcome import ClaimedRow
from integrations.delivery.session_id import new_session_id
from integrations.models import PermitSync
from integrations.models.delivery import PermitSyncQuerySet, Priority
from integrations.vendors.errors import INTERCEPTED, Unexpected
from integrations.vendors.protocol import Account, Step, Vendor

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=12)
# For how many seconds after a claim rows may be sent. Nothing is sent in the last moments of a lease: a process that was
# frozen for so long may have lost the rows to another worker.
LEASE_SAFE_S = LEASE.total_seconds() - 1.0


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What is to be claimed of one connection; `tests_only` where it is not live, so that only test plates are sent."""

    account: Account
    vendor: Vendor
    quota: int
    permission: SendPermission
    tests_only: bool

    @property
    def lowest_priority(self) -> int:
        """The last priority that may be claimed; written as a bound so that the index serves it."""
        return Priority.TEST if self.tests_only else max(Priority)


def claim(requests: Sequence[ClaimRequest], *, now: datetime | None = None) -> list[ClaimedRow]:
    """Claim due rows and return them with their steps; rows without any step (nothing to do) are among them.

    `now` is the database's time, where it was read just before.
    """
    by_connection = {request.account.connection_id: request for request in requests}
    with transaction.atomic():
        now = now or database_now()
        ids = _lock(requests, now)
        if not ids:
            return []
        lease = uuid.uuid4().hex
        rows = [_decide_safely(row, by_connection[row[1]], lease, now) for row in _read(ids, now)]
        _write(rows, lease, now)
    return rows


_DUE = """
r.connection_id = {connection} AND r.state = 'due'
AND (r.leased_until IS NULL OR r.leased_until < %(now)s OR r.leased_until > %(lease_end)s)
AND ({probing} OR r.next_attempt_at <= %(now)s OR r.next_attempt_at > %(wait_end)s OR r.tried_at < {recovered})
AND r.priority <= {lowest} AND {which}
ORDER BY r.priority, r.marked_at LIMIT {quota}
"""


def _lock(requests: Sequence[ClaimRequest], now: datetime) -> list[int]:
    probes = [request for request in requests if request.permission.probing]
    if not probes:
        return _locked(requests, now, which="true")
    # An intercepted row may be blocked because of what it says, however healthy the path is: it serves as a probe only
    # where there is nothing else.
    found = _locked(requests, now, which=f"(NOT {{probing}} OR r.error_code <> '{INTERCEPTED}')")
    return found or _locked(probes, now, which="true")


def _locked(requests: Sequence[ClaimRequest], now: datetime, *, which: str) -> list[int]:
    """Lock the due rows of each request that also meet `which`, an SQL condition written here."""
    times = {
        "now": now,
        "lease_end": believed_until(now, LEASE),
        "wait_end": believed_until(now, BACKOFF_MAX),
    }
    if db.vendor == "postgresql":
        due = _DUE.format(
            which=which.format(probing="a.probing"),
            connection="a.id",
            probing="a.probing",
            recovered="a.recovered",
            lowest="a.lowest",
            quota="a.quota",
        )
        sql = f"""
            SELECT r.id FROM unnest(%(ids)s::bigint[], %(quotas)s::int[], %(probing)s::bool[], %(recovered)s::timestamptz[],
                                    %(lowest)s::int[]) AS a(id, quota, probing, recovered, lowest)
            CROSS JOIN LATERAL (SELECT r.id FROM integrations_registration r WHERE {due} FOR NO KEY UPDATE SKIP LOCKED) r
        """
        parameters: dict[str, Any] = {
            **times,
            "ids": [request.account.connection_id for request in requests],
            "quotas": [request.quota for request in requests],
            "probing": [request.permission.probing for request in requests],
            "recovered": [request.permission.recovered_at for request in requests],
            "lowest": [request.lowest_priority for request in requests],
        }
        with bulk_sql.fast_cursor(rows=len(requests)) as cursor:
            cursor.execute(sql, parameters)
            return [row[0] for row in cursor.fetchall()]
    due = _DUE.format(
        which=which.format(probing="%(probing)s"),
        connection="%(id)s",
        probing="%(probing)s",
        recovered="%(recovered)s",
        lowest="%(lowest)s",
        quota="%(quota)s",
    )
    found: list[int] = []
    with db.cursor() as cursor:
        for request in requests:
            cursor.execute(
                f"SELECT r.id FROM integrations_registration r WHERE {due}",
                {
                    **{name: bulk_sql.adapted(at) for name, at in times.items()},
                    "id": request.account.connection_id,
                    "quota": request.quota,
                    "probing": request.permission.probing,
                    "recovered": bulk_sql.adapted(request.permission.recovered_at),
                    "lowest": request.lowest_priority,
                },
            )
            found += [row[0] for row in cursor.fetchall()]
    return found


_READ = """
SELECT r.id, r.connection_id, r.priority, r.generation, r.attempts, r.sessions, r.marked_at, p.revision,
    CAST(r.observed AS text), CAST(r.intent AS text), r.error_code, r.refusals, r.error_since,
    p.plate, p.country, p.subdivision, p.start, p."end", p.space_number, p.type, p.status,
    z.connection_id, z.remote_id, z.session_type,
    CASE WHEN z.connection_id <> r.connection_id THEN EXISTS (
        SELECT 1 FROM integrations_registration s WHERE s.permit_id = p.id AND s.connection_id = z.connection_id
        AND s.state = 'done' AND s.observed_until > %(now)s
    ) END
FROM {ids} JOIN integrations_registration r ON r.id = a.id JOIN locations_permit p ON p.id = r.permit_id
LEFT JOIN integrations_zonemapping m ON m.location_id = p.location_id LEFT JOIN integrations_zone z ON z.id = m.zone_id
ORDER BY a.place
"""


def _read(ids: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
    """Read what the rows stand for, in their order. SQL, since the ORM would take longer than all the rest of a claim.

    The last column says of a row whose permit belongs on another connection whether its successor there stands.
    """
    item, value = bulk_sql.id_list(ids)
    with bulk_sql.cursor(rows=len(ids)) as cursor:
        at = now if db.vendor == "postgresql" else bulk_sql.adapted(now)
        cursor.execute(_READ.format(ids=item), {"ids": value, "now": at})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _decide_safely(row: Any, request: ClaimRequest, lease: str, now: datetime) -> ClaimedRow:
    """Decide on a row; one that can't be planned is shown as refused, and does not hold up the others."""
    try:
        return _decide(row, request, lease, now)
    except Exception as error:
        log.exception("a registration could not be planned", permit_sync_id=row[0])
        name = type(error).__name__
        refusal = Unexpected(_("Planning failed: %(name)s.") % {"name": name}, code=name)
        (pk, connection_id, priority, version, attempts, session_count, due_since, revision, remote_state, pending_steps,
         _error_code, refusals, error_since, *_permit) = row  # fmt: skip
        return ClaimedRow(
            pk, connection_id, priority, version, attempts, session_count, bulk_sql.as_time(due_since), revision, lease,
            _loaded(remote_state), [], retained_steps=_loaded(pending_steps) or [], preflight_error=refusal,
            refusals=refusals, refusals_since_edit=0 if error_since is None else refusals,
        )  # fmt: skip


def _decide(row: Any, request: ClaimRequest, lease: str, now: datetime) -> ClaimedRow:
    """Return a row with the steps of an earlier attempt, or with what is to be sent by a new plan."""
    (pk, connection_id, priority, version, attempts, session_count, due_since, revision, remote_state, pending_steps,
     error_code, refusals, error_since, plate, country, subdivision, start, end, *zone_and_rest,
     has_successor) = row  # fmt: skip
    remote_state, decided = _loaded(remote_state), _loaded(pending_steps) or []
    recovered_at = request.permission.recovered_at
    is_barred = False
    if error_code == INTERCEPTED and error_since is not None and recovered_at is not None:
        is_barred = bulk_sql.as_time(error_since) < recovered_at
    decided = [step for step in decided if not _is_over(step, now)]
    is_replay = any(not step.get("refused") for step in decided)
    desired, preflight_error, kept_since = None, None, None
    if not is_replay:
        facts = PermitFacts(
            connection_id,
            plate,
            country,
            subdivision,
            bulk_sql.as_time(start),
            bulk_sql.as_time(end),
            *zone_and_rest,
        )
        desired = desired_of(facts, now=now)
        if has_successor is not None and not has_successor and remote_state is not None:
            # What is moved to another connection is taken away here once it stands there.
            desired = kept_of(facts, remote_state, now=now)
            kept_since = now if desired is not None else None
        fresh_id = new_session_id(request.account.key, pk, session_count + 1)
        steps = request.vendor.plan(request.account, remote_state, desired, now=now, session_id=fresh_id)
        begins = any(step["session"] == fresh_id for step in steps)
        # A preflight error is about a session that would start. One that was accepted stays as it is, whatever is
        # required of new ones.
        if begins and desired is not None:
            preflight_error = request.vendor.preflight_error(desired)
        if preflight_error is not None:
            # What the vendor would refuse must not stand in for what it replaces: that one is taken away.
            steps, begins = (
                request.vendor.plan(request.account, remote_state, None, now=now, session_id=fresh_id),
                False,
            )
        session_count += begins
        decided = [*decided, *steps]
    return ClaimedRow(
        pk, connection_id, priority, version, attempts, session_count, bulk_sql.as_time(due_since), revision, lease,
        remote_state, decided, [], is_replay, preflight_error, desired, not is_replay, refusals,
        # An edit clears what was wrong, so that the waiting times start over.
        0 if error_since is None else refusals, is_barred, kept_since,
    )  # fmt: skip


def _loaded(document: str | None) -> Any:
    return None if document is None else orjson.loads(document)


def _is_over(step: Step, now: datetime) -> bool:
    """Whether a step that was refused would end what has already ended at its own time."""
    until = step.get("until") if step.get("refused") else None
    return until is not None and datetime.fromisoformat(until) <= now


_LEASE = """
intent = d.intent, sessions = d.sessions, lease = %(lease)s, leased_until = %(until)s, next_attempt_at = %(until)s,
tried_at = %(now)s, attempts = r.attempts + 1,
kept_since = CASE WHEN d.kept_since IS NULL THEN NULL ELSE COALESCE(r.kept_since, d.kept_since) END
"""


def _write(rows: Sequence[ClaimedRow], lease: str, now: datetime) -> None:
    """Write lease, intent and the next attempt of all rows in one statement."""
    bulk_sql.update(
        "integrations_registration",
        {"id": "bigint", "intent": "jsonb", "sessions": "int", "kept_since": "timestamptz"},
        [
            {
                "id": row.id,
                "intent": row.steps or row.retained_steps or None,
                "sessions": row.session_count,
                "kept_since": row.kept_since,
            }
            for row in rows
        ],
        assignments=_LEASE,
        parameters={"lease": lease, "until": now + LEASE, "now": now},
    )


def renew(rows: Sequence[ClaimedRow]) -> None:
    """Extend the leases of rows whose requests are still under way.

    Rows that another transaction has locked are skipped: nothing waits here, and such a row has seconds left until
    the next time.
    """
    until = database_now() + LEASE
    for part in _parts(rows):
        with transaction.atomic():
            _held(part).update(leased_until=until, next_attempt_at=until)


def release(rows: Sequence[ClaimedRow]) -> None:
    """Give up the leases of rows that were not sent, so that any worker may claim them at once.

    This claim then counts as no attempt. The steps that it planned were not sent and are planned again; those of an
    earlier claim, or that were refused before, stay with the row.
    """
    now = database_now()
    fresh = [row for row in rows if not row.is_replay and not any(step.get("refused") for step in row.steps)]
    ids = {row.id for row in fresh}
    for some, decided in (
        (fresh, {"pending_steps": None}),
        ([row for row in rows if row.id not in ids], {}),
    ):
        for part in _parts(some):
            with transaction.atomic():
                # An edit meanwhile has reset the attempts to 0.
                attempts = Greatest(F("attempts") - 1, 0)
                _held(part).update(
                    lease=None, leased_until=None, next_attempt_at=now, attempts=attempts, **decided
                )


def _parts(rows: Sequence[ClaimedRow]) -> Iterator[tuple[str, list[int]]]:
    """Return the ids of rows by their lease, a bounded number at a time."""
    ids: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        ids[row.lease].append(row.id)
    for lease, pks in ids.items():
        for begin in range(0, len(pks), bulk_sql.MAX_PARAMETERS):
            yield lease, pks[begin : begin + bulk_sql.MAX_PARAMETERS]


def _held(part: tuple[str, list[int]]) -> PermitSyncQuerySet:
    """Lock those rows that still have their lease and that no other transaction has locked."""
    lease, pks = part
    rows = PermitSync.objects.filter(pk__in=pks, lease=lease)
    rows = rows.select_for_update(skip_locked=True, no_key=True)
    held = list(rows.values_list("pk", flat=True))
    return PermitSync.objects.filter(pk__in=held)
