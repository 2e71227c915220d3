"""Times as people say them: in the location's zone, with the UTC time on hover and for machines.

Invariant: only aware datetimes are shown (a naive one raises `ValueError`): a guess of the zone would be off by hours.
Months are written out and hours have 24: “5 Dec 2026, 18:00” reads the same in every English-speaking country.
"""

import zoneinfo
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from locations.times import duration_text

register = template.Library()

NOTHING = "–"
FORMATS = {
    "full": "j M Y, H:i",
    "long": "j M Y, H:i:s",
    "day": "j M Y",
    "short": "j M, H:i",
    "second": "j M, H:i:s",
    "clock": "H:i",
    "clock-seconds": "H:i:s",
}


def as_zone(tz: Any) -> zoneinfo.ZoneInfo | Any:
    """Return a tzinfo for a zone's name, for anything with a `tz` or `timezone` (a location), or for a tzinfo."""
    if isinstance(tz, str):
        return zoneinfo.ZoneInfo(tz) if tz else UTC
    if tz is None:
        return timezone.get_current_timezone()
    if hasattr(tz, "tz"):
        return tz.tz
    return tz


def _aware(value: datetime) -> datetime:
    if timezone.is_naive(value):
        raise ValueError(f"{value!r} has no time zone; only aware times are shown.")
    return value


def utc_text(value: datetime) -> str:
    """Write `value` in UTC to the second, for titles: “5 Dec 2026, 23:00:00 UTC”."""
    return date_format(_aware(value).astimezone(UTC), "j M Y, H:i:s") + " UTC"


def zone_word(value: datetime, tz: Any = None) -> str:
    """Return what the clocks at `tz` call their time at that moment, for example “EST” or “EDT”."""
    return _aware(value).astimezone(as_zone(tz)).tzname() or "UTC"


def ago_text(value: datetime, now: datetime) -> str:
    """Write how long ago `value` was at `now`, or how soon it comes: “6 min ago”, “in 2 days”, “just now”."""
    span = now - _aware(value)
    if abs(span) < timedelta(seconds=1):
        return gettext("just now")
    if span < timedelta(0):
        return gettext("in %(span)s") % {"span": duration_text(-span)}
    return gettext("%(span)s ago") % {"span": duration_text(span)}


def _tag(value: datetime, text: str, title: str) -> SafeString:
    machine = value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format_html('<time datetime="{}" title="{}">{}</time>', machine, title, text)


@register.simple_tag
def localtime(
    value: datetime | None, tz: Any = None, style: str = "full", milliseconds: bool = False
) -> SafeString | str:
    """Show a time at a location: `tz` is the location, a zone's name or a tzinfo; `style` is a key of `FORMATS`.

    Hovering shows UTC. `None` shows as a dash.
    """
    if value is None:
        return NOTHING
    local = _aware(value).astimezone(as_zone(tz))
    text = date_format(local, FORMATS[style]) + (f".{local.microsecond // 1000:03d}" if milliseconds else "")
    return _tag(value, text, utc_text(value))


@register.simple_tag
def localday(value: datetime | date | None, tz: Any = None) -> SafeString | str:
    """Show the day of a time at a location, or a plain date."""
    if value is None:
        return NOTHING
    if isinstance(value, datetime):
        return localtime(value, tz, style="day")
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), date_format(value, FORMATS["day"]))


@register.simple_tag
def bothtimes(value: datetime | None, tz: Any = None) -> SafeString | str:
    """Show local and UTC time side by side: “5 Dec 2026, 18:00 EST (23:00 UTC)”, for what must be exact."""
    if value is None:
        return NOTHING
    local, utc = _aware(value).astimezone(as_zone(tz)), value.astimezone(UTC)
    utc_part = date_format(utc, "H:i") if local.date() == utc.date() else date_format(utc, "j M, H:i")
    return _tag(
        value, f"{date_format(local, FORMATS['full'])} {local.tzname()} ({utc_part} UTC)", utc_text(value)
    )


@register.simple_tag
def ago(value: datetime | None, now: datetime | None = None, tz: Any = None) -> SafeString | str:
    """Show how long ago (“6 min ago”), with the exact local and UTC time on hover."""
    if value is None:
        return NOTHING
    exact = date_format(_aware(value).astimezone(as_zone(tz)), FORMATS["long"])
    return _tag(value, ago_text(value, now or timezone.now()), f"{exact} · {utc_text(value)}")


@register.simple_tag
def since(value: datetime | None, now: datetime | None = None, tz: Any = None) -> SafeString | str:
    """Show a span up to now without “ago” (“6 min”), for a column that is called “Since” or “Waiting”."""
    if value is None:
        return NOTHING
    exact = date_format(_aware(value).astimezone(as_zone(tz)), FORMATS["long"])
    span = abs((now or timezone.now()) - value)
    return _tag(value, duration_text(span), f"{exact} · {utc_text(value)}")


@register.filter
def duration(span: timedelta | float | None, parts: int = 1) -> str:
    """Write a timedelta (or seconds) as people do: `{{ span|duration }}`, `{{ span|duration:2 }}`."""
    if span is None:
        return NOTHING
    return duration_text(span if isinstance(span, timedelta) else timedelta(seconds=float(span)), parts)


@register.simple_tag
def zone_name(value: datetime, tz: Any = None) -> str:
    """Return what the clocks there call their time at that moment (“EST”)."""
    return zone_word(value, tz)
