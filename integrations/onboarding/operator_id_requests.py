"""Asking for the operator ID: the email to the vendor's account manager, and what is done where nobody knows who that is."""

from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.models import Connection, Contact, Mail, Notice, Topic
from integrations.notifications import contacts, email_queue, mail_limits, notices, ticket_log
from integrations.onboarding import connections
from integrations.onboarding.services import check_name, setup_path
from integrations.onboarding.snapshot_queries import contact_unknown_key
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import get_vendor
from locations import audit_log
from locations.models import Company, User
from locations.names import has_link
from locations.text import tidy

REQUEST_MAX_CHARS = 6_000
# The mail may be sent again as a reminder; this keeps it from being used to write to anybody about anything.
REQUESTS_PER_DAY = 5


def request_text(*, vendor: str, company: Company, rep_name: str, sender: User) -> tuple[str, str]:
    """Return subject and text of the email that asks the vendor's account manager for the operator ID."""
    context = {
        "vendor": names_of(vendor),
        "points": get_vendor(vendor).texts.request_points,
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
    rep_name, rep_email, now = tidy(rep_name), rep_email.strip(), timezone.now()
    if not text.strip():
        raise ValidationError({"text": [_("The email has no text.")]})
    if len(text) > REQUEST_MAX_CHARS:
        raise ValidationError({"text": [_("At most %(most)d characters.") % {"most": REQUEST_MAX_CHARS}]})
    check_name(rep_name, "rep_name")
    if has_link(text) or has_link(subject):
        raise ValidationError(
            {"text": [_("The email can't contain web addresses, since it is sent in Offstreet's name.")]}
        )
    if rep_email or send:
        _check_address(rep_email)
    with transaction.atomic():
        connection = connections.locked(connection)
        if rep_email:
            contacts.keep_contact(
                company=connection.company,
                kind=Contact.Kind.ACCOUNT_MANAGER,
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
                    _("This email was already sent %(count)d times today, which is the limit.")
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
        connections.save(connection, actor)
        notices.resolve(contact_unknown_key(connection.pk))
        words = _("Operator ID requested again.") if again else _("Operator ID requested.")
        ticket_log.record(connection, "requested", words, actor)
        audit_log.record(
            company=connection.company, kind="operator_id_requested", actor=actor, thing=connection,
            to=rep_email if send else "",
        )  # fmt: skip
    return connection


def contact_unknown(*, connection: Connection, actor: User) -> Connection:
    """Note that the company does not know the vendor's account manager; it becomes a task for support."""
    with transaction.atomic():
        connection = connections.locked(connection)
        if connection.contact_unknown or connection.requested_at:
            return connection
        # Support is written to by all companies together, so its own address has no limit.
        mail_limits.charge(asked_by=actor, company=connection.company, to=(), kind="contact_wanted")
        connection.contact_unknown, names = True, names_of(connection.vendor)
        connections.save(connection, actor)
        path = setup_path(connection)
        notices.tell(
            None,
            "contact_unknown",
            Notice.Level.WARNING,
            _("%(company)s doesn't know its %(vendor)s account manager. Please find out who it is.")
            % {**names.words, "company": connection.company},
            path,
            contact_unknown_key(connection.pk),
        )
        email_queue.queue(
            kind="contact_wanted",
            to=email_queue.people_of(None, Topic.STEPS),
            context={"vendor": names, "path": path, "asked_by": actor.email},
            company=connection.company,
            dedupe_key=contact_unknown_key(connection.pk),
            asked_by=None,
        )
        ticket_log.record(
            connection,
            "contact_unknown",
            _("The %(vendor)s account manager isn't known. Support is finding out.") % names.words,
            actor,
        )
        audit_log.record(
            company=connection.company, kind="account_manager_unknown", actor=actor, thing=connection
        )
    return connection


def contact_found(*, connection: Connection, name: str, email: str, actor: User) -> Connection:
    """Enter the vendor's account manager that the company did not know, and tell the company's people."""
    name, email = tidy(name), email.strip()
    _check_address(email)
    check_name(name, "name")
    with transaction.atomic():
        connection = connections.locked(connection)
        contact = contacts.keep_contact(
            company=connection.company, kind=Contact.Kind.ACCOUNT_MANAGER, name=name, email=email, actor=actor
        )
        connection.contact_unknown, names = False, names_of(connection.vendor)
        connections.save(connection, actor)
        notices.resolve(contact_unknown_key(connection.pk))
        email_queue.queue(
            kind="contact_found",
            to=email_queue.people_of(connection.company, Topic.STEPS),
            context={"vendor": names, "rep": str(contact), "path": setup_path(connection)},
            company=connection.company,
            dedupe_key=f"contact-found:{contact.pk}",
            asked_by=actor,
        )
        ticket_log.record(
            connection,
            "contact_found",
            _("%(vendor)s account manager found: %(who)s.") % {**names.words, "who": contact},
            actor,
        )
    return connection


# --- Inside ---------------------------------------------------------------------------------------------------------


def _check_address(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"rep_email": [_("Enter the account manager's email address.")]}) from error
