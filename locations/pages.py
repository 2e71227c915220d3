"""How a view answers with a page: the same template makes the whole page and the part that htmx asked for."""

from collections.abc import Mapping
from typing import Any

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from locations.models import Company

# A primary key has at most so many digits.
_KEY_DIGITS = 18
# htmx stops polling on this status (htmx.org, hx-trigger "every").
STOP_POLLING = 286


def render_page(
    request: HttpRequest,
    template: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int | None = None,
) -> HttpResponse:
    """Render a template that extends `page_base`: the shell for a reader, the bare content for htmx."""
    htmx = getattr(request, "htmx", None)
    base = "fragment.html" if htmx and not htmx.boosted and not htmx.history_restore_request else "base.html"
    return render(request, template, {**(context or {}), "page_base": base}, status=status)


def company_clock(company: Company) -> str:
    """Return the time zone in which times of the whole company are shown: that of most of its locations."""
    zones = (
        company.locations.order_by()
        .values_list("timezone")
        .annotate(n=Count("pk"))
        .order_by("-n", "timezone")
    )
    found = zones.first()
    return str(found[0]) if found else "UTC"


def read_key(text: str | None) -> int | None:
    """Read a primary key from an address or a form; what is none is None."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= _KEY_DIGITS else None
