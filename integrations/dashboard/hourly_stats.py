"""Charts of pushes: counts by the hour, kept in `PushHour` by a chore, and what is drawn from them.

What it decides: the evidence itself is never read for a chart. Each minute a periodic task recounts the hours that may
still change (the running one, and the one before for ten minutes more), so a figure is at most a minute old, and
counting an hour twice gives the same. After a pause of all workers it catches up, at most `HOURS_AT_ONCE` at a time.

What was held back by a person is no latency: an event that was saved before its connection went live, or was resumed, and
accepted after that (a backfill), is counted as accepted and not timed. Each hour knows of the last such moment of a
connection alone; a second one in the same hour leaves what the first had held back timed.

Times from save to acceptance are kept as a histogram, since medians of hours can't be joined to the median of a day and
histograms can. A percentile is read from it by interpolation within its class.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Count, DateTimeField, DurationField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Coalesce

from integrations.alarms.health import BACKFILL_MARKED_WITHIN
from integrations.models import Push, PushEvent, PushHour

HOUR = timedelta(hours=1)
# An event sent in an hour may be answered and settled a little after it.
STILL_CHANGING = timedelta(minutes=10)
HOURS_AT_ONCE = 48
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
# The upper ends of the classes; what took longer than the last falls into one more.
BOUNDS_MS = (
    50, 100, 150, 200, 300, 400, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000, 30_000, 60_000, 300_000,
    900_000, 3_600_000, 21_600_000,
)  # fmt: skip
CLASSES = len(BOUNDS_MS) + 1


@dataclass(slots=True)
class HourSlot:
    """One hour or one day: how many events were accepted and refused, and how long the accepted ones took."""

    begin: datetime
    accepted: int = 0
    refused: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * CLASSES)

    def add(self, accepted: int, refused: int, latencies: Sequence[int]) -> None:
        """Take in the counts of one row."""
        self.accepted += accepted
        self.refused += refused
        for place, count in enumerate(latencies[:CLASSES]):
            self.latencies[place] += count


def floor_hour(moment: datetime) -> datetime:
    """Return the beginning of the hour."""
    return moment.replace(minute=0, second=0, microsecond=0)


def percentile_ms(latencies: Sequence[int], share: float) -> float | None:
    """Return the time in milliseconds within which `share` (0–1) of the counted events were accepted; None for none."""
    total = sum(latencies)
    if not total:
        return None
    wanted, below = share * total, 0
    for place, count in enumerate(latencies):
        if count and below + count >= wanted:
            low = BOUNDS_MS[place - 1] if place else 0
            high = BOUNDS_MS[place] if place < len(BOUNDS_MS) else BOUNDS_MS[-1]
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(BOUNDS_MS[-1])


# --- Counting -----------------------------------------------------------------------------------------------------


def count_hours(now: datetime) -> int:
    """Count the hours that may have changed; return how many were counted (chore)."""
    newest = PushHour.objects.filter(connection=None).order_by("-hour").values_list("hour", flat=True).first()
    if newest is None:
        first = Push.objects.order_by("sent_at").values_list("sent_at", flat=True).first()
        if first is None:
            return 0
        newest = floor_hour(first)
    begin = min(newest, floor_hour(now - STILL_CHANGING))
    counted = 0
    while begin <= now and counted < HOURS_AT_ONCE:
        count_hour(begin)
        begin, counted = begin + HOUR, counted + 1
    return counted


def count_hour(hour: datetime) -> None:
    """Recount one hour from the evidence and replace the old counts."""
    latency = ExpressionWrapper(F("push__answered_at") - F("due_since"), output_field=DurationField())
    accepted = Q(result=PushEvent.Result.ACCEPTED)
    timed = accepted & ~_held_back()
    within = {
        f"within_{bound}": Count("pk", filter=timed & Q(latency__lte=timedelta(milliseconds=bound)))
        for bound in BOUNDS_MS
    }
    # The columns are named by the bounds, which no type can tell.
    counted: Iterable[Any] = (
        PushEvent.objects.filter(push__sent_at__gte=hour, push__sent_at__lt=hour + HOUR)
        .annotate(latency=latency)
        .order_by()
        .values("push__connection")
        .annotate(
            accepted=Count("pk", filter=accepted),
            timed=Count("pk", filter=timed),
            refused=Count("pk", filter=Q(result=PushEvent.Result.REFUSED)),
            **within,
        )
    )
    rows, total = [], HourSlot(hour)
    for row in counted:
        reached = [0, *(row[f"within_{bound}"] for bound in BOUNDS_MS), row["timed"]]
        latencies = [after - before for before, after in pairwise(reached)]
        total.add(row["accepted"], row["refused"], latencies)
        rows.append(
            PushHour(
                connection_id=row["push__connection"],
                hour=hour,
                accepted=row["accepted"],
                refused=row["refused"],
                latencies=latencies,
            )
        )
    # The row of all is written for an empty hour too: the newest one says how far the counting has come.
    rows.append(
        PushHour(hour=hour, accepted=total.accepted, refused=total.refused, latencies=total.latencies)
    )
    with transaction.atomic():
        PushHour.objects.filter(hour=hour).delete()
        PushHour.objects.bulk_create(rows, batch_size=500)


def _held_back() -> Q:
    """Which events were saved before their connection was resumed or went live, and answered after that."""
    moment: DateTimeField[Any, Any] = DateTimeField()
    resumed = F("push__connection__status_since")
    begun = Coalesce("push__connection__backfill_started_at", Value(_NEVER), output_field=moment)
    marked = ExpressionWrapper(begun + BACKFILL_MARKED_WITHIN, output_field=moment)
    return Q(due_since__lt=resumed, push__answered_at__gte=resumed) | Q(
        due_since__lte=marked, push__answered_at__gte=begun
    )


# --- Reading ------------------------------------------------------------------------------------------------------


def hours_of(connections: Collection[int] | None, now: datetime, span: timedelta) -> list[PushHour]:
    """Return the counted hours of these connections (None: of all together) in the `span` before `now`."""
    found = PushHour.objects.filter(hour__gt=floor_hour(now) - span)
    found = found.filter(connection=None) if connections is None else found.filter(connection__in=connections)
    return list(found.order_by("hour"))


def by_hour(rows: Iterable[PushHour], now: datetime, hours: int) -> list[HourSlot]:
    """Return one slot for each of the last `hours` hours, the running one last."""
    last = floor_hour(now)
    slots = {last - HOUR * back: HourSlot(last - HOUR * back) for back in range(hours - 1, -1, -1)}
    for row in rows:
        if slot := slots.get(row.hour):
            slot.add(row.accepted, row.refused, row.latencies)
    return list(slots.values())


def by_day(rows: Iterable[PushHour], now: datetime, days: int, clock: ZoneInfo) -> list[HourSlot]:
    """Return one slot for each of the last `days` days by the wall clock, today last."""
    today = now.astimezone(clock).replace(hour=0, minute=0, second=0, microsecond=0)
    slots = {
        (today - timedelta(days=back)).date(): HourSlot(today - timedelta(days=back))
        for back in range(days - 1, -1, -1)
    }
    for row in rows:
        if slot := slots.get(row.hour.astimezone(clock).date()):
            slot.add(row.accepted, row.refused, row.latencies)
    return list(slots.values())


def together(slots: Iterable[HourSlot]) -> list[int]:
    """Return the joined histogram of several slots."""
    joined: dict[int, int] = defaultdict(int)
    for slot in slots:
        for place, count in enumerate(slot.latencies):
            joined[place] += count
    return [joined[place] for place in range(CLASSES)]
