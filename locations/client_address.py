"""The network address of whoever made the request that is being answered."""

import ipaddress

from allauth.account.adapter import get_adapter
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import HttpRequest
from simple_history.models import HistoricalRecords


def current_request() -> HttpRequest | None:
    """Return the request that is being answered in this thread, or None in a script or a worker."""
    return getattr(HistoricalRecords.context, "request", None)


def client_address(request: HttpRequest | None = None) -> str | None:
    """Return the visitor's address as sign-in counts it (behind proxies of ours, what the outermost wrote down), or None.

    A log is no reason to refuse a request: what can't be told is left out.
    """
    request = request or current_request()
    if request is None:
        return None
    try:
        return str(ipaddress.ip_address(get_adapter().get_client_ip(request)))
    except (PermissionDenied, ImproperlyConfigured, ValueError):
        return None
