"""What the buttons beside “Until” type: the end of today, a week, 30 days, a year, or the furthest end.

What it decides: they type a time of the location's clock, as a person would, so a week later is the same time of day even
across a change of the clocks. Where that time doesn't exist, they type the one to which the clocks go forward; where it
occurs twice, the form asks, as it does about a time typed by hand. A new permit's spans count from its “From”; those of a
permit that is changed count from its stored end, or from now once that has passed, so that they extend it. A year stands in
for a term: terms end on other days at each company, and nobody has said theirs.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.utils.translation import gettext as _t

from integrations.models.connections import vendor_of
from integrations.permits.form_hints import no_end
from integrations.permits.forms import PermitForm
from integrations.vendors.protocol import get_vendor
from locations.models import Location
from locations.times import input_value, parse_local


@dataclass(frozen=True, slots=True)
class EndPreset:
    """A button's key and label, and the text that it types."""

    key: str
    label: str
    typed: str


def end_presets(form: PermitForm) -> list[EndPreset]:
    """Return the buttons beside the form's “Until”; without a location, whose clock counts, there is “No end” alone."""
    location, _zone = form.place()
    furthest = EndPreset("never", _t("No end"), no_end(form.company))
    if location is None:
        return [furthest]
    latest = get_vendor(vendor_of(form.company)).latest_end
    start = form.read("start").moment
    since = max(form.permit.end, form.now) if form.permit else start or form.now
    found = []
    for key, label, typed in _spans(form.now, since, location):
        end = parse_local(typed, location.tz)
        moment = end.moment or end.first
        if moment is not None and moment <= latest and (start is None or start < moment):
            found.append(EndPreset(key, label, typed))
    return [*found, furthest]


def _spans(now: datetime, since: datetime, location: Location) -> Iterator[tuple[str, str, str]]:
    today = now.astimezone(location.tz).date()
    begin = since.astimezone(location.tz).replace(tzinfo=None)
    yield (
        "today",
        _t("End of today"),
        _on_clock(datetime.combine(today, time()) + timedelta(days=1), location),
    )
    if begin.year >= 2098:
        return
    yield "week", _t("+1 week"), _on_clock(begin + timedelta(days=7), location)
    yield "month", _t("+30 days"), _on_clock(begin + timedelta(days=30), location)
    yield "year", _t("+1 year"), _on_clock(_a_year_later(begin), location)


def _a_year_later(local: datetime) -> datetime:
    """Return the same day of the next year; 29 February becomes the 28th."""
    year = local.year + 1
    return local.replace(year=year, day=min(local.day, monthrange(year, local.month)[1]))


def _on_clock(local: datetime, location: Location) -> str:
    text = input_value(local.replace(tzinfo=UTC), UTC)
    read = parse_local(text, location.tz)
    return input_value(read.first, location.tz) if read.problem == "missing" and read.first else text
