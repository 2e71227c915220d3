"""Where two tabs turn on the authenticator app at the same moment, the second is told so."""

from typing import Any

from allauth.mfa.totp.views import ActivateTOTPView
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _


class ActivateAppView(ActivateTOTPView):  # type: ignore[misc]
    """allauth's page, which looks for an app first and then adds one; another tab may add it in between."""

    def form_valid(self, form: Any) -> HttpResponse:
        """Add the app, or say that it is there already."""
        try:
            with transaction.atomic():
                response: HttpResponse = super().form_valid(form)
        except IntegrityError:
            messages.warning(
                self.request,
                _("An authenticator app was turned on in another tab at the same time. That one counts."),
            )
            return redirect("mfa_index")
        return response
