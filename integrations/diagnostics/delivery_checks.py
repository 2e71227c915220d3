"""The checks of delivery: tests, refusals, backlog, workers, broker, clock."""

from datetime import timedelta

import redis
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.alarms.health import GRAVE, LATE, WORKER_LATE
from integrations.audit_log.pushes import refusals
from integrations.delivery.database_clock import database_now
from integrations.diagnostics.context import DANGER, NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.models import (
    Connection,
    PeriodicTask,
    Push,
    WorkerHeartbeat,
)
from locations.times import duration_text

CHORE_LATE = timedelta(minutes=2)
CLOCK_OFF = timedelta(seconds=2)
CLOCK_WRONG = timedelta(seconds=30)
BROKER_TIMEOUT_S = 1.0
REASONS = 3


def refused(context: DiagnosticContext) -> Check:
    """Does the vendor refuse permits, and why?"""
    title = _("Refused permits")
    reasons = refusals(context.connections)
    if not reasons:
        return Check("refused", title, SUCCESS, _("None."))
    total = sum(reason.count for reason in reasons)
    text = "; ".join(f"{reason.count} × {reason.sentence or reason.code}" for reason in reasons[:REASONS])
    return Check(
        "refused",
        title,
        DANGER,
        ngettext("%(n)d: %(why)s", "%(n)d: %(why)s", total) % {"n": total, "why": text},
        _("These vehicles are not visible to enforcement."),
        reasons[0].remedy or _("Open them, fix what the reason names, and try again."),
        context.page("refused"),
    )


def held_back(context: DiagnosticContext) -> Check:
    """Are sends held back after failures?"""
    title, breaker = _("Sending"), context.breaker
    if breaker is None:
        return Check("held", title, SUCCESS, _("Nothing is held back after failures."))
    since = duration_text(context.now - breaker.failing_since) if breaker.failing_since else "?"
    text = _("%(why)s (for %(since)s)") % {"why": breaker.error, "since": since}
    if breaker.stopped:
        return Check(
            "held",
            title,
            DANGER,
            text,
            _("Nothing is sent until someone fixes this. Nothing is lost."),
            breaker.remedy,
        )
    return Check(
        "held",
        title,
        WARNING,
        text,
        _("It is tried again every few seconds. Nothing is lost."),
        breaker.remedy
        or _("Wait. If it lasts longer than an hour, ask %(vendor)s about an outage.") % context.names.words,
    )


def backlog(context: DiagnosticContext) -> Check:
    """How long has the oldest permit sync that could be sent been waiting?"""
    title, connection = _("Backlog"), context.connection
    if connection is None:
        return Check("backlog", title, NEUTRAL, _("There is no integration yet."))
    count, oldest = context.counts.waiting, context.counts.waiting_since
    if connection.status != Connection.Status.LIVE:
        return Check(
            "backlog",
            title,
            NEUTRAL,
            _("Permits waiting until the integration is live: %(n)d.") % {"n": count},
        )
    if oldest is None:
        text = _("Nothing is waiting: %(vendor)s has everything that was saved.") % context.names.words
        return Check("backlog", title, SUCCESS, text)
    age = context.now - oldest
    text = ngettext(
        "%(n)d permit has been waiting for %(age)s.",
        "%(n)d permits are waiting, the oldest for %(age)s.",
        count,
    )
    text = text % {"n": count, "age": duration_text(age)}
    if age < LATE:
        return Check("backlog", title, SUCCESS, text)
    tone = DANGER if age > GRAVE else WARNING
    return Check(
        "backlog",
        title,
        tone,
        text,
        _("Enforcement doesn't see these yet, or still sees permits that have ended."),
        _("Check the access to %(vendor)s, what is held back, and the workers.") % context.names.words,
        context.page("activity"),
    )


def last_accepted(context: DiagnosticContext) -> Check:
    """When did the vendor last accept something?"""
    title = _("Last accepted push")
    pushes = (
        Push.objects.filter(connection=context.connection, accepted__gt=0)
        if context.connection
        else Push.objects.none()
    )
    push = pushes.order_by("-sent_at").first()
    if push is None:
        return Check("accepted", title, NEUTRAL, _("Nothing yet."))
    text = _("%(age)s ago (trace id %(trace)s).") % {
        "age": duration_text(context.now - push.answered_at),
        "trace": push.trace_id,
    }
    return Check("accepted", title, SUCCESS, text, path=context.page("activity"))


def worker(context: DiagnosticContext) -> Check:
    """Is a worker alive?"""
    title = _("Workers")
    now = database_now()
    # Not one from the future either, which a clock that was wrong has left behind.
    lately = {"seen_at__gt": now - WORKER_LATE, "seen_at__lt": now + WORKER_LATE}
    alive = WorkerHeartbeat.objects.filter(**lately).count()
    if alive:
        return Check(
            "worker",
            title,
            SUCCESS,
            ngettext("%(n)d running.", "%(n)d running.", alive) % {"n": alive},
        )
    last = WorkerHeartbeat.objects.order_by("-seen_at").first()
    text = _("No worker is running.")
    if last is not None:
        text = _("No worker is running. The last sign of one was %(age)s ago.") % {
            "age": duration_text(context.now - last.seen_at)
        }
    return Check(
        "worker",
        title,
        DANGER,
        text,
        _("Nothing is sent, no zones are refreshed, and no emails go out. Nothing is lost."),
        _("Support: start a worker (see the README)."),
    )


def sweeper(context: DiagnosticContext) -> Check:
    """Are the periodic duties done?"""
    title, now = _("Periodic tasks"), database_now()
    chores = list(PeriodicTask.objects.order_by("name"))
    if not chores:
        return Check(
            "sweeper",
            title,
            DANGER,
            _("They have never run."),
            _("Changes whose message was lost are not sent, and zones are not refreshed."),
            _("Support: start a worker."),
        )
    late = [task.name for task in chores if task.next_at < now - CHORE_LATE]
    failed = [f"{task.name} ({task.last_error})" for task in chores if task.last_error]
    if late:
        return Check(
            "sweeper",
            title,
            DANGER,
            _("Late: %(names)s.") % {"names": ", ".join(late)},
            _("No worker runs them, or one is stuck."),
            _("Support: look at the worker's log, then restart it."),
        )
    if failed:
        return Check(
            "sweeper",
            title,
            WARNING,
            _("The last run failed: %(names)s.") % {"names": "; ".join(failed)[:400]},
            _("They are tried again automatically."),
            _("Support: look at the worker's log."),
        )
    return Check(
        "sweeper",
        title,
        SUCCESS,
        ngettext("%(n)d task, on time.", "%(n)d tasks, all on time.", len(chores)) % {"n": len(chores)},
    )


def broker(context: DiagnosticContext) -> Check:
    """Does the broker answer?"""
    title, url = _("Broker"), settings.CELERY_BROKER_URL
    if url.startswith("memory:"):
        return Check("broker", title, NEUTRAL, _("In memory: there is nothing to check."))
    client = redis.Redis.from_url(
        url.replace("redis+socket://", "unix://"),
        socket_timeout=BROKER_TIMEOUT_S,
        socket_connect_timeout=BROKER_TIMEOUT_S,
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as error:
        return Check(
            "broker",
            title,
            WARNING,
            _("It doesn't respond (%(name)s).") % {"name": type(error).__name__},
            _("What is saved is sent a second or two later than usual. Nothing is lost."),
            _("Support: start Redis, or check REDIS_URL."),
        )
    finally:
        client.close()
    return Check("broker", title, SUCCESS, _("It responds."))


def clock(context: DiagnosticContext) -> Check:
    """Does this machine's clock agree with the database's, by which everything is timed?"""
    title = _("Clock")
    before = timezone.now()
    there = database_now()
    after = timezone.now()
    # The database read its clock at some moment between the two.
    off = max(before - there, there - after, timedelta(0))
    if off <= CLOCK_OFF:
        return Check("clock", title, SUCCESS, _("This machine and the database agree."))
    text = _("This machine and the database differ by %(span)s.") % {"span": duration_text(off)}
    return Check(
        "clock",
        title,
        DANGER if off > CLOCK_WRONG else WARNING,
        text,
        _("Permits start and end at the wrong time, and %(vendor)s may refuse events as being in the future.")
        % context.names.words,
        _("Support: turn on time synchronisation (NTP)."),
    )
