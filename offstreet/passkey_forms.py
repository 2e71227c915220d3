"""The forms of passkeys: what a browser sends is read with care, and a name has an end."""

from typing import Any

from allauth.mfa.webauthn import forms as allauth_forms
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

NAME_MAX_CHARS = 60


class AddPasskeyForm(allauth_forms.AddWebAuthnForm):  # type: ignore[misc]
    """A new passkey, as the browser made it."""

    name = forms.CharField(label=_("Name"), required=False, max_length=NAME_MAX_CHARS)

    def clean(self) -> dict[str, Any]:
        """Refuse what is no passkey: allauth expects of the library that reads it one kind of error, and there are more."""
        try:
            cleaned: dict[str, Any] = super().clean()
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValidationError(
                _t("The passkey could not be read. Try again."), code="unreadable"
            ) from error
        return cleaned


class RenamePasskeyForm(allauth_forms.EditWebAuthnForm):  # type: ignore[misc]
    """Another name for a passkey."""

    name = forms.CharField(label=_("Name"), max_length=NAME_MAX_CHARS)
