"""Check plates: a regular test, in each mapped zone, that officers see a new plate and no longer see an ended one.

A delivery proves that the vendor accepted a change, and a comparison proves that its list is correct at that moment. Neither
shows how long a change takes to appear, or that a zone has stopped showing new plates before a vehicle parks there. So, for
a company that agreed, a plate that no state issues is started in all mapped zones of a connection, looked up in the parking
rights until it appears, stopped, and looked up until it is gone:

    started → accepted → seen → ended → gone

It bypasses permits, the outbox and the pushes on purpose: without a row there, a check plate can't appear in a list, a count
or a bill. It doesn't measure the way from a save to the vendor; every real permit does.

`follow` is a periodic task. A run is claimed by moving its `next_at`, so any worker can continue it. `todo` decides what is
next (pure), and no transaction is open while the vendor is asked. A plate that could not be stopped ends with its window of
fifteen minutes. The first zone that fails is reported at once; an outage is not, since a connection in trouble raises an
alarm of its own.
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto

import structlog
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from integrations.delivery import circuit_breaker
from integrations.delivery.at_once import at_once
from integrations.delivery.database_clock import database_now
from integrations.delivery.session_id import UNUSED
from integrations.models import CanaryCheck, CanaryRun, Connection, Zone
from integrations.reconciliation import canary_alarms
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from integrations.vendors.protocol import (
    NEEDS_SPACE,
    Account,
    Desired,
    RightSeen,
    Step,
    Vendor,
    get_vendor,
)
from integrations.vendors.right_keys import SAME_MOMENT
from locations import audit_log
from locations.models import User
from locations.plates import normalise_plate

log = structlog.get_logger(__name__)

# Ten characters: no state or province issues more than eight.
PLATE = "CANARY0000"
COUNTRY, SUBDIVISION = "US", "US-NC"
DEFAULT_MINUTES, FEWEST_MINUTES, MOST_MINUTES = 60, 15, 1440
VALID_FOR = timedelta(minutes=15)
# A plate that takes longer than this to appear, or to disappear, has failed the check.
WITHIN = timedelta(minutes=2)
KEPT_FOR = timedelta(days=31)
RUNS_AT_ONCE = 8
# How long a worker may take for one step before another takes over. Longer than any request.
_LEASE = timedelta(minutes=1)
# How long the wait has lasted → how often the vendor is asked.
_POLLS = ((timedelta(seconds=10), timedelta(seconds=0.8)), (timedelta(seconds=30), timedelta(seconds=2)))
_POLL_LATER = timedelta(seconds=10)
# The limit on waits the vendor asks for: by then the plates have ended.
_LONGEST_WAIT = VALID_FOR
# The intervals that people choose from, in minutes. A stored time further ahead than its interval is wrong.
_PACES = (FEWEST_MINUTES, 60, 240, MOST_MINUTES)
# Errors that say nothing about a zone: the network, the vendor or the connection itself has a problem.
_TROUBLE = (TryLater, FixConnection)


class Todo(Enum):
    """What is next for a check."""

    START = auto()
    LOOK = auto()
    END = auto()
    LOOK_AGAIN = auto()
    NOTHING = auto()


# --- Decisions (pure) -------------------------------------------------------------------------------------------------


def todo(check: CanaryCheck) -> Todo:
    """Return what is next for a check. A refused one has nothing to end."""
    if not check.failure and check.accepted_at is None:
        return Todo.START
    if not check.failure and check.seen_at is None:
        return Todo.LOOK
    over = (CanaryCheck.Failure.REFUSED, CanaryCheck.Failure.NOT_ENDED, CanaryCheck.Failure.STILL_SHOWN)
    if check.ended_at is None and check.failure not in over:
        return Todo.END
    return Todo.LOOK_AGAIN if not check.failure and check.gone_at is None else Todo.NOTHING


def next_of(checks: Iterable[CanaryCheck]) -> tuple[Todo, list[CanaryCheck]]:
    """Return the next action of a run and the checks it applies to. All zones take each step together."""
    by_todo: dict[Todo, list[CanaryCheck]] = {each: [] for each in Todo}
    for check in checks:
        by_todo[todo(check)].append(check)
    return next(((each, found) for each, found in by_todo.items() if found), (Todo.NOTHING, []))


def poll_every(lasted: timedelta) -> timedelta:
    """Return how often to ask the vendor once the wait has lasted this long."""
    return next((every for limit, every in _POLLS if lasted < limit), _POLL_LATER)


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether a run should begin. A stored time further ahead than the interval came from a wrong clock."""
    if connection.status != Connection.Status.LIVE or connection.canary_minutes is None:
        return False
    at = connection.canary_next_at
    return at is None or at <= now or at > now + timedelta(minutes=connection.canary_minutes)


def shows(check: CanaryCheck, right: RightSeen, *, zones_have_case: bool) -> bool:
    """Whether a right is the one that the check sent: same plate, zone and end."""
    zone, sent = right.zone_id, check.zone.remote_id
    same_zone = zone == sent if zones_have_case else zone.casefold() == sent.casefold()
    end = check.run.began_at + VALID_FOR
    # The end tells the runs apart where a right names no session. Vendors may round it, or leave it out.
    other_end = not right.reference if right.end is None else abs(right.end - end) >= SAME_MOMENT
    ours = right.reference in ("", check.session_id)
    return ours and same_zone and not other_end and normalise_plate(right.plate) == PLATE


# --- What people do ---------------------------------------------------------------------------------------------------


def agree(*, connection: Connection, minutes: int | None, actor: User | None) -> None:
    """Set how often check plates are sent, in minutes; None turns them off. Raises `ValidationError`."""
    if minutes is not None and not FEWEST_MINUTES <= minutes <= MOST_MINUTES:
        raise ValidationError(
            _("Check plates can be sent every %(fewest)d to %(most)d minutes.")
            % {"fewest": FEWEST_MINUTES, "most": MOST_MINUTES}
        )
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if row.canary_minutes != minutes:
            row.canary_minutes, row.canary_next_at = minutes, None
            row._history_user = actor  # type: ignore[attr-defined]
            row.save(update_fields=["canary_minutes", "canary_next_at"])
            audit_log.record(company=row.company, kind="canary_set", actor=actor, thing=row, minutes=minutes)
        if minutes is None:
            canary_alarms.end(row)
    connection.canary_minutes = minutes


# --- Periodic tasks ---------------------------------------------------------------------------------------------------


def follow(now: datetime) -> int:
    """Begin the runs that are due and advance each open run by one step; return how many were advanced."""
    soon = Q(canary_next_at=None) | Q(canary_next_at__lte=now)
    for minutes in _PACES:
        # A time further ahead than its interval was stored by a wrong clock.
        soon |= Q(canary_minutes__lte=minutes, canary_next_at__gt=now + timedelta(minutes=minutes))
    live = Connection.objects.filter(soon, status=Connection.Status.LIVE, canary_minutes__isnull=False)
    for connection in live.exclude(operator_confirmed_at=None).order_by("canary_next_at"):
        begin(connection, now)
    due = Q(next_at__lte=now) | Q(next_at__gt=now + max(_LEASE, _LONGEST_WAIT))
    open_runs = CanaryRun.objects.filter(due, finished_at=None).select_related("connection")
    claimed = [
        run
        for run in open_runs.order_by("next_at")
        if CanaryRun.objects.filter(pk=run.pk, next_at=run.next_at).update(next_at=now + _LEASE)
    ]
    # A run that fails is claimed again when its lease has expired.
    at_once(advance, claimed, most=RUNS_AT_ONCE)
    return len(claimed)


def tidy(now: datetime) -> int:
    """Delete runs older than `KEPT_FOR`; return how many rows were deleted (periodic task)."""
    return CanaryRun.objects.filter(began_at__lt=now - KEPT_FOR).delete()[0]


def begin(connection: Connection, now: datetime) -> CanaryRun | None:
    """Begin a run and return it, or None if none is due or the connection's breaker is open."""
    with transaction.atomic():
        row = Connection.objects.select_for_update(no_key=True).get(pk=connection.pk)
        if not is_due(row, now) or not row.is_confirmed or row.canary_minutes is None:
            return None
        next_at = now + timedelta(minutes=row.canary_minutes)
        Connection.objects.filter(pk=row.pk).update(canary_next_at=next_at)
        zones = Zone.objects.listed().filter(connection=row, mappings__isnull=False)
        found = list(zones.exclude(session_type=NEEDS_SPACE).distinct())
        canary_alarms.end(row, besides=[zone.pk for zone in found])
        scopes = (circuit_breaker.connection_scope(row.pk), circuit_breaker.host_scope(row.vendor))
        if not found or any(circuit_breaker.is_open(scope) for scope in scopes):
            return None
        last = CanaryRun.objects.filter(connection=row).aggregate(last=Max("number"))["last"] or 0
        try:
            with transaction.atomic():
                run = CanaryRun.objects.create(connection=row, number=last + 1, began_at=now, next_at=now)
        except IntegrityError:
            # The previous run is still open.
            return None
        CanaryCheck.objects.bulk_create(
            CanaryCheck(run=run, zone=zone, session_id=f"os-{row.key}-check-{secrets.token_hex(6)}")
            for zone in found
        )
    return run


def advance(run: CanaryRun) -> None:
    """Advance a claimed run by one step and store when the next step is due."""
    connection = run.connection
    vendor = get_vendor(connection.vendor)
    checks = list(run.checks.select_related("zone").order_by("pk"))
    for check in checks:
        check.run = run
    action, ready = next_of(checks)
    now = database_now()
    if (
        action is Todo.NOTHING
        or not run.began_at - VALID_FOR < now < run.began_at + VALID_FOR
        or connection.status == Connection.Status.ENDED
    ):
        _finish(run, checks, now)
        return
    if action is Todo.START:
        wait = _start(vendor, run, ready)
    elif action is Todo.END:
        wait = _end(vendor, run, ready)
    else:
        wait = _look(vendor, run, ready, gone=action is Todo.LOOK_AGAIN)
    CanaryRun.objects.filter(pk=run.pk).update(next_at=database_now() + min(wait, _LONGEST_WAIT))


# --- Inside -----------------------------------------------------------------------------------------------------------


def _account(connection: Connection) -> Account:
    return Account(connection.pk, connection.operator_id, connection.key)


def _start_step(vendor: Vendor, check: CanaryCheck) -> Step:
    run = check.run
    desired = Desired(
        zone_id=check.zone.remote_id,
        plate=PLATE,
        country=COUNTRY,
        subdivision=SUBDIVISION,
        start=run.began_at,
        end=run.began_at + VALID_FOR,
        rate_name="check",
    )
    steps = vendor.plan(
        _account(run.connection), None, desired, now=run.began_at, session_id=check.session_id
    )
    return steps[0]


def _send(
    vendor: Vendor,
    run: CanaryRun,
    checks: Sequence[CanaryCheck],
    step_of: Callable[[CanaryCheck], Step],
) -> list[tuple[CanaryCheck, DeliveryError | None]]:
    """Send a step for each check, in requests of the vendor's batch size; return each check with its error, if any."""
    found: list[tuple[CanaryCheck, DeliveryError | None]] = []
    for begin_at in range(0, len(checks), vendor.batch_size):
        batch = checks[begin_at : begin_at + vendor.batch_size]
        sent = vendor.send(_account(run.connection), [step_of(check) for check in batch])
        found += zip(batch, sent.results, strict=True)
    return found


def _start(vendor: Vendor, run: CanaryRun, checks: Sequence[CanaryCheck]) -> timedelta:
    results = _send(vendor, run, checks, lambda check: _start_step(vendor, check))
    now = database_now()
    accepted = [check.pk for check, error in results if error is None]
    CanaryCheck.objects.filter(pk__in=accepted).update(accepted_at=now)
    for check, error in results:
        if isinstance(error, _TROUBLE):
            # It may have arrived even so, so it is ended too.
            _fail(check, CanaryCheck.Failure.UNREACHABLE, error.sentence)
        elif error is not None:
            _fail(check, CanaryCheck.Failure.REFUSED, error.sentence)
    return timedelta(0)


def _end(vendor: Vendor, run: CanaryRun, checks: Sequence[CanaryCheck]) -> timedelta:
    account = _account(run.connection)

    def step_of(check: CanaryCheck) -> Step:
        state = vendor.apply(None, _start_step(vendor, check))
        return vendor.plan(account, state, None, now=database_now(), session_id=UNUSED)[0]

    results = _send(vendor, run, checks, step_of)
    now = database_now()
    done = [check.pk for check, error in results if error is None]
    CanaryCheck.objects.filter(pk__in=done).update(ended_at=now)
    wait = timedelta(0)
    for check, error in results:
        if isinstance(error, _TROUBLE):
            asked = error.retry_after if isinstance(error, TryLater) else None
            wait = max(asked or _POLL_LATER, _POLL_LATER)
        elif error is not None and check.accepted_at is None:
            # The start had not arrived.
            CanaryCheck.objects.filter(pk=check.pk).update(ended_at=now)
        elif error is not None:
            _fail(check, CanaryCheck.Failure.NOT_ENDED, error.sentence)
    return wait


def _look(vendor: Vendor, run: CanaryRun, checks: Sequence[CanaryCheck], *, gone: bool) -> timedelta:
    since = max(filter(None, (check.ended_at if gone else check.accepted_at for check in checks)))
    try:
        rights = vendor.fetch_rights(run.connection.operator_id, plate=PLATE)
    except DeliveryError as error:
        if database_now() - since > WITHIN:
            for check in checks:
                _fail(check, CanaryCheck.Failure.UNREACHABLE, error.sentence)
        return _POLL_LATER
    now = database_now()
    shown = {
        check.pk
        for check in checks
        for right in rights
        if shows(check, right, zones_have_case=vendor.zones_have_case)
    }
    if gone:
        through = [check for check in checks if check.pk not in shown]
        CanaryCheck.objects.filter(pk__in=[check.pk for check in through]).update(gone_at=now)
    else:
        through = [check for check in checks if check.pk in shown]
        CanaryCheck.objects.filter(pk__in=shown).update(seen_at=now)
    late = [check for check in checks if check not in through] if now - since > WITHIN else []
    failure = CanaryCheck.Failure.STILL_SHOWN if gone else CanaryCheck.Failure.NOT_SHOWN
    for check in late:
        _fail(check, failure, "")
    return timedelta(0) if len(through) + len(late) == len(checks) else poll_every(now - since)


def _finish(run: CanaryRun, checks: Sequence[CanaryCheck], now: datetime) -> None:
    CanaryRun.objects.filter(pk=run.pk).update(finished_at=now)
    for check in checks:
        if not check.failure and check.gone_at is not None:
            canary_alarms.resolve(check.zone_id)


def _fail(check: CanaryCheck, failure: CanaryCheck.Failure, sentence: str) -> None:
    """Store how a check failed, and notify the company unless the vendor could not be reached."""
    with transaction.atomic():
        still_good = CanaryCheck.objects.filter(pk=check.pk, failure="")
        if not still_good.update(failure=failure, sentence=sentence):
            return
        if failure == CanaryCheck.Failure.UNREACHABLE:
            return
        canary_alarms.tell(check, failure, sentence, plate=PLATE)
