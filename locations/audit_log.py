"""Noting what people did where no history of rows does; see `locations.models.audit`."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from locations.client_address import client_address
from locations.models import AuditEvent, Company, User

_THING_MAX_CHARS = 200


def record(
    *,
    company: Company | None,
    kind: str,
    actor: User | None,
    thing: object = "",
    person: User | None = None,
    request: HttpRequest | None = None,
    **params: Any,
) -> AuditEvent:
    """Write down that `actor` did something; call it in the transaction of what was done.

    `kind` is a short word that the pages have words for (`integrations.audit_log.queries`), `thing` what it was done to,
    `person` whose account it was done to, and `params` what else it takes to say it: numbers, ids of rows and words, as
    JSON. The network address is that of `request`, or else of the request that is being answered.
    """
    return AuditEvent.objects.create(
        company=company,
        actor=actor,
        person=person,
        address=client_address(request),
        at=timezone.now(),
        kind=kind,
        thing=str(thing)[:_THING_MAX_CHARS],
        params=params,
    )
