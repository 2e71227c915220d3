"""What only the account adapter sees of signing in: tries that were turned down before a password was looked at."""

from typing import Any, Final

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from limits import RateLimitItem, RateLimitItemPerMinute

from integrations import throttle
from integrations.notifications import mail_limits
from locations import security_log
from locations.client_address import client_address

# Who guesses goes on when turned down; one row a minute for each account and visitor says as much as all.
_SAID: Final[RateLimitItem] = RateLimitItemPerMinute(1)


class AccountLog(DefaultAccountAdapter):  # type: ignore[misc]
    """The part of the account adapter that writes the security log."""

    def authenticate(self, request: HttpRequest, **credentials: Any) -> AbstractBaseUser | None:
        """Note a try that comes too soon after too many others, and refuse it as allauth does."""
        try:
            user: AbstractBaseUser | None = super().authenticate(request, **credentials)
        except ValidationError:
            typed = str(credentials.get("email") or credentials.get("username") or "")
            if throttle.take(
                _SAID, "sign-in blocked", mail_limits.mailbox(typed), client_address(request) or ""
            ):
                security_log.sign_in_refused("sign_in_blocked", typed, request)
            raise
        return user
