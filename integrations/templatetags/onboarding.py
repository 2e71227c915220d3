"""Template tags of the set-up pages."""

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.models import TicketEntry
from integrations.notifications.notices import for_support, open_for
from integrations.onboarding.ticket_labels import KINDS, OTHER, Kind, day_and_clock
from locations.access import SUPPORT, may
from locations.models import Location, Role

register = template.Library()

# Older ones come up when these are put away.
NOTICES = 5


@register.filter
def entry_kind(entry: TicketEntry) -> Kind:
    """Return word, icon and tone of a ticket's entry."""
    return KINDS.get(entry.kind, OTHER)


@register.simple_tag
def dayclock(at: datetime | None, location: Location) -> SafeString | str:
    """Show a time at a location as people say it (“today, 14:05”), with the machine's form beside it."""
    if at is None:
        return "–"
    words = day_and_clock(at, timezone.now(), location.tz)
    return format_html('<time datetime="{}">{}</time>', at.isoformat(), words)


@register.inclusion_tag("integrations/notifications/_notices.html", takes_context=True)
def notice_list(context: template.Context) -> dict[str, Any]:
    """Show the open notices of the page's company; on a page of no company those for support. One query."""
    request = context["request"]
    company = getattr(request, "company", None)
    role = getattr(request, "membership_role", SUPPORT)
    found = open_for(company) if company else for_support()
    return {
        "notices": found[:NOTICES],
        "slug": company.slug if company else "",
        "may_dismiss": may(role, Role.OPERATOR),
        "clock": context.get("clock"),
        "csrf_token": context.get("csrf_token"),
    }
