"""What people do during set-up. Each function is one decision: checked, saved, announced and recorded in the ticket
together.

No transaction is open while a vendor is asked: the operator ID is tried first, and what was found is written afterwards
under a lock, where everything that may have changed in the meantime is checked again.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery.database_clock import database_now
from integrations.models import Connection, Notice, Ticket
from integrations.notifications import notices, ticket_log
from integrations.onboarding import connections
from integrations.onboarding.snapshot import Finding
from integrations.vendors import calls
from integrations.vendors.errors import DeliveryError, FixConnection, FixRecord
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import ZoneSeen, get_vendor
from integrations.zones import operator_claims
from locations.models import Company, User
from locations.names import validate_name
from locations.text import tidy, twin_key

LABEL_MAX_CHARS = 80


@dataclass(frozen=True, slots=True)
class Trial:
    """What the vendor said to an operator ID: the finding, one sentence and what to do next."""

    finding: Finding
    sentence: str
    remedy: str = ""
    zones: Sequence[ZoneSeen] = ()


# --- Beginning ------------------------------------------------------------------------------------------------------


def begin_connection(*, company: Company, label: str = "", actor: User | None = None) -> Connection:
    """Return the company's connection for a site, created if there is none.

    A further connection needs a site's name (`label`) of its own: raises `ValidationError` without one.
    """
    label = tidy(label)
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        others = list(connections.current_connections(company).values_list("label", flat=True))
        if others and not label:
            raise ValidationError(
                {"label": [_("Enter the name of the site, so that the integrations can be told apart.")]}
            )
        if len(label) > LABEL_MAX_CHARS:
            raise ValidationError({"label": [_("At most %(most)d characters.") % {"most": LABEL_MAX_CHARS}]})
        check_name(label, "label")
        if any(twin_key(label) == twin_key(other) for other in others):
            raise ValidationError({"label": [_("There is already an integration for this site.")]})
        return connections.open_connection(company=company, label=label, actor=actor)


# --- Operator ID received ----------------------------------------------------------------------------------------


def try_operator_id(vendor: str, operator_id: str, *, is_page: bool = True) -> Trial:
    """Ask a vendor about an operator ID; never inside a transaction. See `Trial`.

    Of pages, few may ask at the same time (`integrations.vendors.calls`); a worker has threads for it.
    """
    names = names_of(vendor)
    try:
        with calls.slot(names) if is_page else nullcontext():
            zones = get_vendor(vendor).fetch_zones(operator_id)
    except FixConnection as error:
        if error.scope == "host":
            return Trial(
                Finding.CREDENTIALS,
                error.sentence,
                _("The operator ID is not the problem. Support has to renew the credentials."),
            )
        if error.status in (401, 403):
            return Trial(
                Finding.NOT_AUTHORISED,
                _("%(vendor)s knows this operator, but it hasn't authorised Offstreet.") % names.words,
                _("Ask the account manager to authorise Offstreet for it. It is checked again every hour."),
            )
        return Trial(
            Finding.UNKNOWN, _("%(vendor)s doesn't know this operator ID.") % names.words, _unknown_remedy()
        )
    except FixRecord:
        return Trial(
            Finding.UNKNOWN, _("%(vendor)s doesn't know this operator ID.") % names.words, _unknown_remedy()
        )
    except DeliveryError as error:
        return Trial(
            Finding.UNREACHABLE, error.sentence, _("The operator ID is kept and checked again every minute.")
        )
    return Trial(
        Finding.OK, _("%(vendor)s knows this operator and lists its zones.") % names.words, zones=zones
    )


def receive_operator_id(*, connection: Connection, operator_id: str, actor: User | None = None) -> Trial:
    """Check an operator ID, try it at once, and keep it unless the vendor does not know it.

    What is kept is a claim that support confirms, and one that another company has is held for support to decide
    (`integrations.zones.operator_claims`); the vendor is not asked about that one, since what it says is not this company's
    business. Raises `ValidationError` if it can't be one, is already used by another integration of this company, or
    may no longer be changed.
    """
    wanted = connections.clean_operator_id(connection.vendor, operator_id)
    if _is_taken(connection, wanted):
        return _hold(connection, wanted, actor)
    trial = try_operator_id(connection.vendor, wanted)
    with transaction.atomic():
        connection = connections.locked(connection)
        if trial.finding != Finding.UNKNOWN:
            try:
                connections.set_operator_id(connection=connection, operator_id=wanted, actor=actor)
            except ValidationError as error:
                if getattr(error, "code", "") != "taken":
                    raise
                return _hold(connection, wanted, actor)
            connection = connections.locked(connection)
        if connection.operator_id in ("", wanted):
            _note_trial(connection, trial, actor)
        ticket_log.record(
            connection, "operator_id", _("Operator ID checked: %(says)s") % {"says": trial.sentence}, actor
        )
    return trial


def recheck_operator_id(*, connection: Connection, actor: User | None = None) -> Trial:
    """Try the kept operator ID again and note what the vendor says; a zone with the connection's code confirms it.

    `actor` is the person who waits for it on a page; None where a worker does it.
    """
    trial = try_operator_id(connection.vendor, connection.operator_id, is_page=actor is not None)
    with transaction.atomic():
        fresh = connections.locked(connection)
        if fresh.operator_id != connection.operator_id:
            return trial
        changed = trial.finding != fresh.operator_id_finding
        _note_trial(fresh, trial, actor)
        if changed:
            ticket_log.record(
                fresh,
                "operator_id",
                _("Operator ID checked again: %(says)s") % {"says": trial.sentence},
                actor,
            )
        if changed and trial.finding == Finding.OK:
            notices.tell(
                fresh.company,
                "operator_id",
                Notice.Level.SUCCESS,
                _("The operator ID now works: %(vendor)s lists its zones.") % names_of(fresh.vendor).words,
                setup_path(fresh),
                f"operator-id-ok:{fresh.pk}",
            )
        if operator_claims.is_proved(fresh, trial.zones):
            operator_claims.confirm_by_zone(connection=fresh)
    return trial


# --- Set up ------------------------------------------------------------------------------------------------------


def set_up(*, connection: Connection, actor: User | None = None) -> Ticket:
    """Open the connection's tracking ticket under its name, which is final from now on; the workers pull the zones then
    (`integrations.onboarding.automation`).

    Raises `ValidationError` unless the operator ID works. May be called again: there is one ticket.
    """
    now = timezone.now()
    with transaction.atomic():
        connection = connections.locked(connection)
        operator_claims.require_confirmed(connection)
        if connection.operator_id_finding != Finding.OK and not connection.zones_pulled_at:
            raise ValidationError(
                _("The operator ID has to work before the integration can be set up."), code="operator_id"
            )
        existing = ticket_log.current_ticket(connection)
        if existing is not None:
            return existing
        subject = _("Connect %(company)s to %(vendor)s (%(name)s)") % {
            **names_of(connection.vendor).words,
            "company": connection.company,
            "name": connection,
        }
        ticket, _made = ticket_log.open_ticket(connection, subject[:200], now)
        _tell_the_past(connection, now)
        ticket_log.record(
            connection,
            "set_up",
            _("Set up as %(name)s. The zones are being imported.") % {"name": connection},
            actor,
            at=now,
        )
    return ticket


def setup_path(connection: Connection) -> str:
    """Return the path of a connection's set-up page."""
    return reverse("setup_connection", args=[connection.company.slug, connection.pk])


# --- Inside ---------------------------------------------------------------------------------------------------------


def _tell_the_past(connection: Connection, now: datetime) -> None:
    """Add what happened before there was a ticket, with the original times."""
    for kind, at, text in (
        ("begun", connection.created_at, _("The integration was started.")),
        ("requested", connection.requested_at, _("Operator ID requested.")),
        (
            "operator_id",
            connection.operator_id_at,
            _("Operator ID entered; %(vendor)s knows it.") % names_of(connection.vendor).words,
        ),
    ):
        if at is not None:
            ticket_log.record(connection, kind, text, at=min(at, now))


def _is_taken(connection: Connection, operator_id: str) -> bool:
    """Whether another company has this operator ID."""
    taken = Connection.objects.filter(vendor=connection.vendor, operator_id=operator_id)
    return taken.exclude(company=connection.company_id).exclude(status=Connection.Status.ENDED).exists()


def _hold(connection: Connection, operator_id: str, actor: User | None) -> Trial:
    operator_claims.hold(connection=connection, operator_id=operator_id, actor=actor)
    return Trial(
        Finding.HELD,
        _("Another company already uses this operator ID."),
        _(
            "Support has been told and will decide whose it is. Until then, no zones are read and "
            "nothing is sent."
        ),
    )


def _note_trial(connection: Connection, trial: Trial, actor: User | None) -> None:
    connection.operator_id_checked_at, connection.operator_id_finding = database_now(), trial.finding
    connections.save(connection, actor)


def _unknown_remedy() -> str:
    return _(
        "Compare it with the email, character by character. If it is the same, ask the account manager for the right one."
    )


def check_name(name: str, field: str) -> None:
    """Raise `ValidationError` for that field where a name holds what a name can't."""
    try:
        validate_name(name)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error
