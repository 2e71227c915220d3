"""Claiming: taking due rows, deciding what is to be sent, and writing that down — in one short transaction.

Two statements read: the first locks rows that are due (SKIP LOCKED on PostgreSQL; SQLite's one writer needs no more), the
second reads what they stand for. They must be two: a row that changed while it was being locked would otherwise be joined
with the permit as it was before. The third writes the lease, the *intent* (the very events that go out) and the next
attempt. So a crash afterwards costs an attempt and never the record, and the same events go out again.

Per connection at most `quota` rows are taken, in the order of priority and age: a company with a hundred thousand due rows
takes no more of a claim than one with a single row.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
from integrations.delivery.circuit_breaker import BreakerState, SendPermission
from integrations.delivery.database_clock import database_now, sql_now
from integrations.delivery.desired_state import desired_of
from integrations.models import PermitSync
from integrations.models.delivery import PermitSyncQuerySet, Priority
from integrations.vendors.errors import INTERCEPTED, DeliveryError, Unexpected
from integrations.vendors.protocol import Account, Desired, RemoteState, Step, Vendor

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=12)


@dataclass(slots=True)
class ClaimedRow:
    """One claimed row, what is to be sent for it, and (filled in by the sender) what became of it."""

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
    # The steps were decided at an earlier attempt that may have reached the vendor.
    replay: bool = False
    undone: bool = False
    # What was believed of the vendor turned out wrong: the rest is planned anew at once.
    again: bool = False
    refusal: DeliveryError | None = None
    later: DeliveryError | None = None
    # Something that takes a session away was refused: never for good.
    stop_refused: bool = False
    # What was wanted of the vendor when the steps were planned; not known where they were planned earlier.
    desired: Desired | None = None
    planned: bool = False
    # How often in a row the vendor has refused this row, and how often since somebody last changed it.
    refusals: int = 0
    refusals_since_edit: int = 0
    # Others have got through since this row was first intercepted.
    barred: bool = False
    kept: list[Step] = field(default_factory=list)
    accepted_any: bool = False
    # Rows of `PushEvent`: (index of the push in the unit, kind, session id, error or None, the session as it says).
    evidence: list[tuple[int, str, str, DeliveryError | None, RemoteState]] = field(default_factory=list)

    @property
    def suspected(self) -> bool:
        """Whether it was refused before, so that it should not hold up others."""
        return self.refusals > 0


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What is to be claimed of one connection; `tests_only` where it is not live, so that only test plates are sent."""

    account: Account
    vendor: Vendor
    quota: int
    gate: SendPermission
    tests_only: bool

    @property
    def lowest_priority(self) -> int:
        """The last priority that may be claimed; written as a bound so that the index serves it."""
        return Priority.TEST if self.tests_only else max(Priority)


@dataclass(frozen=True, slots=True)
class ConnectionState:
    """A connection, as far as a claim must know it."""

    vendor: str
    account: Account
    is_live: bool
    breakers: tuple[BreakerState, ...] = ()


_CONNECTIONS = """
SELECT c.id, c.vendor, c.operator_id, c.key, c.status = 'live', {now},
    own.key, own.failures, own.open_until, own.recovered_at, host.key, host.failures, host.open_until, host.recovered_at
FROM {ids} JOIN integrations_connection c ON c.id = a.id
LEFT JOIN integrations_breaker own ON own.key = 'c:' || c.id
LEFT JOIN integrations_breaker host ON host.key = 'h:' || c.vendor
WHERE c.status <> 'ended' AND c.operator_id <> '' AND c.operator_confirmed_at IS NOT NULL
"""


def connections(ids: Sequence[int]) -> tuple[datetime, dict[int, ConnectionState]]:
    """Return the database's time and those of the connections that may send at all, in one round trip.

    SQL, and with the breakers, since this is the first thing between a save and its request.
    """
    item, value = bulk_sql.id_list(ids)
    now = sql_now() if db.vendor == "postgresql" else "NULL"
    with bulk_sql.cursor(rows=len(ids)) as cursor:
        cursor.execute(_CONNECTIONS.format(ids=item, now=now), {"ids": value})
        rows = cursor.fetchall()
    found = {
        row[0]: ConnectionState(row[1], Account(row[0], row[2], row[3]), bool(row[4]), _breakers(row[6:]))
        for row in rows
    }
    at: datetime | None = rows[0][5] if rows else None
    return at or database_now(), found


def _breakers(columns: Sequence[Any]) -> tuple[BreakerState, ...]:
    """Return the breakers (a connection's own and its host's) that there are."""
    both = (columns[:4], columns[4:])
    return tuple(
        BreakerState(
            key,
            failures,
            open_until and bulk_sql.as_time(open_until),
            recovered_at and bulk_sql.as_time(recovered_at),
        )
        for key, failures, open_until, recovered_at in both
        if key is not None
    )


def claim(asks: Sequence[ClaimRequest], *, now: datetime | None = None) -> list[ClaimedRow]:
    """Claim due rows and return them with their steps; rows without any step (nothing to do) are among them.

    `now` is the database's time, where it was read just before.
    """
    by_connection = {ask.account.connection_id: ask for ask in asks}
    with transaction.atomic():
        now = now or database_now()
        ids = _lock(asks, now)
        if not ids:
            return []
        lease = uuid.uuid4().hex
        works = [_decide_safely(row, by_connection[row[1]], lease, now) for row in _read(ids)]
        _write(works, lease, now)
    return works


_DUE = """
r.connection_id = {connection} AND r.state = 'due' AND (r.leased_until IS NULL OR r.leased_until < %(now)s)
AND ({probing} OR r.next_attempt_at <= %(now)s OR r.tried_at < {recovered})
AND r.priority <= {lowest} AND {which}
ORDER BY r.priority, r.marked_at LIMIT {quota}
"""


def _lock(asks: Sequence[ClaimRequest], now: datetime) -> list[int]:
    probes = [ask for ask in asks if ask.gate.probing]
    if not probes:
        return _locked(asks, now, which="true")
    # What was intercepted may be barred for itself, whatever the way is like: it is probed with where there is nothing else.
    found = _locked(asks, now, which=f"(NOT {{probing}} OR r.error_code <> '{INTERCEPTED}')")
    return found or _locked(probes, now, which="true")


def _locked(asks: Sequence[ClaimRequest], now: datetime, *, which: str) -> list[int]:
    """Lock the due rows of each ask that also meet `which`, SQL of our own."""
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
            "now": now,
            "ids": [ask.account.connection_id for ask in asks],
            "quotas": [ask.quota for ask in asks],
            "probing": [ask.gate.probing for ask in asks],
            "recovered": [ask.gate.recovered_at for ask in asks],
            "lowest": [ask.lowest_priority for ask in asks],
        }
        with bulk_sql.fast_cursor(rows=len(asks)) as cursor:
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
        for ask in asks:
            cursor.execute(
                f"SELECT r.id FROM integrations_registration r WHERE {due}",
                {
                    "now": bulk_sql.adapted(now),
                    "id": ask.account.connection_id,
                    "quota": ask.quota,
                    "probing": ask.gate.probing,
                    "recovered": bulk_sql.adapted(ask.gate.recovered_at),
                    "lowest": ask.lowest_priority,
                },
            )
            found += [row[0] for row in cursor.fetchall()]
    return found


_READ = """
SELECT r.id, r.connection_id, r.priority, r.generation, r.attempts, r.sessions, r.marked_at, CAST(r.observed AS text),
    CAST(r.intent AS text), p.revision, p.plate, p.country, p.subdivision, p.start, p."end", p.space_number, p.type,
    p.status, z.connection_id, z.remote_id, z.session_type, r.error_code, r.refusals, r.error_since
FROM {ids} JOIN integrations_registration r ON r.id = a.id JOIN locations_permit p ON p.id = r.permit_id
LEFT JOIN integrations_zonemapping m ON m.location_id = p.location_id LEFT JOIN integrations_zone z ON z.id = m.zone_id
ORDER BY a.place
"""


def _read(ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Read what the rows stand for, in their order. SQL, since the ORM would take longer than all the rest of a claim."""
    item, value = bulk_sql.id_list(ids)
    with bulk_sql.cursor(rows=len(ids)) as cursor:
        cursor.execute(_READ.format(ids=item), {"ids": value})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _decide_safely(row: Any, ask: ClaimRequest, lease: str, now: datetime) -> ClaimedRow:
    """Decide on a row; one that nobody can make sense of is shown as refused, and does not hold up the others."""
    try:
        return _decide(row, ask, lease, now)
    except Exception as error:
        (
            pk,
            connection_id,
            priority,
            version,
            attempts,
            session_count,
            due_since,
            remote_state,
            pending_steps,
            revision,
        ) = row[:10]
        log.exception("a registration could not be planned", permit_sync_id=pk)
        name = type(error).__name__
        refusal = Unexpected(_("Planning failed: %(name)s.") % {"name": name}, code=name)
        return ClaimedRow(
            pk, connection_id, priority, version, attempts, session_count, bulk_sql.as_time(due_since), revision, lease,
            None if remote_state is None else orjson.loads(remote_state), [],
            refusal=refusal, kept=[] if pending_steps is None else orjson.loads(pending_steps), refusals=row[-2],
            refusals_since_edit=0 if row[-1] is None else row[-2],
        )  # fmt: skip


def _decide(row: Any, ask: ClaimRequest, lease: str, now: datetime) -> ClaimedRow:
    (pk, connection_id, priority, version, attempts, session_count, due_since, remote_state, pending_steps, revision,
    plate, country,
     subdivision, start, end, space_number, permit_type, status, zone_connection_id, zone_id, session_type, error_code,
     refusals, error_since) = row  # fmt: skip
    remote_state = None if remote_state is None else orjson.loads(remote_state)
    decided: list[Step] = [] if pending_steps is None else orjson.loads(pending_steps)
    due_since, start, end = bulk_sql.as_time(due_since), bulk_sql.as_time(start), bulk_sql.as_time(end)
    work = ClaimedRow(
        pk,
        connection_id,
        priority,
        version,
        attempts,
        session_count,
        due_since,
        revision,
        lease,
        remote_state,
        [],
    )
    # A mark has cleared what was wrong, so that the waits begin anew.
    work.refusals, work.refusals_since_edit = refusals, 0 if error_since is None else refusals
    recovered_at = ask.gate.recovered_at
    if error_code == INTERCEPTED and error_since is not None and recovered_at is not None:
        work.barred = bulk_sql.as_time(error_since) < recovered_at
    decided = [step for step in decided if not _is_over(step, now)]
    if any(not step.get("refused") for step in decided):
        work.steps, work.replay = decided, True
        return work
    desired = desired_of(
        connection_id=connection_id,
        zone_connection_id=zone_connection_id,
        zone_id=zone_id,
        session_type=session_type,
        status=status,
        plate=plate,
        country=country,
        subdivision=subdivision,
        start=start,
        end=end,
        space_number=space_number,
        permit_type=permit_type,
        now=now,
    )
    work.desired, work.planned = desired, True
    if desired is not None and (refusal := ask.vendor.preflight_error(desired)) is not None:
        # What the vendor would refuse must not stand in for what it replaces: that one is taken away.
        work.refusal, desired = refusal, None
    account = ask.account
    session_id = f"os-{account.key}-{pk}-{session_count + 1}"
    steps = ask.vendor.plan(account, remote_state, desired, now=now, session_id=session_id)
    if any(step["session"] == session_id for step in steps):
        work.session_count = session_count + 1
    work.steps = [*decided, *steps]
    return work


def _is_over(step: Step, now: datetime) -> bool:
    """Whether a step that was refused would end what has ended by itself."""
    until = step.get("until") if step.get("refused") else None
    return until is not None and datetime.fromisoformat(until) <= now


_LEASE = """
intent = d.intent, sessions = d.sessions, lease = %(lease)s, leased_until = %(until)s, next_attempt_at = %(until)s,
tried_at = %(now)s, attempts = r.attempts + 1
"""


def _write(works: Sequence[ClaimedRow], lease: str, now: datetime) -> None:
    """Write lease, intent and the next attempt of all rows in one statement."""
    bulk_sql.update(
        "integrations_registration",
        {"id": "bigint", "intent": "jsonb", "sessions": "int"},
        [{"id": work.id, "intent": work.steps or None, "sessions": work.session_count} for work in works],
        assignments=_LEASE,
        parameters={"lease": lease, "until": now + LEASE, "now": now},
    )


def renew(works: Sequence[ClaimedRow]) -> None:
    """Lengthen the leases of rows whose requests are still under way.

    Rows that somebody is changing are passed over: nobody waits here, and such a row has seconds left for the next time.
    """
    until = database_now() + LEASE
    for part in _parts(works):
        with transaction.atomic():
            _held(part).update(leased_until=until, next_attempt_at=until)


def release(works: Sequence[ClaimedRow]) -> None:
    """Give up the leases of rows that were not sent: any worker may take them at once.

    This claim was no attempt then. What it decided has not gone out and is decided anew; what an earlier one decided, or what
    was refused before, stays as the row's intent.
    """
    now = database_now()
    anew = [work for work in works if not work.replay and not any(step.get("refused") for step in work.steps)]
    ids = {work.id for work in anew}
    for some, decided in (
        (anew, {"pending_steps": None}),
        ([work for work in works if work.id not in ids], {}),
    ):
        for part in _parts(some):
            with transaction.atomic():
                # An edit meanwhile has set the attempts to none.
                attempts = Greatest(F("attempts") - 1, 0)
                _held(part).update(
                    lease=None, leased_until=None, next_attempt_at=now, attempts=attempts, **decided
                )


def _parts(works: Sequence[ClaimedRow]) -> Iterator[tuple[str, list[int]]]:
    """Return the ids of rows by their lease, a bounded number at a time."""
    ids: dict[str, list[int]] = defaultdict(list)
    for work in works:
        ids[work.lease].append(work.id)
    for lease, pks in ids.items():
        for begin in range(0, len(pks), bulk_sql.MAX_PARAMETERS):
            yield lease, pks[begin : begin + bulk_sql.MAX_PARAMETERS]


def _held(part: tuple[str, list[int]]) -> PermitSyncQuerySet:
    """Lock those rows that still have their lease and that nobody else has locked."""
    lease, pks = part
    rows = PermitSync.objects.filter(pk__in=pks, lease=lease)
    rows = rows.select_for_update(skip_locked=True, no_key=True)
    held = list(rows.values_list("pk", flat=True))
    return PermitSync.objects.filter(pk__in=held)
