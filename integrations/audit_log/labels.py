"""The words for events (`locations.models.audit`): each kind's group, verb and details, in the reader's language.

Every kind that a service notes stands in `WORDS`; a test holds the services to it. Pure: an event goes in, words come out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import Contact, TestPlate, Topic
from locations.models import AuditEvent, Role

# The groups by which the list is narrowed: label and icon.
GROUPS: Final = {
    "retry": (gettext_lazy("Refused"), "rotate-clockwise"),
    "invitation": (gettext_lazy("Invitation"), "mail-forward"),
    "contact": (gettext_lazy("Contact"), "mail"),
    "mails": (gettext_lazy("Own notifications"), "bell"),
    "status_link": (gettext_lazy("Status page"), "link"),
    "test": (gettext_lazy("Test plate"), "test-pipe"),
    "refresh": (gettext_lazy("Zone refresh"), "refresh"),
    "held_change": (gettext_lazy("Change on hold"), "alert-triangle"),
    "notice": (gettext_lazy("Notice"), "info-circle"),
    "operator_id": (gettext_lazy("Operator ID"), "key"),
    "check_plates": (gettext_lazy("Check plates"), "activity"),
}


def _nothing(_deed: AuditEvent) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Words:
    """How a kind of event is told: its group, what was done, and what else there is to say of it."""

    group: str
    verb: Any
    details: Callable[[AuditEvent], str] = _nothing


def _word(choices: type[Any], value: object) -> str:
    """Return the label of a choice; one that is no more is told as it was kept."""
    return str(choices(value).label) if value in choices.values else str(value)


def _role(audit_event: AuditEvent) -> str:
    return _("as %(role)s") % {"role": _word(Role, audit_event.params.get("role")).lower()}


def _contact_kind(audit_event: AuditEvent) -> str:
    return _word(Contact.Kind, audit_event.params.get("contact_kind"))


def _topics(audit_event: AuditEvent) -> str:
    topics = [_word(Topic, topic) for topic in audit_event.params.get("topics", [])]
    return ", ".join(topics) or _("no emails")


def _zone(audit_event: AuditEvent) -> str:
    return _("zone %(zone)s") % {"zone": audit_event.params.get("zone", "")}


def _rights(audit_event: AuditEvent) -> str:
    params = audit_event.params
    counts = {name: localize(params.get(name, 0)) for name in ("removed", "replaced", "total")}
    return _("of %(total)s parking rights, %(removed)s to be removed and %(replaced)s replaced") % counts


def _asked(audit_event: AuditEvent) -> str:
    return f"{_zone(audit_event)}; {_mailed(audit_event)}"


def _answered(audit_event: AuditEvent) -> str:
    return f"{_zone(audit_event)}; {_word(TestPlate.Answer, audit_event.params.get('answer'))}"


def _mailed(audit_event: AuditEvent) -> str:
    to = audit_event.params.get("to") or ""
    to = to if isinstance(to, str) else ", ".join(to)
    return _("email to %(to)s") % {"to": to} if to else _("recorded only, no email sent")


def _how_often(audit_event: AuditEvent) -> str:
    minutes = audit_event.params.get("minutes")
    if not minutes:
        return ""
    return ngettext("every %(n)s minute", "every %(n)s minutes", minutes) % {"n": localize(minutes)}


WORDS: Final[Mapping[str, Words]] = {
    "retried": Words("retry", gettext_lazy("tried again")),
    "invited": Words("invitation", gettext_lazy("sent"), _role),
    "invitation_withdrawn": Words("invitation", gettext_lazy("withdrawn")),
    "contact_added": Words("contact", gettext_lazy("added"), _contact_kind),
    "contact_changed": Words("contact", gettext_lazy("changed"), _contact_kind),
    "contact_removed": Words("contact", gettext_lazy("removed"), _contact_kind),
    "mails_chosen": Words("mails", gettext_lazy("chosen"), _topics),
    "status_link_made": Words("status_link", gettext_lazy("created")),
    "status_link_renewed": Words("status_link", gettext_lazy("renewed for a year")),
    "status_link_ended": Words("status_link", gettext_lazy("revoked")),
    "test_sent": Words("test", gettext_lazy("sent"), _zone),
    "test_asked": Words("test", gettext_lazy("asked about"), _asked),
    "test_answered": Words("test", gettext_lazy("answered"), _answered),
    "test_withdrawn": Words("test", gettext_lazy("withdrawn"), _zone),
    "refresh_asked": Words("refresh", gettext_lazy("requested")),
    "refresh_released": Words("refresh", gettext_lazy("changes accepted")),
    "refresh_discarded": Words("refresh", gettext_lazy("discarded")),
    "change_held": Words("held_change", gettext_lazy("held for a decision"), _rights),
    "change_accepted": Words("held_change", gettext_lazy("accepted"), _rights),
    "change_discarded": Words("held_change", gettext_lazy("discarded"), _rights),
    "notice_dismissed": Words("notice", gettext_lazy("dismissed")),
    "canary_set": Words("check_plates", gettext_lazy("changed"), _how_often),
    "operator_id_requested": Words("operator_id", gettext_lazy("requested"), _mailed),
    "account_manager_unknown": Words(
        "operator_id", gettext_lazy("account manager unknown; support was asked to find out")
    ),
}


def thing_of(audit_event: AuditEvent) -> str:
    """Return what it was done to, in words."""
    if audit_event.kind == "retried":
        count = audit_event.params.get("count", 0)
        return ngettext("%(n)s permit", "%(n)s permits", count) % {"n": localize(count)}
    return audit_event.thing


def url_of(audit_event: AuditEvent, slug: str) -> str:
    """Return the address of what it was done to, or "" where there is no page of it."""
    for name, param in (
        ("permit", "permit"),
        ("test_plate", "test"),
        ("zone_refresh", "refresh"),
        ("held_change", "held_change"),
    ):
        if param in audit_event.params:
            return reverse(name, args=[slug, audit_event.params[param]])
    return ""


def who_did(audit_event: AuditEvent) -> str:
    """Return who did it; an answer by a mailed link was given by the address that got it."""
    if audit_event.actor is not None:
        return str(audit_event.actor.label)
    return str(audit_event.params.get("by") or _("automatic, or by a script"))
