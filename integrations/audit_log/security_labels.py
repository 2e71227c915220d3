"""The words for events of the security log (`locations.security_log`): what happened, and what else there is to say of it.

A new kind of event is a line here. Pure: a row goes in, words come out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from locations.models import AuditEvent, Role

# By what the list is narrowed.
GROUPS: Final[Mapping[str, Any]] = {
    "sign_in": gettext_lazy("Sign-in"),
    "failed": gettext_lazy("Failed sign-in"),
    "two_step": gettext_lazy("Two-step sign-in"),
    "account": gettext_lazy("Passwords and addresses"),
    "rights": gettext_lazy("Roles and permissions"),
    "support": gettext_lazy("Visits by support"),
}
_METHODS: Final[Mapping[str, Any]] = {
    "password": gettext_lazy("password"),
    "totp": gettext_lazy("authenticator app"),
    "recovery_codes": gettext_lazy("recovery codes"),
    "webauthn": gettext_lazy("passkey"),
    "all": gettext_lazy("all"),
}
_RIGHTS: Final[Mapping[str, Any]] = {
    "is_active": gettext_lazy("can sign in"),
    "is_staff": gettext_lazy("support"),
    "is_superuser": gettext_lazy("all permissions"),
}
_HOW: Final[Mapping[str, Any]] = {
    "own": gettext_lazy("by the account's owner"),
    "other": gettext_lazy("by someone else"),
    "mailed_link": gettext_lazy("by an emailed link"),
    "command": gettext_lazy("by a command"),
}


def _nothing(_row: AuditEvent) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class EventWords:
    """How a kind of event is told: its group, the sentence, its tone, and details."""

    group: str
    sentence: Any
    tone: str = ""
    details: Callable[[AuditEvent], str] = _nothing


def _word(words: Mapping[str, Any], value: object) -> str:
    return str(words.get(str(value), value))


def _methods(row: AuditEvent) -> str:
    return ", ".join(_word(_METHODS, one) for one in row.params.get("methods", []))


def _type(row: AuditEvent) -> str:
    return _word(_METHODS, row.params.get("type", ""))


def _typed(row: AuditEvent) -> str:
    if row.person_id is not None:
        return ""
    typed = row.params.get("typed", "")
    return _("unknown address %(address)s") % {"address": typed} if typed else _("no email address")


def _how_changed(row: AuditEvent) -> str:
    return _word(_HOW, row.params.get("how", ""))


def _address(row: AuditEvent) -> str:
    was = row.params.get("was")
    return f"{was} → {row.thing}" if was else row.thing


def _rights(row: AuditEvent) -> str:
    rights = row.params.get("rights", {})
    if isinstance(rights, list):
        return ", ".join(_word(_RIGHTS, one) for one in rights)
    return "; ".join(
        f"{_word(_RIGHTS, name)}: {_('yes') if given else _('no')}" for name, given in rights.items()
    )


def _role(row: AuditEvent) -> str:
    now, was = row.params.get("role", ""), row.params.get("was", "")
    roles = dict(Role.choices)
    return f"{_word(roles, was)} → {_word(roles, now)}" if was else _word(roles, now)


def _thing(row: AuditEvent) -> str:
    return row.thing


WORDS: Final[Mapping[str, EventWords]] = {
    "signed_in": EventWords("sign_in", gettext_lazy("signed in"), "success", _methods),
    "signed_out": EventWords("sign_in", gettext_lazy("signed out")),
    "sign_in_failed": EventWords("failed", gettext_lazy("sign-in failed"), "danger", _typed),
    "sign_in_blocked": EventWords(
        "failed", gettext_lazy("sign-in blocked: too many attempts"), "danger", _typed
    ),
    "two_step_added": EventWords("two_step", gettext_lazy("second factor added"), "success", _type),
    "two_step_removed": EventWords("two_step", gettext_lazy("second factor removed"), "warning", _type),
    "two_step_used": EventWords("two_step", gettext_lazy("second factor used"), "", _type),
    "two_step_failed": EventWords("failed", gettext_lazy("second factor failed"), "danger"),
    "recovery_codes_made": EventWords("two_step", gettext_lazy("recovery codes created")),
    "password_changed": EventWords("account", gettext_lazy("password set"), "warning", _how_changed),
    "password_reset_asked": EventWords("account", gettext_lazy("password reset requested")),
    "address_changed": EventWords("account", gettext_lazy("email address changed"), "warning", _address),
    "address_added": EventWords("account", gettext_lazy("email address added"), "", _thing),
    "address_removed": EventWords("account", gettext_lazy("email address removed"), "", _thing),
    "address_confirmed": EventWords("account", gettext_lazy("email address confirmed"), "", _thing),
    "account_made": EventWords("account", gettext_lazy("account created"), "", _rights),
    "rights_changed": EventWords("rights", gettext_lazy("permissions changed"), "warning", _rights),
    "member_added": EventWords("rights", gettext_lazy("became a member"), "", _role),
    "role_changed": EventWords("rights", gettext_lazy("role changed"), "warning", _role),
    "member_removed": EventWords("rights", gettext_lazy("is no longer a member"), "warning", _role),
    "company_read": EventWords("support", gettext_lazy("support visited the company"), "info"),
    "companies_searched": EventWords("support", gettext_lazy("support searched all companies"), "info"),
    "admin_read": EventWords("support", gettext_lazy("support opened the admin"), "info", _thing),
}
