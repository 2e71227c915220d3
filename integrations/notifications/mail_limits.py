"""How many mails a person, a company and a receiver may cause or get: a mailbox is easily filled by a form that mails.

Every mail that somebody asks for is counted against three: the person who asks, the company in whose name, and the address
that gets it, whoever asked. Where one is over its limit, nothing is sent and the person is told; call `charge` inside the
transaction of what is done, and all of it is undone. Mails that nobody asks for (an alarm, a step of the set-up) are one
per event and not counted.

Counts are kept as `integrations.throttle` keeps them, by the hour and the day. Receivers are counted by a fingerprint of
their address, so that the counters hold no list of addresses.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import structlog
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from limits import RateLimitItem, RateLimitItemPerDay, RateLimitItemPerHour

from integrations import throttle
from locations.models import Company, User

log = structlog.get_logger(__name__)

Limits = tuple[RateLimitItem, ...]
PERSON: Final[Limits] = (RateLimitItemPerHour(60), RateLimitItemPerDay(200))
COMPANY: Final[Limits] = (RateLimitItemPerHour(120), RateLimitItemPerDay(400))
# An officer may well be asked about each of a campus's lots in one morning.
RECEIVER: Final[Limits] = (RateLimitItemPerHour(20), RateLimitItemPerDay(60))
# An invitation goes to somebody who has asked for nothing yet.
INVITED: Final[Limits] = (RateLimitItemPerHour(5), RateLimitItemPerDay(10))
_HOUR_S: Final = 3_600


def charge(*, asked_by: User | None, company: Company | None, to: Iterable[str], kind: str) -> None:
    """Count mails to these addresses; raise `ValidationError` (code "too_many_mails") where that is more than allowed."""
    addresses = list(to)
    cost = max(1, len(addresses))
    if asked_by is not None:
        _take(
            PERSON, _("You have reached the limit for emails from one person."), "person", asked_by.pk, cost
        )
    if company is not None:
        said = _("%(company)s has reached the limit for emails from one company.") % {"company": company.name}
        _take(COMPANY, said, "company", company.pk, cost)
    for address in addresses:
        said = _("The limit for emails to %(email)s has been reached.") % {"email": address}
        _take(INVITED if kind == "invitation" else RECEIVER, said, f"to {kind}", mailbox(address), 1)


def receivers_within(addresses: Iterable[str], *, kind: str) -> list[str]:
    """Count one mail to each of these addresses; return those that may still get it. For what nobody waits for."""
    within = []
    for address in addresses:
        try:
            charge(asked_by=None, company=None, to=[address], kind=kind)
        except ValidationError:
            log.warning("mail held back: its receiver got enough for now", kind=kind)
        else:
            within.append(address)
    return within


def mailbox(address: str) -> str:
    """Return a fingerprint of the mailbox behind an address. Pure.

    Case and a `+tag` make no other mailbox; nor, at the largest providers, do dots in the name. Where they do, two people
    whose addresses differ in nothing else share a limit that neither comes near.
    """
    local, _at, domain = address.strip().casefold().rpartition("@")
    name = local.partition("+")[0].replace(".", "")
    return hashlib.sha256(f"{name}@{domain}".encode()).hexdigest()[:32]


def _take(limits: Limits, said: str, who: str, key: object, cost: int) -> None:
    for item in limits:
        if not throttle.take(item, "mails", who, str(key), cost=cost):
            wait = _wait_words(throttle.wait_s(item, "mails", who, str(key)))
            raise ValidationError(f"{said} {wait}", code="too_many_mails")


def _wait_words(seconds: float) -> str:
    if seconds > _HOUR_S:
        hours = round(seconds / _HOUR_S + 0.5)
        return ngettext("Try again in %(n)s hour.", "Try again in %(n)s hours.", hours) % {"n": hours}
    minutes = max(1, round(seconds / 60 + 0.5))
    return ngettext("Try again in %(n)s minute.", "Try again in %(n)s minutes.", minutes) % {"n": minutes}
