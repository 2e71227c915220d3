"""All periodic tasks, in one list (see `integrations.worker.scheduler`)."""

from datetime import datetime, timedelta

import structlog
from django.core.exceptions import ValidationError
from django.db.models import F, Q

from integrations import diagnostics
from integrations.alarms import watch
from integrations.dashboard import hourly_stats
from integrations.delivery import circuit_breaker, refusals, retention, successors
from integrations.delivery.at_once import at_once
from integrations.models import Breaker, CheckRun, Connection, PeriodicTask
from integrations.notifications import email_queue
from integrations.onboarding import automation, rows_of_ended, test_plate_poller
from integrations.permits import rights_lookup
from integrations.reconciliation import audit, canary, check_runs, rounds
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from integrations.vendors.protocol import get_vendor
from integrations.worker import scheduler
from integrations.zones import refresh as zone_refresh

log = structlog.get_logger(__name__)

# So many are refreshed at once: one that does not answer holds up none of the others.
ZONES_AT_A_TIME = 5
TOKENS_TASK = "keep tokens"


def register_all() -> None:
    """Register the periodic tasks of every worker; those that ask a vendor or a mail server say that they wait for others."""
    scheduler.register(audit.AUDIT_TASK, 1, audit.audit)
    scheduler.register(audit.REMOTE_STATE_TASK, 1, audit.audit_remote_state)
    scheduler.register("count pushes by the hour", 60, hourly_stats.count_hours)
    scheduler.register("follow check plates", 1, canary.follow, waits_for_others=True)
    scheduler.register("follow set-ups", 2, automation.follow_set_ups, waits_for_others=True)
    scheduler.register("follow tests", 1, test_plate_poller.follow_tests, waits_for_others=True)
    scheduler.register(
        TOKENS_TASK,
        60,
        keep_tokens,
        rests_s=circuit_breaker.STOP_MAX.total_seconds(),
        waits_for_others=True,
    )
    scheduler.register("raise urgency", 10, scheduler.raise_urgency)
    scheduler.register(rounds.RECONCILE_TASK, 5, rounds.reconcile_all, waits_for_others=True)
    scheduler.register("refresh zones", 20, refresh_oldest_zones, waits_for_others=True)
    scheduler.register("settle rows of ended integrations", 60, rows_of_ended.settle_late)
    scheduler.register(successors.TASK, 2, successors.release_kept)
    scheduler.register(refusals.RETRY_TASK, 5, refusals.retry_due)
    scheduler.register("send mails", 2, email_queue.send_due, waits_for_others=True)
    scheduler.register("tidy check plates", 3600, canary.tidy)
    scheduler.register(watch.WATCH_TASK, 15, watch.watch)
    scheduler.register("tidy check runs", 30, check_runs.tidy)
    scheduler.register(retention.RETENTION_TASK, 3600, retention.thin)
    register_checks()


def register_checks() -> None:
    """Say how each kind of look-up is done."""
    check_runs.register(CheckRun.Kind.DIAGNOSTICS, diagnostics.run_checks)
    check_runs.register(CheckRun.Kind.RIGHTS, rights_lookup.run_check)


def connections_for_refresh(now: datetime) -> list[Connection]:
    """Return the connections whose zones are due to be refreshed, longest due first.

    Each has a due time of its own, which a refresh moves (`integrations.zones.refresh`): further away the more often it has
    failed, so that those which always fail never keep the others waiting. The first refresh of one that is being set up is
    part of the set-up (`integrations.onboarding.automation`), which begins when a person asks for it.
    """
    never_set = Q(zones_due_at=None) & (
        Q(zones_pulled_at=None) | Q(zones_pulled_at__lt=now - zone_refresh.EVERY)
    )
    # A time further away than any that is ever set was written by a clock that was wrong.
    is_due = Q(zones_due_at__lte=now) | Q(zones_due_at__gt=now + 2 * zone_refresh.EVERY) | never_set
    due = Connection.objects.filter(is_due, operator_confirmed_at__isnull=False)
    due = due.exclude(status=Connection.Status.ENDED)
    due = due.exclude(status=Connection.Status.SETUP, zones_pulled_at=None)
    return list(
        due.order_by(F("zones_due_at").asc(nulls_last=True), "zones_pulled_at", "pk")[:ZONES_AT_A_TIME]
    )


def refresh_oldest_zones(now: datetime) -> None:
    """Do the daily refresh of a few connections at once, so that a thousand of them spread over the day (periodic task)."""
    at_once(_refresh_zones, connections_for_refresh(now), most=ZONES_AT_A_TIME)


def _refresh_zones(connection: Connection) -> None:
    try:
        zone_refresh.refresh_zones(connection=connection, trigger="daily")
    except ValidationError as error:
        # Somebody ended it or changed its operator ID in this moment.
        log.info("zones were not refreshed", connection=connection.pk, why=" ".join(error.messages))
    except Exception:
        # Noted on the refresh; the others go on.
        log.exception("zones could not be refreshed", connection=connection.pk)


def keep_tokens(now: datetime) -> None:
    """Keep each vendor's access token at hand, so that no single save after a quiet hour waits for one (periodic task).

    Where the host is in trouble its breaker's probes find out when it is back; nothing is asked of it here. A refusal of
    credentials makes the task as rare as such a breaker's probes, and what a host asks for (`Retry-After`) is waited for.
    """
    used = Connection.objects.exclude(operator_id="").exclude(status=Connection.Status.ENDED)
    for slug in used.values_list("vendor", flat=True).distinct().order_by("vendor"):
        if Breaker.objects.filter(vendor=slug, failures__gt=0).exists():
            continue
        try:
            get_vendor(slug).check_token()
        except DeliveryError as error:
            # People are told as soon as something can't be delivered for it.
            log.warning("the access token could not be renewed ahead of time", vendor=slug, code=error.code)
            again_at = now + _rest_after(error)
            PeriodicTask.objects.filter(name=TOKENS_TASK, next_at__lt=again_at).update(next_at=again_at)


def _rest_after(error: DeliveryError) -> timedelta:
    """Return for how long no token is asked for ahead of time after this; the task's own interval is the least."""
    if isinstance(error, FixConnection):
        return circuit_breaker.STOP_MAX
    asked = error.retry_after if isinstance(error, TryLater) else None
    return min(asked or timedelta(0), circuit_breaker.OBEY_MAX)
