"""All periodic duties, in one list (see `integrations.scheduler`)."""

from datetime import datetime, timedelta

import structlog
from django.db.models import Exists, OuterRef, Q

from integrations import (
    audit,
    breakers,
    check_runs,
    doctor,
    evidence_keeping,
    following_tests,
    hours,
    mails,
    refusals,
    rights,
    scheduler,
    zones,
)
from integrations.errors import DeliveryError, FixConnection, TryLater
from integrations.models import Breaker, CheckRun, Chore, Connection, ZoneRefresh
from integrations.onboarding import following
from integrations.vendors import get_vendor

log = structlog.get_logger(__name__)

ZONES_EVERY = timedelta(days=1)
# After a pull that failed or is held, the daily one is tried again this much later.
ZONES_AGAIN_AFTER = timedelta(hours=1)
ZONES_AT_A_TIME = 5
TOKENS_CHORE = "keep tokens"


def register_all() -> None:
    """Register the chores of every worker."""
    scheduler.register(audit.AUDIT_CHORE, 1, audit.audit)
    scheduler.register(audit.OBSERVED_CHORE, 1, audit.audit_observed)
    scheduler.register("count pushes by the hour", 60, hours.count_hours)
    scheduler.register("follow set-ups", 2, following.follow_set_ups)
    scheduler.register("follow tests", 1, following_tests.follow_tests)
    scheduler.register(TOKENS_CHORE, 60, keep_tokens)
    scheduler.register("raise urgency", 10, scheduler.raise_urgency)
    scheduler.register("reconcile", 5, audit.reconcile_all)
    scheduler.register("refresh zones", 60, refresh_oldest_zones)
    scheduler.register(refusals.CHORE, 5, refusals.retry_due)
    scheduler.register("send mails", 2, mails.send_due)
    scheduler.register("tidy check runs", 30, check_runs.tidy)
    scheduler.register(evidence_keeping.KEEPING_CHORE, 3600, evidence_keeping.thin)
    register_checks()


def register_checks() -> None:
    """Say how each kind of look-up is done."""
    check_runs.register(CheckRun.Kind.DIAGNOSTICS, doctor.run_checks)
    check_runs.register(CheckRun.Kind.RIGHTS, rights.run_check)


def connections_for_refresh(now: datetime) -> list[Connection]:
    """Return the connections whose zones were last pulled more than a day ago, longest ago first."""
    lately = ZoneRefresh.objects.filter(connection=OuterRef("pk"), started_at__gt=now - ZONES_AGAIN_AFTER)
    old = Q(zones_pulled_at=None) | Q(zones_pulled_at__lt=now - ZONES_EVERY)
    due = Connection.objects.filter(old, ~Exists(lately), operator_confirmed_at__isnull=False)
    due = due.exclude(status=Connection.Status.ENDED).order_by("zones_pulled_at")
    return list(due[:ZONES_AT_A_TIME])


def refresh_oldest_zones(now: datetime) -> None:
    """Do the daily pull for a few connections at a time, so that a thousand of them spread over the day (chore)."""
    for connection in connections_for_refresh(now):
        zones.refresh_zones(connection=connection, trigger="daily")


def keep_tokens(now: datetime) -> None:
    """Keep each vendor's access token at hand, so that no single save after a quiet hour waits for one (chore).

    Where the host is in trouble its breaker's probes find out when it is back; nothing is asked of it here. A refusal of
    credentials makes the chore as rare as such a breaker's probes, and what a host asks for (`Retry-After`) is waited for.
    """
    used = Connection.objects.exclude(operator_id="").exclude(status=Connection.Status.ENDED)
    for slug in used.values_list("vendor", flat=True).distinct().order_by("vendor"):
        if Breaker.objects.filter(key=breakers.host_key(slug), failures__gt=0).exists():
            continue
        try:
            get_vendor(slug).check_token()
        except DeliveryError as error:
            # People are told as soon as something can't be delivered for it.
            log.warning("the access token could not be renewed ahead of time", vendor=slug, code=error.code)
            again_at = now + _rest_after(error)
            Chore.objects.filter(name=TOKENS_CHORE, next_at__lt=again_at).update(next_at=again_at)


def _rest_after(error: DeliveryError) -> timedelta:
    """Return for how long no token is asked for ahead of time after this; the chore's own pace is the least."""
    if isinstance(error, FixConnection):
        return breakers.STOP_MAX
    asked = error.retry_after if isinstance(error, TryLater) else None
    return min(asked or timedelta(0), breakers.OBEY_MAX)
