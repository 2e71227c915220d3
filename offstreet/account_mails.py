"""The mails that django-allauth sends, with this site's own name and address in them.

allauth builds links and the foot of each mail from the request's `Host`, whose port anybody may choose: who asks for a
stranger's password reset with `Host: name:1337` would have a link mailed that leads to a server of their own. Every link
begins with `SITE_URL` instead, whatever the request said.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from django.conf import settings

SITE_NAME: Final = "Offstreet"


def own_address(url: str) -> str:
    """Return an address of this site with `SITE_URL` in the place of its scheme and host."""
    parts = urlsplit(url)
    return f"{settings.SITE_URL}{parts._replace(scheme='', netloc='').geturl()}"


class Site:
    """What allauth's templates ask of a site."""

    name = SITE_NAME

    @property
    def domain(self) -> str:
        """The address that people know the site by."""
        return str(settings.SITE_URL)


class AccountMails(DefaultAccountAdapter):  # type: ignore[misc]
    """The part of the account adapter that writes mails."""

    def format_email_subject(self, subject: str) -> str:
        """Put the site's name before the subject."""
        return f"[{SITE_NAME}] {subject}"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Send one of allauth's mails; every address in its context is one of this site."""
        own = {
            name: own_address(value) if name.endswith("_url") and isinstance(value, str) else value
            for name, value in context.items()
        }
        super().send_mail(template_prefix, email, {**own, "current_site": Site()})
