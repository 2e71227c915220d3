"""What surrounds every request: an id for logs, what browsers keep, the way to sign-in and back, support's second step."""

import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import structlog
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

# Where someone is redirected who has to prove, again or in one more way, who they are.
WHO_ARE_YOU = (
    "account_login",
    "account_reauthenticate",
    "mfa_reauthenticate",
    "mfa_authenticate",
    "mfa_reauthenticate_webauthn",
    "mfa_index",
)


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


class NothingStaysBehind:
    """No answer is kept by a browser or a proxy, and signing out clears what a browser holds of this site.

    Pages show plates, and the next person at a shared computer must not get them by “Back”. `no-store` keeps an answer out of
    the disk cache and, in most browsers, out of the back/forward cache; `Clear-Site-Data` empties both once the session's
    cookie is deleted; `static/js/back.js` reloads a page that a browser restores all the same. Static files are answered
    before this (WhiteNoise) and stay as cacheable as their hashed names allow.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if "no-store" not in response.get("Cache-Control", ""):
            response["Cache-Control"] = "no-store"
        session = response.cookies.get(settings.SESSION_COOKIE_NAME)
        if session is not None and session["max-age"] == 0:
            # Not "storage": it holds nothing but the choice between light and dark.
            response["Clear-Site-Data"] = '"cache"'
        return response


class SignInAndComeBack:
    """Where an answer is "sign in first", lead the whole window there, and afterwards back to the page it showed.

    htmx would follow the redirect automatically and put the sign-in page where a part of the page was to go. And neither
    a part nor an address that a form sends to can be opened on its own after signing in, so what follows is the page
    around it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        htmx = getattr(request, "htmx", None)
        if response.status_code != 302 or not (htmx or request.method == "POST"):
            return response
        where = urlsplit(response["Location"])
        asks = [name for name in WHO_ARE_YOU if where.path == reverse(name)]
        # Only sign-in takes another page: the others carry on with what a form sent, by its own address.
        if not asks or (not htmx and asks != ["account_login"]):
            return response
        query = QueryDict(where.query, mutable=True)
        if query.get(REDIRECT_FIELD_NAME) == request.get_full_path():
            page = htmx.current_url if htmx else request.headers.get("Referer")
            query[REDIRECT_FIELD_NAME] = _own_path(request, page) or reverse("home")
        there = where._replace(query=query.urlencode(safe="/")).geturl()
        if htmx:
            return HttpResponse(status=204, headers={"HX-Redirect": there})
        response["Location"] = there
        return response


def _own_path(request: HttpRequest, url: str | None) -> str:
    """Return path and query of an address of this site, or "" for any other."""
    host, is_secure = request.get_host(), request.is_secure()
    if not url_has_allowed_host_and_scheme(url, {host}, require_https=is_secure):
        return ""
    path = urlsplit(url or "")._replace(scheme="", netloc="", fragment="").geturl()
    return path if url_has_allowed_host_and_scheme(path, None) else ""


class WayOnFromForms:
    """Give a page to who opens an address that only takes what a form sends, such as from the browser's history."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code != 405 or request.method != "GET" or getattr(request, "htmx", False):
            return response
        page = render(request, "405.html", status=405)
        page["Allow"] = response["Allow"]
        return page


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
        messages.warning(request, _("Support requires two-step sign-in. Set it up to continue."))
        return redirect("mfa_index")
