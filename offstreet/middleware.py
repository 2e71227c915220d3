"""What surrounds every request: an id for the logs, and support's two-step sign-in where it is required."""

import uuid
from collections.abc import Callable

import structlog
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _


class RequestContextMiddleware:
    """Give each request an id for the logs; answers carry it as `X-Request-Id`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = uuid.uuid4().hex
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            response = self.get_response(request)
        finally:
            structlog.contextvars.clear_contextvars()
        response["X-Request-Id"] = request_id
        return response


class SupportNeedsTwoSteps:
    """Where `MFA_REQUIRED_FOR_SUPPORT` is set, lead support without two-step sign-in to its set-up and nowhere else.

    Support sees all companies, so a stolen password must not be enough. The sign-in pages stay open, or nobody could
    set it up or sign out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not settings.MFA_REQUIRED_FOR_SUPPORT or not getattr(request.user, "is_support", False):
            return self.get_response(request)
        if (
            request.path.startswith("/accounts/")
            or request.path == reverse("healthz")
            or is_mfa_enabled(request.user)
        ):
            return self.get_response(request)
        where = reverse("mfa_activate_totp")
        if getattr(request, "htmx", False):
            return HttpResponse(status=204, headers={"HX-Redirect": where})
        messages.warning(request, _("Support needs two-step sign-in. Set it up to go on."))
        return redirect(where)
