"""What check plates measured: how long a new plate takes to appear."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from integrations.models import CanaryCheck

HOURS = 24
# Enough for five hundred zones checked every quarter of an hour, and still fast enough for a page.
MOST_ROWS = 50_000


@dataclass(frozen=True, slots=True)
class ShownAfter:
    """How many seconds the vendor took to show a plate after it was sent, in the last 24 hours.

    `by_hour` has a median for each hour, the current hour last; None for an hour in which no plate was seen.
    """

    median_s: float
    longest_s: float
    by_hour: Sequence[float | None]


def shown_after(connection_ids: Collection[int], now: datetime) -> ShownAfter | None:
    """Return what the check plates of these connections measured, or None if none was seen; one query."""
    seen = CanaryCheck.objects.filter(
        run__connection__in=connection_ids,
        run__began_at__gt=now - timedelta(hours=HOURS),
        seen_at__isnull=False,
    )
    hours: dict[int, list[float]] = defaultdict(list)
    for began, at in seen.order_by("-run_id").values_list("run__began_at", "seen_at")[:MOST_ROWS]:
        assert at is not None
        hours[int((now - began) / timedelta(hours=1))].append((at - began).total_seconds())
    everything = [seconds for found in hours.values() for seconds in found]
    if not everything:
        return None
    by_hour = [median(hours[back]) if back in hours else None for back in range(HOURS - 1, -1, -1)]
    return ShownAfter(median(everything), max(everything), by_hour)
