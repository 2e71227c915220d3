"""Sign-in rules on top of django-allauth."""

from django.http import HttpRequest

from offstreet.account_mails import AccountMails


class AccountAdapter(AccountMails):
    """People come by invitation or from support; there is no open sign-up."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up alone: an account without a company sees nothing."""
        return False
