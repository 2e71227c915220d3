"""What the product does automatically during set-up; a periodic task, `follow_set_ups`.

It looks at the current state and does what has to follow from it, once. So it makes no difference whether zones were
refreshed by the set-up page, by a command or by the daily refresh, and a worker that dies in the middle costs two
seconds.

| state | what follows |
|---|---|
| an operator ID that was not tried, or could not be | it is tried (again): at once, each minute, each hour |
| the operator ID is not confirmed | nothing more, until it is (`integrations.zones.operator_claims`) |
| set up, but no zones yet | they are pulled (again) |
| zones are there | the connection has its ticket, and people are told |
| the first location is mapped | ready for testing: the people named are told |
| live | the ticket is done, and people are told |
"""

from datetime import UTC, datetime, timedelta

import structlog
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.delivery.at_once import at_once
from integrations.delivery.database_clock import has_come
from integrations.models import (
    Connection,
    Contact,
    Notice,
    Ticket,
    TicketEntry,
    Topic,
    ZoneMapping,
    ZoneRefresh,
)
from integrations.notifications import email_queue, notices, ticket_log
from integrations.onboarding import services
from integrations.onboarding.snapshot import Finding
from integrations.vendors.naming import names_of
from integrations.zones import refresh as zone_refresh

log = structlog.get_logger(__name__)

TRY_AGAIN = {
    Finding.UNREACHABLE: timedelta(minutes=1),
    Finding.NOT_AUTHORISED: timedelta(hours=1),
    Finding.CREDENTIALS: timedelta(minutes=15),
}
# So many set-ups are asked about at once.
AT_ONCE = 5
PULL_AGAIN = timedelta(minutes=1)
PULL_AGAIN_WHEN_EMPTY = timedelta(minutes=10)


def follow_set_ups(now: datetime) -> None:
    """Do what follows for each connection that is being set up or has just gone live.

    Those for which nobody has to be asked all go on. Of the others, as many as are asked about at once have their turn; the
    rest have theirs in the next rounds, before these have it again.
    """
    asks: list[Connection] = []
    for connection in sorted(awaiting(), key=_turn):
        if is_vendor_asked(connection, now):
            asks.append(connection)
        else:
            _follow(connection, now)
    at_once(lambda connection: _follow(connection, now), asks[:AT_ONCE], most=AT_ONCE)


def _follow(connection: Connection, now: datetime) -> None:
    try:
        follow(connection, now)
    except ValidationError as error:
        # Someone was faster (ended it, changed its operator ID); the next round sees the new state.
        log.info("a set-up could not go on", connection=connection.pk, why=" ".join(error.messages))


def is_vendor_asked(connection: Connection, now: datetime) -> bool:
    """Whether `follow` would ask the vendor now, which may take as long as its time-outs."""
    if connection.status == Connection.Status.LIVE:
        return False
    if is_trial_due(connection, now):
        return True
    if not connection.is_confirmed or connection.zones_pulled_at is not None:
        return False
    return ticket_log.current_ticket(connection) is not None and is_pull_due(connection, now)


def _turn(connection: Connection) -> tuple[datetime, int]:
    """Return by what set-ups are put in order: the one that was tried longest ago goes first, and a new one before all."""
    never = datetime.min.replace(tzinfo=UTC)
    # A refresh moves its due time; that it is in the future says no less that it was tried.
    return max(connection.operator_id_checked_at or never, connection.zones_due_at or never), connection.pk


def awaiting() -> QuerySet[Connection]:
    """Return the connections for which something may have to follow; those that are only waiting for people cost
    nothing.
    """
    has_ticket = Exists(Ticket.objects.filter(connection=OuterRef("pk")))
    is_open = Exists(Ticket.objects.filter(connection=OuterRef("pk"), state=Ticket.State.OPEN))
    told = Exists(TicketEntry.objects.filter(ticket__connection=OuterRef("pk"), kind="zones_told"))
    is_mapped = Exists(ZoneMapping.objects.filter(zone__connection=OuterRef("pk")))
    to_try = Q(operator_id_finding__in=list(TRY_AGAIN)) | Q(
        operator_id_finding="", operator_id_checked_at=None, zones_pulled_at=None
    )
    is_confirmed = Q(operator_confirmed_at__isnull=False)
    to_pull = Q(has_ticket, zones_pulled_at=None)
    to_tell = Q(~told, zones_pulled_at__isnull=False)
    to_make_ready = Q(is_mapped, ready_for_test_at=None, zones_pulled_at__isnull=False)
    to_go_on = to_pull | to_tell | to_make_ready
    on_the_way = Q(status__in=[Connection.Status.SETUP, Connection.Status.TESTING]) & ~Q(operator_id="")
    just_live = Q(is_open, status=Connection.Status.LIVE)
    return (
        Connection.objects.filter(on_the_way & (to_try | (is_confirmed & to_go_on)) | just_live)
        .select_related("company")
        .order_by("pk")
    )


def follow(connection: Connection, now: datetime) -> None:
    """Do what follows for one connection."""
    if connection.status == Connection.Status.LIVE:
        _finish(connection, now)
        return
    if is_trial_due(connection, now):
        services.recheck_operator_id(connection=connection)
        return
    if not connection.is_confirmed:
        return
    ticket = ticket_log.current_ticket(connection)
    if ticket is not None and connection.zones_pulled_at is None and is_pull_due(connection, now):
        zone_refresh.refresh_zones(connection=connection, trigger="set_up")
        return
    if connection.zones_pulled_at is None:
        return
    if ticket is None:
        ticket = services.set_up(connection=connection)
    _tell_zones(connection, ticket)
    mapping = ZoneMapping.objects.filter(zone__connection=connection).order_by("mapped_at").first()
    if mapping is not None and connection.ready_for_test_at is None:
        _make_ready(connection, ticket, mapping, now)


def is_trial_due(connection: Connection, now: datetime) -> bool:
    """Whether the operator ID is to be tried (again) at `now`; pure."""
    finding, checked = connection.operator_id_finding, connection.operator_id_checked_at
    if finding == Finding.UNTRIED:
        return connection.zones_pulled_at is None and checked is None
    pause = TRY_AGAIN.get(Finding(finding))
    return pause is not None and (checked is None or has_come(checked + pause, now, at_most=pause))


def is_pull_due(connection: Connection, now: datetime) -> bool:
    """Whether the zones are to be pulled (again): never while a pull is under way or waits for a person."""
    pull = ZoneRefresh.objects.filter(connection=connection).order_by("-pk").first()
    since_id = connection.operator_id_at or connection.created_at
    if pull is None or (pull.outcome != ZoneRefresh.Outcome.RUNNING and pull.started_at < since_id):
        return True
    ended = pull.finished_at or pull.started_at
    if pull.outcome == ZoneRefresh.Outcome.FAILED:
        return has_come(ended + PULL_AGAIN, now, at_most=PULL_AGAIN)
    empty = PULL_AGAIN_WHEN_EMPTY
    return pull.outcome == ZoneRefresh.Outcome.DONE and has_come(ended + empty, now, at_most=empty)


def _tell_zones(connection: Connection, ticket: Ticket) -> None:
    """Tell people once that the zones are imported; the ticket's entry records that they were told."""
    count = connection.zones.listed().count()
    if not count:
        return
    company, path = connection.company, reverse("locations", args=[connection.company.slug])
    with transaction.atomic():
        Ticket.objects.select_for_update(no_key=True).get(pk=ticket.pk)
        if ticket.entries.filter(kind="zones_told").exists():
            return
        email_queue.queue(
            kind="zones_there",
            to=[
                *email_queue.people_of(company, Topic.STEPS),
                *email_queue.contacts_of(company, Contact.Kind.OFFSTREET),
            ],
            context={
                "vendor": names_of(connection.vendor),
                "connection_name": str(connection),
                "zones": count,
                "ticket": ticket.number,
                "path": path,
            },
            company=company,
            dedupe_key=f"zones-there:{connection.pk}:{ticket.pk}",
            asked_by=None,
        )
        text = _("Zones imported: %(count)d. Choose a zone for each location.") % {"count": count}
        notices.tell(company, "zones_there", Notice.Level.SUCCESS, text, path, f"zones-there:{connection.pk}")
        ticket_log.record(
            connection,
            "zones_told",
            _("Zones imported: %(count)d. Members and contacts are told.") % {"count": count},
        )


def _make_ready(connection: Connection, ticket: Ticket, mapping: ZoneMapping, now: datetime) -> None:
    company, path = connection.company, services.setup_path(connection)
    with transaction.atomic():
        if not Connection.objects.filter(pk=connection.pk, ready_for_test_at=None).update(
            ready_for_test_at=now
        ):
            return
        email_queue.queue(
            kind="ready_for_test",
            to=[
                *email_queue.people_of(company, Topic.STEPS),
                *email_queue.contacts_of(company, Contact.Kind.ENFORCEMENT, Contact.Kind.OFFSTREET),
            ],
            context={
                "vendor": names_of(connection.vendor),
                "connection_name": str(connection),
                "location": mapping.location.name,
                "zone": mapping.zone.number,
                "ticket": ticket.number,
                "path": path,
            },
            company=company,
            dedupe_key=f"ready-for-test:{connection.pk}:{ticket.pk}",
            asked_by=None,
        )
        notices.resolve(f"zones-there:{connection.pk}")
        text = _("Ready for testing: send a test plate.")
        notices.tell(
            company, "ready_for_test", Notice.Level.SUCCESS, text, path, f"ready-for-test:{connection.pk}"
        )
        ticket_log.record(connection, "ready", _("Ready for testing. Members and contacts are told."))


def _finish(connection: Connection, now: datetime) -> None:
    company, path = connection.company, services.setup_path(connection)
    with transaction.atomic():
        ticket = (
            Ticket.objects.select_for_update(no_key=True)
            .filter(connection=connection, state=Ticket.State.OPEN)
            .first()
        )
        if ticket is None:
            return
        email_queue.queue(
            kind="live",
            to=[
                *email_queue.people_of(company, Topic.RESULTS),
                *email_queue.contacts_of(company, Contact.Kind.ENFORCEMENT, Contact.Kind.OFFSTREET),
            ],
            context={
                "vendor": names_of(connection.vendor),
                "connection_name": str(connection),
                "total": connection.backfill_total or 0,
                "ticket": ticket.number,
                "path": path,
            },
            company=company,
            dedupe_key=f"live:{connection.pk}:{ticket.pk}",
            asked_by=None,
        )
        for key in ("zones-there", "ready-for-test", "operator-id-ok", "test-no"):
            notices.resolve(f"{key}:{connection.pk}")
        text = _("%(name)s is live.") % {"name": connection}
        notices.tell(company, "live", Notice.Level.SUCCESS, text, path, f"live:{connection.pk}")
        ticket_log.record(connection, "done", _("The ticket is done. Members and contacts are told."))
        ticket_log.close_ticket(connection, now)
