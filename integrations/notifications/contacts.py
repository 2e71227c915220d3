"""The people outside who hear of a company's integration by mail: added, kept and taken out, each time noted."""

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from integrations.models import Contact
from locations import audit_log
from locations.models import Company, User
from locations.names import validate_name
from locations.text import clean_line


def add_contact(*, company: Company, kind: str, name: str, email: str, actor: User | None) -> Contact:
    """Put somebody into the list; raise `ValidationError` keyed by field for a name that no mail
    may quote, or where the address is in the list already.
    """
    name = _clean_name(name)
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        if Contact.objects.filter(company=company, kind=kind, email__iexact=email).exists():
            raise ValidationError({"email": [_("This address is already in the list.")]})
        contact = Contact.objects.create(company=company, kind=kind, name=name, email=email)
        note(contact=contact, kind="contact_added", actor=actor)
    return contact


def keep_contact(*, company: Company, kind: str, name: str, email: str, actor: User | None) -> Contact:
    """Return the contact with this address, put into the list where it is not there yet; a name renews the old one."""
    name = _clean_name(name)
    with transaction.atomic():
        contact, made = Contact.objects.update_or_create(
            company=company, kind=kind, email=email, defaults={"name": name} if name else {}
        )
        if made:
            note(contact=contact, kind="contact_added", actor=actor)
    return contact


def remove_contact(*, contact: Contact, actor: User) -> None:
    """Take somebody out of the list."""
    with transaction.atomic():
        if Contact.objects.filter(pk=contact.pk).delete()[0]:
            note(contact=contact, kind="contact_removed", actor=actor)


def _clean_name(name: str) -> str:
    try:
        name = clean_line(name)
        validate_name(name)
    except ValidationError as error:
        raise ValidationError({"name": error.messages}) from error
    return name


def note(*, contact: Contact, kind: str, actor: User | None) -> None:
    """Write down that a contact was added, changed or removed."""
    audit_log.record(
        company=contact.company, kind=kind, actor=actor, thing=contact, contact_kind=contact.kind
    )
