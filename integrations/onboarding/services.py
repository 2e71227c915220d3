"""What people do on the way to live. Each is one decision: checked, written, told and noted in the ticket together.

No transaction is open while Passport is asked: the operator ID is tried first, and what was found is written afterwards
under a lock, where everything that may have changed meanwhile is looked at again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Connection, Contact, Mail, Notice, Ticket, Topic
from integrations.models.connections import integration_name
from integrations.notifications import contacts, email_queue, mail_limits, notices, ticket_log
from integrations.onboarding import connections
from integrations.onboarding.snapshot import Finding
from integrations.onboarding.snapshot_queries import contact_unknown_key
from integrations.vendors import calls
from integrations.vendors.errors import DeliveryError, FixConnection, FixRecord
from integrations.vendors.protocol import ZoneSeen, get_vendor
from integrations.zones import operator_claims
from locations import audit_log
from locations.models import Company, User
from locations.names import has_link, validate_name

REQUEST_MAX_CHARS = 6_000
# The mail may be sent again as a reminder; this keeps it from being used to write to anybody about anything.
REQUESTS_PER_DAY = 5
LABEL_MAX_CHARS = 80


@dataclass(frozen=True, slots=True)
class Trial:
    """What Passport said to an operator ID: the finding, one sentence and what to do next."""

    finding: Finding
    sentence: str
    remedy: str = ""
    zones: Sequence[ZoneSeen] = ()


# --- Beginning ------------------------------------------------------------------------------------------------------


def begin_connection(*, company: Company, label: str = "", actor: User | None = None) -> Connection:
    """Return the company's connection for a site, begun anew where there is none.

    A further connection needs a site's name (`label`) of its own: raises `ValidationError` without one.
    """
    label = " ".join(label.split())
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        others = list(connections.current_connections(company).values_list("label", flat=True))
        if others and not label:
            raise ValidationError({"label": [_("Name the site, so that the connections can be told apart.")]})
        if len(label) > LABEL_MAX_CHARS:
            raise ValidationError({"label": [_("At most %(most)d characters.") % {"most": LABEL_MAX_CHARS}]})
        _check_name(label, "label")
        if any(label.casefold() == other.casefold() for other in others):
            raise ValidationError({"label": [_("There is a connection for this site already.")]})
        return connections.open_connection(company=company, label=label, actor=actor)


# --- 1. Operator ID requested ---------------------------------------------------------------------------------------


def request_text(*, company: Company, rep_name: str, sender: User) -> tuple[str, str]:
    """Return subject and text of the mail that asks the Passport account manager for the operator ID."""
    context = {
        "company": company,
        "rep_name": " ".join(rep_name.split()),
        "sender_name": sender.label,
        "sender_email": sender.email,
    }
    return email_queue.render("operator_id_request", context)


def request_operator_id(
    *,
    connection: Connection,
    subject: str,
    text: str,
    rep_name: str = "",
    rep_email: str = "",
    send: bool,
    actor: User,
) -> Connection:
    """Note that the operator ID was asked for, keep the text, and with `send` mail it from here.

    Raises `ValidationError` keyed by field. The account manager's address is kept as a contact.
    """
    rep_name, rep_email, now = " ".join(rep_name.split()), rep_email.strip(), timezone.now()
    if not text.strip():
        raise ValidationError({"text": [_("The mail has no text.")]})
    if len(text) > REQUEST_MAX_CHARS:
        raise ValidationError({"text": [_("At most %(most)d characters.") % {"most": REQUEST_MAX_CHARS}]})
    _check_name(rep_name, "rep_name")
    if has_link(text) or has_link(subject):
        raise ValidationError(
            {"text": [_("The mail can't hold web addresses: it goes out in Offstreet's name.")]}
        )
    if rep_email or send:
        _check_address(rep_email)
    with transaction.atomic():
        connection = _locked(connection)
        if rep_email:
            contacts.keep_contact(
                company=connection.company,
                kind=Contact.Kind.PASSPORT,
                name=rep_name,
                email=rep_email,
                actor=actor,
            )
        if send:
            day = Mail.objects.filter(
                company=connection.company, kind="operator_id_request", created_at__gt=now - timedelta(days=1)
            )
            if day.count() >= REQUESTS_PER_DAY:
                raise ValidationError(
                    _("This mail was sent %(count)d times today; that is enough for a day.")
                    % {"count": REQUESTS_PER_DAY}
                )
            email_queue.write(
                kind="operator_id_request",
                to=[rep_email],
                subject=" ".join(subject.split())[:200],
                text=text,
                company=connection.company,
                dedupe_key=f"operator-id:{connection.pk}:{now.timestamp():.6f}",
                asked_by=actor,
            )
        again = connection.requested_at is not None
        connection.request_text, connection.contact_unknown = text, False
        connection.requested_at = connection.requested_at or now
        _save(connection, actor)
        notices.resolve(contact_unknown_key(connection.pk))
        words = _("Operator ID asked for again.") if again else _("Operator ID asked for.")
        ticket_log.record(connection, "requested", words, actor)
        audit_log.record(
            company=connection.company, kind="operator_id_requested", actor=actor, thing=connection,
            to=rep_email if send else "",
        )  # fmt: skip
    return connection


def contact_unknown(*, connection: Connection, actor: User) -> Connection:
    """Note that the company does not know its Passport account manager; it becomes a task for support."""
    with transaction.atomic():
        connection = _locked(connection)
        if connection.contact_unknown or connection.requested_at:
            return connection
        # Support is written to by all companies together, so its own address has no limit.
        mail_limits.charge(asked_by=actor, company=connection.company, to=(), kind="contact_wanted")
        connection.contact_unknown = True
        _save(connection, actor)
        path = setup_path(connection)
        notices.tell(
            None,
            "contact_unknown",
            Notice.Level.WARNING,
            _("%(company)s does not know its Passport account manager: find out who it is.")
            % {"company": connection.company},
            path,
            contact_unknown_key(connection.pk),
        )
        email_queue.queue(
            kind="contact_wanted",
            to=email_queue.people_of(None, Topic.STEPS),
            context={"path": path, "asked_by": actor.email},
            company=connection.company,
            dedupe_key=contact_unknown_key(connection.pk),
            asked_by=None,
        )
        ticket_log.record(
            connection,
            "contact_unknown",
            _("The Passport account manager is not known; support asks."),
            actor,
        )
        audit_log.record(
            company=connection.company, kind="account_manager_unknown", actor=actor, thing=connection
        )
    return connection


def contact_found(*, connection: Connection, name: str, email: str, actor: User) -> Connection:
    """Enter the Passport account manager that the company did not know, and tell the company's people."""
    name, email = " ".join(name.split()), email.strip()
    _check_address(email)
    _check_name(name, "name")
    with transaction.atomic():
        connection = _locked(connection)
        contact = contacts.keep_contact(
            company=connection.company, kind=Contact.Kind.PASSPORT, name=name, email=email, actor=actor
        )
        connection.contact_unknown = False
        _save(connection, actor)
        notices.resolve(contact_unknown_key(connection.pk))
        email_queue.queue(
            kind="contact_found",
            to=email_queue.people_of(connection.company, Topic.STEPS),
            context={"rep": str(contact), "path": setup_path(connection)},
            company=connection.company,
            dedupe_key=f"contact-found:{contact.pk}",
            asked_by=actor,
        )
        ticket_log.record(
            connection,
            "contact_found",
            _("Passport account manager found: %(who)s.") % {"who": contact},
            actor,
        )
    return connection


# --- 2. Operator ID received ----------------------------------------------------------------------------------------


def try_operator_id(vendor: str, operator_id: str) -> Trial:
    """Ask Passport about an operator ID; never inside a transaction. See `Trial`."""
    try:
        with calls.slot():
            zones = get_vendor(vendor).fetch_zones(operator_id)
    except FixConnection as error:
        if error.scope == "host":
            return Trial(
                Finding.CREDENTIALS,
                error.sentence,
                _("Nothing is wrong with the operator ID: support renews the credentials."),
            )
        if error.status in (401, 403):
            return Trial(
                Finding.NOT_AUTHORISED,
                _("Passport knows this operator, but it has not authorised Offstreet."),
                _("Ask the account manager to authorise Offstreet for it. It is tried again every hour."),
            )
        return Trial(Finding.UNKNOWN, _("Passport does not know this operator ID."), _unknown_remedy())
    except FixRecord:
        return Trial(Finding.UNKNOWN, _("Passport does not know this operator ID."), _unknown_remedy())
    except DeliveryError as error:
        return Trial(
            Finding.UNREACHABLE, error.sentence, _("The operator ID is kept and tried again every minute.")
        )
    return Trial(Finding.OK, _("Passport knows this operator and lists its zones."), zones=zones)


def receive_operator_id(*, connection: Connection, operator_id: str, actor: User | None = None) -> Trial:
    """Check an operator ID, try it at once against Passport, and keep it unless Passport does not know it.

    What is kept is a claim that support confirms, and one that another company has is held for support to decide
    (`integrations.zones.operator_claims`); Passport is not asked about that one, since what it says is not this company's
    business. Raises `ValidationError` where it is no UUID, is this company's elsewhere, or may not be changed any more.
    """
    wanted = connections.clean_operator_id(operator_id)
    if _is_taken(connection, wanted):
        return _hold(connection, wanted, actor)
    trial = try_operator_id(connection.vendor, wanted)
    with transaction.atomic():
        connection = _locked(connection)
        if trial.finding != Finding.UNKNOWN:
            try:
                connections.set_operator_id(connection=connection, operator_id=wanted, actor=actor)
            except ValidationError as error:
                if getattr(error, "code", "") != "taken":
                    raise
                return _hold(connection, wanted, actor)
            connection = _locked(connection)
        if connection.operator_id in ("", wanted):
            _note_trial(connection, trial, actor)
        ticket_log.record(
            connection, "operator_id", _("Operator ID tried: %(says)s") % {"says": trial.sentence}, actor
        )
    return trial


def recheck_operator_id(*, connection: Connection, actor: User | None = None) -> Trial:
    """Try the kept operator ID again and note what Passport says; a zone with the connection's code confirms it."""
    trial = try_operator_id(connection.vendor, connection.operator_id)
    with transaction.atomic():
        fresh = _locked(connection)
        if fresh.operator_id != connection.operator_id:
            return trial
        changed = trial.finding != fresh.operator_id_finding
        _note_trial(fresh, trial, actor)
        if changed:
            ticket_log.record(
                fresh, "operator_id", _("Operator ID tried again: %(says)s") % {"says": trial.sentence}, actor
            )
        if changed and trial.finding == Finding.OK:
            notices.tell(
                fresh.company,
                "operator_id",
                Notice.Level.SUCCESS,
                _("The operator ID works now: Passport lists its zones."),
                setup_path(fresh),
                f"operator-id-ok:{fresh.pk}",
            )
        if operator_claims.is_proved(fresh, trial.zones):
            operator_claims.confirm_by_zone(connection=fresh)
    return trial


# --- 3. Set up ------------------------------------------------------------------------------------------------------


def set_up(*, connection: Connection, actor: User | None = None) -> Ticket:
    """Name the connection by the convention and open its tracking ticket; the workers pull the zones then
    (`integrations.onboarding.automation`).

    Raises `ValidationError` unless the operator ID works. May be called again: there is one ticket.
    """
    now = timezone.now()
    with transaction.atomic():
        connection = _locked(connection)
        operator_claims.require_confirmed(connection)
        if connection.operator_id_finding != Finding.OK and not connection.zones_pulled_at:
            raise ValidationError(
                _("The operator ID has to work before the connection can be set up."), code="operator_id"
            )
        connection.name = integration_name(connection.vendor, connection.company.name)
        _save(connection, actor)
        existing = ticket_log.current_ticket(connection)
        if existing is not None:
            return existing
        subject = _("Connect %(company)s with Passport (%(name)s)") % {
            "company": connection.company,
            "name": connection,
        }
        ticket, _made = ticket_log.open_ticket(connection, subject[:200], now)
        _tell_the_past(connection, now)
        ticket_log.record(
            connection,
            "set_up",
            _("Set up as %(name)s; the zones are being fetched.") % {"name": connection},
            actor,
            at=now,
        )
    return ticket


def setup_path(connection: Connection) -> str:
    """Return the path of a connection's set-up page."""
    return reverse("setup_connection", args=[connection.company.slug, connection.pk])


# --- Inside ---------------------------------------------------------------------------------------------------------


def _tell_the_past(connection: Connection, now: datetime) -> None:
    """Write what happened before there was a ticket into it, with its own times."""
    for kind, at, text in (
        ("begun", connection.created_at, _("The connection was begun.")),
        ("requested", connection.requested_at, _("Operator ID asked for.")),
        ("operator_id", connection.operator_id_at, _("Operator ID entered; Passport knows it.")),
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
        _("Another company uses this operator ID already."),
        _("Support has been told and decides whose it is; nothing is read or sent for it until then."),
    )


def _note_trial(connection: Connection, trial: Trial, actor: User | None) -> None:
    connection.operator_id_checked_at, connection.operator_id_finding = timezone.now(), trial.finding
    _save(connection, actor)


def _unknown_remedy() -> str:
    return _(
        "Compare it with the mail, sign for sign. If it is the same, ask the account manager for the right one."
    )


def _check_address(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"rep_email": [_("Enter the account manager's e-mail address.")]}) from error


def _check_name(name: str, field: str) -> None:
    try:
        validate_name(name)
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from error


def _locked(connection: Connection) -> Connection:
    rows = Connection.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("company").get(pk=connection.pk)


def _save(connection: Connection, actor: User | None) -> None:
    connection._history_user = actor  # type: ignore[attr-defined]
    connection.save()
