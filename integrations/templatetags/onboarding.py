"""Template tags of the set-up pages."""

from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from integrations.models import TicketEntry
from integrations.onboarding.words import KINDS, OTHER, Kind, day_and_clock
from locations.models import Location

register = template.Library()


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
