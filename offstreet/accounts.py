"""Sign-in rules on top of django-allauth."""

from django.http import HttpRequest

from offstreet.account_mails import AccountMails


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
