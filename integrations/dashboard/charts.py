"""The overview's charts, as plain values for the face's chart tags: pushes by hour or day, and how long acceptance took."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from integrations.dashboard import hourly_stats
from integrations.dashboard.hourly_stats import HourSlot
from integrations.reconciliation.canary_queries import ShownAfter
from locations.times import duration_text

DAY_HOURS: Final = 24
MONTH_DAYS: Final = 30
HOURS_A_TICK: Final = 6
DAYS_A_TICK: Final = 7
MEDIAN, HIGH = 0.5, 0.95


@dataclass(frozen=True, slots=True)
class Charts:
    """Both charts over one span, and the figures of the whole span. Times in seconds; None where nothing was accepted."""

    pushes: dict[str, Any]
    pushes_summary: str
    latency: dict[str, Any]
    latency_summary: str
    median_s: float | None
    high_s: float | None
    accepted: int
    refused: int


def draw(connections: Sequence[int] | None, now: datetime, clock: str, span: str) -> Charts:
    """Return the charts of these connections (None: of all) over the last "24h" or "30d", by one query."""
    zone = ZoneInfo(clock)
    if span == "30d":
        rows = hourly_stats.hours_of(connections, now, timedelta(days=MONTH_DAYS))
        slots = hourly_stats.by_day(rows, now, MONTH_DAYS, zone)
        labels = [date_format(slot.begin, "j M") for slot in slots]
        ticks = [
            label if place % DAYS_A_TICK == MONTH_DAYS % DAYS_A_TICK else ""
            for place, label in enumerate(labels)
        ]
    else:
        rows = hourly_stats.hours_of(connections, now, timedelta(hours=DAY_HOURS))
        slots = hourly_stats.by_hour(rows, now, DAY_HOURS)
        local = [slot.begin.astimezone(zone) for slot in slots]
        labels = [date_format(at, "j M, H:i") for at in local]
        ticks = [date_format(at, "H:i") if at.hour % HOURS_A_TICK == 0 else "" for at in local]
    return _charts(slots, labels, ticks)


def seconds(milliseconds: float | None) -> float | None:
    """Return seconds, or None."""
    return None if milliseconds is None else milliseconds / 1000


def say_seconds(value: float | None) -> str:
    """Write a time from save to acceptance, or a dash where there is none."""
    return "–" if value is None else duration_text(timedelta(seconds=value), tenths=True)


def _charts(slots: Sequence[HourSlot], labels: Sequence[str], ticks: Sequence[str]) -> Charts:
    accepted, refused = sum(slot.accepted for slot in slots), sum(slot.refused for slot in slots)
    all_of_them = hourly_stats.together(slots)
    median, high = (seconds(hourly_stats.percentile_ms(all_of_them, share)) for share in (MEDIAN, HIGH))
    most = max(range(len(slots)), key=lambda place: slots[place].accepted)
    summary = _("Nothing was sent in this period.")
    if accepted or refused:
        summary = _(
            "%(accepted)s accepted and %(refused)s refused; the most at %(when)s, with %(most)s accepted."
        ) % {
            "accepted": f"{accepted:,}",
            "refused": f"{refused:,}",
            "when": labels[most],
            "most": f"{slots[most].accepted:,}",
        }
    return Charts(
        pushes={
            "title": _("Pushes"),
            "labels": labels,
            "ticks": ticks,
            "series": [
                {"name": _("accepted"), "values": [slot.accepted for slot in slots]},
                {"name": _("refused"), "values": [slot.refused for slot in slots]},
            ],
        },
        pushes_summary=summary,
        latency={
            "title": _("From save to acceptance"),
            "labels": labels,
            "ticks": ticks,
            "unit": "s",
            "decimals": 1,
            "series": [
                {
                    "name": name,
                    "values": [seconds(hourly_stats.percentile_ms(slot.latencies, share)) for slot in slots],
                }
                for name, share in ((_("median"), MEDIAN), (_("95th"), HIGH))
            ],
        },
        latency_summary=_("Median %(median)s, 95th percentile %(high)s over the whole period.")
        % {"median": say_seconds(median), "high": say_seconds(high)},
        median_s=median,
        high_s=high,
        accepted=accepted,
        refused=refused,
    )


def draw_shown_after(found: ShownAfter, now: datetime, clock: str, vendor: str) -> dict[str, Any]:
    """Return the chart of how long a check plate took to be shown, and the sentence on it; for the last 24 hours."""
    zone = ZoneInfo(clock)
    local = [(now - timedelta(hours=back)).astimezone(zone) for back in range(DAY_HOURS - 1, -1, -1)]
    words = {
        "vendor": vendor,
        "median": say_seconds(found.median_s),
        "longest": say_seconds(found.longest_s),
    }
    return {
        "sentence": _("%(vendor)s shows a new plate after %(median)s (median of 24 h).") % words,
        "summary": _("Median %(median)s, longest %(longest)s.") % words,
        "chart": {
            "title": _("From sending a check plate until it is shown"),
            "labels": [date_format(at, "j M, H:i") for at in local],
            "ticks": [date_format(at, "H:00") if at.hour % HOURS_A_TICK == 0 else "" for at in local],
            "unit": "s",
            "decimals": 1,
            "series": [{"name": _("median"), "values": list(found.by_hour)}],
        },
    }
