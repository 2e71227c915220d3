"""The forms of sign-in that ask for more than allauth's: a verified address, and one change of it at a time."""

from allauth.account import forms
from allauth.account.internal.flows.email_verification import send_verification_email_to_address
from allauth.account.models import EmailAddress
from django.db import transaction
from django.http import HttpRequest

from locations.addresses import has_verified_address, verify_address
from locations.models import User
from offstreet.accounts import forget_failures


class ResetPasswordForm(forms.ResetPasswordForm):  # type: ignore[misc]
    """Who forgot the password; a link goes to the address of an account that has verified it, and to no other."""

    users: list[User]

    def clean_email(self) -> str:
        """Find the account; the answer to the visitor is the same where there is none."""
        # As it is kept: what was typed may be a mailbox of another, whose letters only fold to these.
        email: str = super().clean_email().lower()
        self.users = [user for user in self.users if has_verified_address(user) and user.email == email]
        return email


class NewPasswordForm(forms.ResetPasswordKeyForm):  # type: ignore[misc]
    """The page behind a mailed link to a new password.

    The link went to `User.email`, and allauth's token holds for no other address; so who uses it has verified it.
    """

    def save(self) -> None:
        """Set the password; earlier guessing at the account is forgotten."""
        with transaction.atomic():
            super().save()
            verify_address(self.user)
        forget_failures(self.user.email)


class ChangeAddressForm(forms.AddEmailForm):  # type: ignore[misc]
    """The address that an account is to have; it changes once the link mailed there is opened."""

    def save(self, request: HttpRequest) -> EmailAddress:
        """Keep one change that waits for each account, and mail its link."""
        with transaction.atomic():
            # Two changes at one moment are one after the other, and the later one counts.
            User.objects.select_for_update(no_key=True).get(pk=self.user.pk)
            address: EmailAddress = EmailAddress.objects.add_new_email(
                request, self.user, self.cleaned_data["email"], send_verification=False
            )
        send_verification_email_to_address(request, address)
        return address
