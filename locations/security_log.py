"""The security log: sign-in, second factors, passwords, addresses, rights, roles, and support's looks at a company.

Each event is a row of the audit log (`locations.audit_log`) and, once that is committed, one structured log line. Django's,
allauth's and simple-history's signals bring them, whatever page, command or script was used; what passes no signal (a bulk
update, SQL) is not seen. A new kind of event (such as the keys of an API, which there is none of yet) needs a call of
`record` and words in `integrations.audit_log.security_labels`; nothing else knows the kinds.

What somebody typed who could not sign in is not kept: where it is the address of an account, the row refers to that; an
address that nobody has is masked, with a keyed fingerprint by which repeated tries on it are seen together; anything else
(people type passwords into the wrong field) leaves no trace but that it was no address. Passwords are never looked at.
"""

from functools import partial
from typing import Any, Final

import structlog
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from locations import audit_log
from locations.models import AuditEvent, Company, User

log = structlog.get_logger("offstreet.security")
_SESSION_KEY: Final = "looked_at"
_FINGERPRINT_CHARS: Final = 16


def record(
    kind: str,
    *,
    actor: User | None,
    person: User | None = None,
    company: Company | None = None,
    thing: object = "",
    request: HttpRequest | None = None,
    **params: Any,
) -> AuditEvent:
    """Write an event down and log it. `params` go into the log line as well: no secret, and no address of a stranger."""
    row = audit_log.record(
        company=company, kind=kind, actor=actor, person=person, thing=thing, request=request, **params
    )
    say = partial(
        log.info,
        "security_event",
        kind=kind,
        row=row.pk,
        user=row.actor_id,
        account=row.person_id,
        company=company.slug if company else None,
        client=row.address,
        **params,
    )
    transaction.on_commit(say, robust=True)
    return row


def describe_stranger(typed: str) -> dict[str, str]:
    """Return what is kept of an address that no account has; see the module's text."""
    address = typed.strip().casefold()
    try:
        validate_email(address)
    except ValidationError:
        return {"typed": ""}
    local, _at, domain = address.rpartition("@")
    digest = salted_hmac("locations.security_log", address, algorithm="sha256").hexdigest()
    return {"typed": f"{local[0]}•••@{domain}", "fingerprint": digest[:_FINGERPRINT_CHARS]}


def sign_in_refused(kind: str, typed: str, request: HttpRequest | None) -> AuditEvent:
    """Note that somebody was not let in who typed `typed` as an address; see the module's text."""
    person = User.objects.filter(email__iexact=typed.strip()).first() if typed.strip() else None
    left: dict[str, Any] = {} if person else dict(describe_stranger(typed))
    return record(kind, actor=None, person=person, request=request, **left)


def support_looked(
    request: HttpRequest, kind: str, key: str, *, company: Company | None = None, thing: object = ""
) -> None:
    """Note that support looked at something: once an hour in each session, since one look is many requests."""
    hour = f"{timezone.now():%Y-%m-%dT%H}"
    seen: dict[str, str] = request.session.get(_SESSION_KEY, {})
    if seen.get(key) == hour:
        return
    assert isinstance(request.user, User)
    record(kind, actor=request.user, company=company, thing=thing)
    # Those of hours past are of no use any more.
    request.session[_SESSION_KEY] = {**{old: at for old, at in seen.items() if at == hour}, key: hour}
