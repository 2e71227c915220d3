"""The watch over all live connections: raises an alarm once trouble has lasted too long, and closes it when it is over.

A periodic task, so one worker at a time runs it; that two never announce the same alarm is kept by the database all the
same: a connection has at most one open row (`Alarm`), and an open row is closed by one conditional update. What a person has
paused or ended is no alarm. Whether something is wrong is decided by `integrations.alarms.health`.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from integrations.alarms import announce
from integrations.alarms.facts import failing_breakers, health_of
from integrations.alarms.health import LATE, Level, LinkHealth, Trouble, level_of, trouble_of
from integrations.models import Alarm, Breaker, Connection, PermitSync

log = structlog.get_logger(__name__)

WATCH_TASK = "watch for alarms"


def watch(now: datetime) -> None:
    """Raise and close alarms (periodic task); `now` is the database's time."""
    still_open = {alarm.connection_id: alarm for alarm in _open().filter(connection__isnull=False)}
    health = health_of(_suspects(now), now)
    for pk, one in health.items():
        trouble = trouble_of(one, now)
        alarm = still_open.get(pk)
        if alarm is None and trouble is not None and is_told(trouble, now):
            _raise(Alarm(connection_id=pk), trouble, one, now)
        elif alarm is not None and _is_over(trouble):
            _close(alarm, one.status, now)
    _watch_hosts(health, now)


def is_told(trouble: Trouble, now: datetime) -> bool:
    """Whether an alarm is raised for a connection's trouble by now. Pure.

    A connection's own stop is told at once. A host's is support's to mend; a company is told if it lasts.
    """
    if trouble.cause == Alarm.Cause.STOPPED and trouble.of_host:
        return level_of(trouble.since, now) == Level.DANGER
    return trouble.level == Level.DANGER


def _suspects(now: datetime) -> QuerySet[Connection]:
    """The connections that may be in trouble, or were: the others are not looked at any further."""
    late = PermitSync.objects.waiting().filter(connection=OuterRef("pk"), due_since__lt=now - LATE)
    failing = list(failing_breakers().values_list("connection_id", "vendor"))
    return Connection.objects.filter(
        Q(Exists(late), status=Connection.Status.LIVE)
        | Q(pk__in=[pk for pk, _vendor in failing if pk], status=Connection.Status.LIVE)
        | Q(vendor__in=[vendor for _pk, vendor in failing if vendor], status=Connection.Status.LIVE)
        | Q(Exists(Alarm.objects.filter(connection=OuterRef("pk"), over_at=None)))
    )


def _watch_hosts(health: Mapping[int, LinkHealth], now: datetime) -> None:
    """Raise and close the alarms of vendors' hosts, for support."""
    still_open = {alarm.vendor: alarm for alarm in _open().filter(vendor__isnull=False)}
    failing = {
        breaker.vendor: trouble
        for breaker in failing_breakers().filter(vendor__isnull=False)
        if (trouble := _host_trouble(breaker, health, now)) is not None
    }
    for vendor, trouble in failing.items():
        if trouble.level == Level.DANGER and vendor not in still_open:
            _raise(Alarm(vendor=vendor), trouble, None, now)
    for vendor, alarm in still_open.items():
        if _is_over(failing.get(vendor)):
            _close(alarm, Connection.Status.LIVE, now)


def _host_trouble(breaker: Breaker, health: Mapping[int, LinkHealth], now: datetime) -> Trouble | None:
    """Return a host's trouble; None where none of its connections is in trouble because of it."""
    since = breaker.failing_since
    mine = (trouble_of(one, now) for one in health.values())
    if since is None or not any(one is not None and one.of_host for one in mine):
        return None
    if breaker.stopped:
        return Trouble(Alarm.Cause.STOPPED, Level.DANGER, since, breaker.error, breaker.remedy, of_host=True)
    level = level_of(since, now)
    return Trouble(Alarm.Cause.OUTAGE, level, since, breaker.error, breaker.remedy, of_host=True)


def _is_over(trouble: Trouble | None) -> bool:
    return trouble is None or trouble.level == Level.CALM


def _open() -> QuerySet[Alarm]:
    return Alarm.objects.filter(over_at=None).select_related("connection__company")


def _raise(alarm: Alarm, trouble: Trouble, health: LinkHealth | None, now: datetime) -> None:
    alarm.cause, alarm.since, alarm.raised_at = trouble.cause, trouble.since, now
    try:
        with transaction.atomic():
            alarm.save(force_insert=True)
            announce.raised(alarm, trouble, health, now)
    except IntegrityError:
        # Another worker was quicker.
        if not _open().filter(connection=alarm.connection_id, vendor=alarm.vendor).exists():
            raise
        return
    log.warning(
        "alarm", alarm=alarm.pk, cause=alarm.cause, connection=alarm.connection_id, vendor=alarm.vendor
    )


def _close(alarm: Alarm, status: str, now: datetime) -> None:
    with transaction.atomic():
        if not Alarm.objects.filter(pk=alarm.pk, over_at=None).update(over_at=max(now, alarm.raised_at)):
            return
        announce.over(alarm, status, now)
    log.info("alarm is over", alarm=alarm.pk, connection=alarm.connection_id, vendor=alarm.vendor)
