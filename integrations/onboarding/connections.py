"""The life cycle of a connection: connect, test, go live, pause, resume, end.

Each step checks whether it is allowed, saves who took it, when and why, records it in the ticket, and starts what
follows, all in one transaction. Taking a step again changes nothing, so scripts can be run again. Steps raise
`ValidationError` with one sentence if they are not allowed.

What is never done: nothing is pushed before the operator ID is confirmed (`integrations.zones.operator_claims`), and no real
registration before *live*; an account is never exchanged under registrations that it still holds, since nobody could
withdraw them any more.
"""

from itertools import chain, count

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery import host_failures, outbox, wakeup
from integrations.held_changes import services as held_changes
from integrations.models import Connection, PermitSync
from integrations.models.connections import default_vendor, integration_name
from integrations.notifications import ticket_log
from integrations.onboarding import rows_of_ended
from integrations.reconciliation import canary_alarms
from integrations.reconciliation import notices as comparison_notices
from integrations.vendors.protocol import get_vendor
from integrations.zones import holding, mapping, operator_claims
from locations.models import Company, Location, Permit, User

_Status = Connection.Status
# How many rows one statement updates.
PORTION = 5_000


def clean_operator_id(vendor: str, text: str) -> str:
    """Return an operator id as its vendor has it kept, or raise `ValidationError`."""
    operator_id = get_vendor(vendor).clean_operator_id(text)
    if not operator_id:
        raise ValidationError(_("Enter the operator ID."), code="empty")
    return operator_id


def free_name(company: Company, vendor: str) -> str:
    """Return the conventional name of a company's connection, with a number where another company's has it.

    *U.N.I.* and *UNI* are two companies; what one of them is called in a ticket or a mail must not be the other.
    """
    wanted = integration_name(vendor, company.name, company.slug)
    others = Connection.objects.filter(name__startswith=wanted).exclude(company=company)
    taken = set(others.values_list("name", flat=True))
    return next(name for name in chain([wanted], (f"{wanted}{n}" for n in count(2))) if name not in taken)


def rename(*, connection: Connection, name: str, actor: User | None = None) -> Connection:
    """Give a connection another name before it is set up; raise `ValidationError` keyed by `name`.

    It is kept by the convention: the vendor first, then A–Z and 0–9; what was typed is transliterated.
    """
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if ticket_log.current_ticket(connection) is not None:
            raise ValidationError(
                {"name": [_("The integration is already set up under this name, so it can't be changed.")]}
            )
        vendor = integration_name(connection.vendor, "")
        wanted = integration_name("", name)
        if not wanted.startswith(vendor) or wanted == vendor:
            raise ValidationError(
                {
                    "name": [
                        _("The name is %(vendor)s followed by the company's, for example %(example)s.")
                        % {"vendor": vendor, "example": f"{vendor}UNIVERSITY"}
                    ]
                }
            )
        if Connection.objects.filter(name=wanted).exclude(company=connection.company_id).exists():
            raise ValidationError({"name": [_("Another company's integration already has this name.")]})
        if connection.name != wanted:
            connection.name = wanted
            save(connection, actor)
    return connection


def current_connections(company: Company) -> QuerySet[Connection]:
    """The company's connections that have not ended, oldest first."""
    return company.connections.exclude(status=_Status.ENDED).order_by("id")


def open_connection(
    *, company: Company, label: str = "", vendor: str = "", actor: User | None = None
) -> Connection:
    """Return the company's connection for a site (`label`), created if there is none; it may lack an id yet.

    Without a `vendor` it is the default one's.
    """
    vendor = vendor or default_vendor()
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        connection = current_connections(company).filter(vendor=vendor, label=label).first()
        if connection is None:
            now = timezone.now()
            connection = Connection(
                company=company,
                vendor=vendor,
                label=label,
                name=free_name(company, vendor),
                status_since=now,
                status_by=actor,
                created_at=now,
            )
            save(connection, actor)
    return connection


def connect(
    *,
    company: Company,
    operator_id: str,
    label: str = "",
    vendor: str = "",
    actor: User | None = None,
) -> Connection:
    """Make or update the company's connection for a site so that it has this operator id.

    A company has one connection per site; `label` tells them apart and is empty where there is one site only. The
    zones are not pulled here (`integrations.zones.refresh.refresh_zones`).
    """
    vendor = vendor or default_vendor()
    operator_id = clean_operator_id(vendor, operator_id)
    with transaction.atomic():
        connection = current_connections(company).filter(vendor=vendor, operator_id=operator_id).first()
        if connection is None:
            connection = open_connection(company=company, label=label, vendor=vendor, actor=actor)
        elif label and connection.label != label:
            raise ValidationError(
                _("%(other)s already uses this operator ID."),
                code="taken_here",
                params={"other": connection},
            )
        return set_operator_id(connection=connection, operator_id=operator_id, actor=actor)


def set_operator_id(*, connection: Connection, operator_id: str, actor: User | None = None) -> Connection:
    """Give a connection its operator id, or another one as long as the old account holds nothing of ours.

    It is a claim until it is confirmed, and another one is another claim (`integrations.zones.operator_claims`).
    """
    operator_id = clean_operator_id(connection.vendor, operator_id)
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if connection.operator_id == operator_id:
            return connection
        taken = Connection.objects.filter(vendor=connection.vendor, operator_id=operator_id)
        if other := taken.exclude(status=_Status.ENDED).exclude(pk=connection.pk).first():
            raise _taken(connection, other)
        now = timezone.now()
        if connection.operator_id:
            _refuse_exchange(connection)
        operator_claims.take_off(connection, now)
        connection.operator_id, connection.operator_id_at, connection.operator_id_by = operator_id, now, actor
        try:
            with transaction.atomic():
                save(connection, actor)
        except IntegrityError as error:
            other = taken.exclude(status=_Status.ENDED).exclude(pk=connection.pk).first()
            if other is None:
                raise
            raise _taken(connection, other) from error
        operator_claims.ask_support(connection, actor)
        ticket_log.record(connection, "connected", _("Operator ID set: %(id)s.") % {"id": operator_id}, actor)
    return connection


def begin_testing(*, connection: Connection, actor: User | None = None) -> Connection:
    """Say that the connection is ready to be tried with a test plate; only one that is being set up changes."""
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if connection.status == _Status.SETUP:
            _require_operator_id(connection)
            operator_claims.require_confirmed(connection)
            _turn(connection, _Status.TESTING, actor, "")
            ticket_log.record(connection, "testing", _("Ready for testing."), actor)
    return connection


def go_live(
    *, connection: Connection, actor: User | None = None, reason: str = "", verified: bool = False
) -> Connection:
    """Push from now on, beginning with all permits of mapped locations that have not ended (the backfill).

    `verified`: a test plate was seen. Without that it takes somebody of support (or a script, `actor` None) and a
    reason, which is kept. The backfill's size is noted for the page that shows its progress.
    """
    reason = reason.strip()
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if connection.status == _Status.LIVE:
            return connection
        if connection.status == _Status.PAUSED:
            raise ValidationError(_("This integration is paused. Resume it instead."), code="paused")
        _require_operator_id(connection)
        operator_claims.require_confirmed(connection)
        if not verified and actor is not None and not actor.is_support:
            raise ValidationError(
                _("Only support can take an integration live without a test."), code="support_only"
            )
        if not verified and not reason:
            raise ValidationError(
                _("Say why it goes live without a test. The reason is kept."), code="no_reason"
            )
        now = timezone.now()
        if verified:
            connection.verified_at = now
        connection.live_since = connection.backfill_started_at = now
        connection.backfill_total = backfill_permits(connection).count()
        _turn(connection, _Status.LIVE, actor, reason)
        outbox.mark_connection(connection_id=connection.pk)
        # Also what waited before and is marked already: a hint costs nothing.
        transaction.on_commit(lambda: wakeup.wake([connection.pk]))
        text = _("Live.") if verified else _("Live without a test: %(reason)s") % {"reason": reason}
        ticket_log.record(connection, "live", text, actor)
    return connection


def pause(*, connection: Connection, reason: str, actor: User | None = None) -> Connection:
    """Hold back all pushes without losing any; raise `ValidationError` unless the connection is live."""
    reason = reason.strip()
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if connection.status == _Status.PAUSED:
            return connection
        if connection.status != _Status.LIVE:
            raise ValidationError(
                _("Only a live integration can be paused. This one is %(status)s."),
                code="not_live",
                params={"status": connection.get_status_display()},
            )
        if not reason:
            raise ValidationError(_("Say why it is paused. The reason is kept and shown."), code="no_reason")
        _turn(connection, _Status.PAUSED, actor, reason)
        ticket_log.record(connection, "paused", _("Paused: %(reason)s") % {"reason": reason}, actor)
    return connection


def resume(*, connection: Connection, actor: User | None = None) -> Connection:
    """Push again, beginning with what was held back; raise `ValidationError` unless it is paused or live."""
    with transaction.atomic():
        connection = locked(connection)
        _refuse_ended(connection)
        if connection.status == _Status.LIVE:
            return connection
        if connection.status != _Status.PAUSED:
            raise ValidationError(_("This integration has not been live yet."), code="not_paused")
        _turn(connection, _Status.LIVE, actor, "")
        transaction.on_commit(lambda: wakeup.wake([connection.pk]))
        ticket_log.record(connection, "resumed", _("Resumed."), actor)
    return connection


def end(
    *, connection: Connection, reason: str, leave_behind: bool = False, actor: User | None = None
) -> Connection:
    """End a connection permanently and unmap its locations.

    What the account holds must be withdrawn first (unmap the locations and wait), unless `leave_behind` says that it may
    run out there: where the account can't be reached any more. That includes what is being sent, and what may have arrived
    without an answer. What it was is kept on the rows; nothing of them becomes due again.
    """
    reason = reason.strip()
    with transaction.atomic():
        connection = locked(connection)
        if connection.status == _Status.ENDED:
            return connection
        if not reason:
            raise ValidationError(_("Say why the integration ends. The reason is kept."), code="no_reason")
        # First of all, so that unmapping makes nothing due here and no worker claims any more.
        _turn(connection, _Status.ENDED, actor, reason)
        locations = Location.objects.filter(zone_mapping__zone__connection=connection)
        mapping.map_locations(
            choices=[(location, None) for location in locations],
            actor=actor,
            confirmed=mapping.ANY_NUMBER,
        )
        rows_of_ended.settle(connection, leave_behind=leave_behind)
        _end_notices(connection)
        ticket_log.record(connection, "ended", _("Ended: %(reason)s") % {"reason": reason}, actor)
    return connection


def backfill_permits(connection: Connection) -> QuerySet[Permit]:
    """The real permits that have not ended of all locations mapped on a connection."""
    permits = Permit.objects.real().not_ended(timezone.now())
    return permits.filter(location__zone_mapping__zone__connection=connection)


def held_there(connection: Connection) -> QuerySet[PermitSync]:
    """What the account has, or may have, of ours."""
    return connection.permit_syncs.filter(Q(remote_until__gt=timezone.now()) | Q(pending_steps__isnull=False))


# --- Inside -------------------------------------------------------------------------------------------------------


def locked(connection: Connection) -> Connection:
    """Return the connection as it is now, locked until the end of the transaction, with its company."""
    # Without its key: permits are saved (and refer to the connection) while a step is taken.
    return (
        Connection.objects.select_for_update(of=("self",), no_key=True)
        .select_related("company")
        .get(pk=connection.pk)
    )


def save(connection: Connection, actor: User | None) -> None:
    """Save a connection; its history names who did it."""
    connection._history_user = actor  # type: ignore[attr-defined]
    connection.save()


def _turn(connection: Connection, status: str, actor: User | None, reason: str) -> None:
    connection.status, connection.status_since = status, timezone.now()
    connection.status_by, connection.status_reason = actor, reason
    save(connection, actor)


def _end_notices(connection: Connection) -> None:
    """Close what only a later look at this connection would close: there is none."""
    host_failures.end_stopped(connection.pk)
    held_changes.end(connection)
    comparison_notices.end_all(connection)
    canary_alarms.end(connection)
    holding.end_held(connection)


def _refuse_ended(connection: Connection) -> None:
    if connection.status == _Status.ENDED:
        raise ValidationError(_("This integration has ended. Start another one."), code="ended")


def _require_operator_id(connection: Connection) -> None:
    if not connection.operator_id:
        raise ValidationError(_("The operator ID has not been entered yet."), code="no_operator")


def _refuse_exchange(connection: Connection) -> None:
    if connection.live_since is not None:
        raise ValidationError(
            _("This integration has been live with another operator ID. End it and start another one."),
            code="was_live",
        )
    if held_there(connection).exists():
        raise ValidationError(
            _(
                "A test plate is still registered under the other operator ID. Withdraw it, or wait "
                "until it has expired."
            ),
            code="held_there",
        )


def _taken(connection: Connection, other: Connection) -> ValidationError:
    # The other company's name is not this company's business.
    if other.company_id != connection.company_id:
        return ValidationError(_("This operator ID already belongs to another company."), code="taken")
    return ValidationError(
        _("%(other)s already uses this operator ID."), code="taken_here", params={"other": other}
    )
