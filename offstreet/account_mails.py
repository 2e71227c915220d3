"""The mails that django-allauth sends, with this site's own name and address in them.

allauth builds links and the foot of each mail from the request's `Host`, whose port anybody may choose: who asks for a
stranger's password reset with `Host: name:1337` would have a link mailed that leads to a server of their own. Every link
begins with `SITE_URL` instead, whatever the request said.
"""

from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from allauth.core import context as allauth_context
from django.conf import settings
from django.core.exceptions import ValidationError

from integrations.notifications import mail_limits
from locations import security_log
from locations.models import User
from offstreet.account_log import AccountLog

SITE_NAME: Final = "Offstreet"
# Mails that go to whatever address was typed. The others tell a person of a change of their own account, and always go.
TO_ANYBODY: Final = frozenset(
    f"account/email/{name}"
    for name in (
        "account_already_exists", "email_confirmation", "email_confirmation_signup", "password_reset_key",
        "unknown_account",
    )
)  # fmt: skip
log = structlog.get_logger(__name__)


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


class AccountMails(AccountLog):
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
        if template_prefix in TO_ANYBODY and not self._may_get_one(email):
            return
        ours = {"email": email, "current_site": Site(), "support_email": settings.SUPPORT_EMAIL}
        self.render_mail(template_prefix, email, {**own, **ours}).send()

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """Note that a reset was asked for, and mail the link."""
        security_log.record("password_reset_asked", actor=None, person=user)
        super().send_password_reset_mail(user, email, context)

    def _may_get_one(self, email: str) -> bool:
        """Count a mail to an address that somebody typed; the page says the same whether it goes out or not.

        Anything else would tell who has an account. allauth's own limits (`ACCOUNT_RATE_LIMITS`) are lower and tell people.
        """
        person = getattr(allauth_context.request, "user", None)
        try:
            mail_limits.charge(
                asked_by=person if isinstance(person, User) else None,
                company=None,
                to=[email],
                kind="account",
            )
        except ValidationError:
            log.warning("account mail held back: a limit on mails was reached")
            return False
        return True
