"""A person's address: one for each account, and it counts only once a mailed link has verified it.

`User.email` is the address; allauth's `EmailAddress` row of the same text says whether somebody who reads that mailbox has
confirmed it. An address that is merely claimed opens nothing: nobody signs in with it, no link to a new password is sent to
it, and no invitation is accepted by it. Otherwise whoever claims a stranger's address would own what the stranger is
invited to.

An account has no second address. It changes its address by confirming the new one, which replaces the old
(`ACCOUNT_CHANGE_EMAIL`); so whoever got hold of an account once keeps no way back into it.

Addresses are kept in lower case and in ASCII. Letters beyond it are no letters of a mailbox that people could tell apart:
"ſ" and "K" fold to "s" and "k", so that a stranger's mailbox would be taken for the person's own.
"""

from allauth.account.models import EmailAddress
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from locations.models import User


def clean_address(text: str) -> str:
    """Return an address as it is kept; raise `ValidationError` where it is not ASCII."""
    address = text.strip().lower()
    if not address.isascii() or not text.isascii():
        raise ValidationError(
            _("Enter the address without accents or other special characters."), code="not_ascii"
        )
    return address


def has_verified_address(user: User) -> bool:
    """Whether a mailed link has verified the person's own address."""
    return bool(EmailAddress.objects.filter(user=user, email=user.email, verified=True).exists())


def awaits_its_owner(user: User) -> bool:
    """Whether support made this account and nobody has used it yet: no password, and the address unverified."""
    return user.is_active and not user.has_usable_password() and not has_verified_address(user)


@transaction.atomic
def verify_address(user: User) -> None:
    """Note that a mailed link has verified the person's address; any other address of theirs is forgotten.

    Raises `ValidationError` where another account has verified the same address.
    """
    if EmailAddress.objects.filter(email=user.email, verified=True).exclude(user=user).exists():
        raise ValidationError(_("Another account already has this address."), code="taken")
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )
