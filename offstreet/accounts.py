"""Sign-in rules on top of django-allauth: who gets an account, which address counts, and how guessing is slowed down.

Wrong passwords are counted for one account from one visitor's address: whoever guesses is locked out for a while, and the
owner elsewhere is not. Guessing from many addresses at once slows the account down for each of them (`pause_s`): one try,
then a pause that grows with the failures of the last hour. The first try from anywhere is always heard, so that an account
is never closed to an owner who knows the password; and a new password, by a mailed link, ends the pauses.
"""

import hashlib
from typing import Any

from allauth.account.models import EmailAddress
from allauth.core.internal.ratelimit import get_ip
from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.cache import cache
from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from locations.addresses import clean_address
from offstreet.account_mails import AccountMails

FAILURES_WINDOW_S = 3_600
# More wrong passwords than a forgetful owner types at two places before guessing at the account slows down.
FAILURES_FREE = 15
LONGEST_PAUSE_S = 900


def pause_s(failures: int) -> int:
    """Return how long an address waits between two tries at an account that had so many failures in the last hour."""
    beyond = failures - FAILURES_FREE
    return 0 if beyond < 0 else min(LONGEST_PAUSE_S, 30 + 10 * beyond)


class AccountAdapter(AccountMails):
    """People come by invitation or from support; there is no open sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up alone: an account without a company sees nothing."""
        return False

    def is_safe_url(self, url: str | None) -> bool:
        """Say no to an address that can't even be taken apart (`http://[`), where allauth fails."""
        try:
            return bool(super().is_safe_url(url))
        except ValueError:
            return False

    def clean_email(self, email: str) -> str:
        """See `clean_address`."""
        return clean_address(email)

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Change to the address that was confirmed, wholly or not at all: two accounts may confirm one at one moment."""
        try:
            with transaction.atomic():
                return bool(super().confirm_email(request, email_address))
        except IntegrityError:
            self.add_message(
                request,
                messages.ERROR,
                "account/messages/email_confirmation_failed.txt",
                {"email": email_address.email},
            )
            return False

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """Refuse a try that comes too soon after another; see the module's text."""
        super().pre_authenticate(request, **credentials)
        account = _account_key(credentials)
        pause = pause_s(cache.get(f"sign-in-failures:{account}", 0))
        visitor = hashlib.sha256(get_ip(request).encode()).hexdigest()
        if pause and not cache.add(f"sign-in-pause:{account}:{visitor}", 1, timeout=pause):
            raise self.validation_error("too_many_login_attempts")

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Count a wrong password against the account, wherever it came from."""
        key = f"sign-in-failures:{_account_key(credentials)}"
        cache.add(key, 0, timeout=FAILURES_WINDOW_S)
        try:
            cache.incr(key)
        except ValueError:
            # It ran out between the two calls: the count starts over.
            cache.set(key, 1, timeout=FAILURES_WINDOW_S)

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict[str, Any]]:
        """Name the ways as the pages do."""
        words = {"mfa_reauthenticate:webauthn": _("Use a passkey"), "mfa_reauthenticate": _("Use a code")}
        methods = super().get_reauthentication_methods(user)
        return [{**one, "description": words.get(one["id"], one["description"])} for one in methods]

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Count an account's failures for each visitor's address; allauth counts them for all together."""
        return f"{super()._get_login_attempts_cache_key(request, **credentials)}:{get_ip(request)}"


def _account_key(credentials: dict[str, Any]) -> str:
    login = str(credentials.get("email") or credentials.get("username") or "").lower()
    return hashlib.sha256(login.encode()).hexdigest()


def forget_failures(email: str) -> None:
    """End the pauses of an account: its owner has set a password by a mailed link."""
    cache.delete(f"sign-in-failures:{_account_key({'email': email})}")
