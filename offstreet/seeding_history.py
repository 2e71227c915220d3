"""What the demo's charts begin with: made-up counts of pushes for the thirty days before the seed.

A company that went live a minute ago has empty charts, and nobody would learn what they say. So the hours before the seed
are filled as a live campus would have filled them: busy on weekday mornings, quiet at night, a refusal now and then, one
afternoon on which the vendor was slow. Only the counts by the hour are made up; there are no pushes behind them, and what
is pushed from the seed on is counted as everywhere (`integrations.dashboard.hourly_stats`).
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from integrations.dashboard.hourly_stats import BOUNDS_MS, CLASSES, floor_hour
from integrations.models import Connection, PushHour

DAYS = 30
# Events by the hour of a weekday, from midnight.
WEEKDAY = (0, 0, 0, 0, 4, 10, 30, 80, 120, 95, 70, 60, 64, 75, 62, 54, 65, 74, 42, 26, 15, 9, 5, 1)
WEEKEND_SHARE = 0.5
REFUSED_SHARE = 0.015
USUAL_MS = 420
# How many days ago, and at which hours, acceptance took long.
SLOW_DAYS_AGO, SLOW_HOURS, SLOW_MS = 9, range(14, 17), 9_000


def make_history(*, connection: Connection, now: datetime, draw: random.Random, clock: str) -> int:
    """Fill the hours before `now` of the demo's live connection; return how many, none where any hour is counted."""
    if PushHour.objects.exists():
        return 0
    last, zone = floor_hour(now), ZoneInfo(clock)
    rows = []
    for back in range(DAYS * 24, 0, -1):
        hour = last - timedelta(hours=back)
        accepted, refused, latencies = _hour(hour.astimezone(zone), now, draw)
        # One row for the connection and one for all together, as counting writes them.
        counts = {"hour": hour, "accepted": accepted, "refused": refused, "latencies": latencies}
        rows += [PushHour(connection=owner, **counts) for owner in (connection, None)]
    # The running hour is counted again from here on, so that made-up counts are not overwritten.
    rows.append(PushHour(hour=last, latencies=[0] * CLASSES))
    PushHour.objects.bulk_create(rows)
    return DAYS * 24


def _hour(local: datetime, now: datetime, draw: random.Random) -> tuple[int, int, list[int]]:
    """Return one hour's accepted and refused events, and the accepted ones by the time that they took."""
    share = WEEKEND_SHARE if local.weekday() >= 5 else 1.0
    events = round(WEEKDAY[local.hour] * share * draw.uniform(0.6, 1.3))
    refused = sum(draw.random() < REFUSED_SHARE for _ in range(events))
    is_slow = (now.date() - local.date()).days == SLOW_DAYS_AGO and local.hour in SLOW_HOURS
    latencies = [0] * CLASSES
    for _ in range(events - refused):
        took_ms = draw.lognormvariate(0, 0.45) * (SLOW_MS if is_slow else USUAL_MS)
        latencies[_class(took_ms, BOUNDS_MS)] += 1
    return events - refused, refused, latencies


def _class(took_ms: float, bounds: Sequence[int]) -> int:
    """Return the number of the class that a time falls into."""
    return next((place for place, bound in enumerate(bounds) if took_ms <= bound), len(bounds))
