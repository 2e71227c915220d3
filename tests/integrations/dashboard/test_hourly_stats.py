"""Pushes by the hour: counted from the evidence, safe to repeat, and read as medians."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.dashboard import hourly_stats
from integrations.models import Connection, PermitSync, Push, PushEvent, PushHour
from tests.factories import ConnectionFactory, PermitFactory

NOW = datetime(2026, 11, 22, 12, 30, tzinfo=UTC)


def push(
    connection: Connection, at: datetime, *, took_ms: int = 400, accepted: int = 1, refused: int = 0
) -> None:
    """Write the evidence of one push of `accepted` + `refused` events."""
    row = Push.objects.create(
        connection=connection, kind="started", events=accepted + refused, accepted=accepted, sent_at=at,
        answered_at=at + timedelta(milliseconds=100), trace_id="t", status=202, outcome=Push.Outcome.ACCEPTED,
    )  # fmt: skip
    permit = PermitFactory()
    permit_sync = PermitSync.objects.create(
        permit=permit, connection=connection, due_since=at, next_attempt_at=at
    )
    marked = row.answered_at - timedelta(milliseconds=took_ms)
    results = [PushEvent.Result.ACCEPTED] * accepted + [PushEvent.Result.REFUSED] * refused
    PushEvent.objects.bulk_create(
        PushEvent(
            permit_sync=permit_sync,
            push=row,
            kind="started",
            session_id="s",
            due_since=marked,
            result=result,
        )
        for result in results
    )


@pytest.mark.django_db
def test_an_hour_counts_its_events_by_connection_and_all_together() -> None:
    one, two = ConnectionFactory(live=True), ConnectionFactory(live=True)
    push(one, NOW, accepted=3, refused=1)
    push(two, NOW, accepted=2)
    push(one, NOW - timedelta(hours=1))
    hourly_stats.count_hours(NOW)
    row = PushHour.objects.get(connection=one, hour=hourly_stats.floor_hour(NOW))
    assert (row.accepted, row.refused) == (3, 1)
    total = PushHour.objects.get(connection=None, hour=hourly_stats.floor_hour(NOW))
    assert (total.accepted, total.refused) == (5, 1)
    assert sum(total.latencies) == 5


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("resumed", "begun", "took_s", "timed"),
    [
        # Saved, held back while it was paused, and sent once it was resumed.
        (60, None, 600, False),
        # Permits that a backfill marks are due from its start, or a little later.
        (1_800, 1_800, 1_799, False),
        (1_800, 1_800, 1_850, False),
        # Saved after that, as usual; and long before it.
        (1_800, 1_800, 5, True),
        (-30, None, 5, True),
        (3_600, None, 5, True),
    ],
)
def test_what_a_person_held_back_is_no_latency(
    resumed: int, begun: int | None, took_s: int, timed: bool
) -> None:
    connection = ConnectionFactory(live=True)
    answered = NOW + timedelta(milliseconds=100)
    Connection.objects.filter(pk=connection.pk).update(
        status_since=answered - timedelta(seconds=resumed),
        backfill_started_at=answered - timedelta(seconds=begun) if begun is not None else None,
    )
    push(connection, NOW, took_ms=took_s * 1_000, accepted=2, refused=1)
    hourly_stats.count_hours(NOW)
    for row in PushHour.objects.filter(hour=hourly_stats.floor_hour(NOW)):
        assert (row.accepted, row.refused) == (2, 1)
        assert sum(row.latencies) == (2 if timed else 0)


@pytest.mark.django_db
def test_counting_twice_gives_the_same() -> None:
    connection = ConnectionFactory(live=True)
    push(connection, NOW, accepted=3)
    hourly_stats.count_hours(NOW)
    hourly_stats.count_hours(NOW)
    assert PushHour.objects.get(connection=connection).accepted == 3
    push(connection, NOW, accepted=2)
    hourly_stats.count_hours(NOW)
    assert PushHour.objects.get(connection=connection).accepted == 5


@pytest.mark.django_db
def test_after_a_pause_the_counting_catches_up() -> None:
    connection = ConnectionFactory(live=True)
    push(connection, NOW - timedelta(hours=9))
    hourly_stats.count_hours(NOW - timedelta(hours=9))
    push(connection, NOW - timedelta(hours=5))
    hourly_stats.count_hours(NOW)
    slots = hourly_stats.by_hour(hourly_stats.hours_of([connection.pk], NOW, timedelta(hours=24)), NOW, 24)
    assert [slot.accepted for slot in slots][-10:] == [1, 0, 0, 0, 1, 0, 0, 0, 0, 0]


@pytest.mark.django_db
def test_an_hour_that_has_just_ended_is_counted_once_more() -> None:
    connection = ConnectionFactory(live=True)
    late = datetime(2026, 11, 22, 11, 59, 59, tzinfo=UTC)
    hourly_stats.count_hours(late)
    push(connection, late)
    hourly_stats.count_hours(late + timedelta(minutes=2))
    assert PushHour.objects.get(connection=connection).hour == hourly_stats.floor_hour(late)


@pytest.mark.django_db
def test_nothing_is_counted_where_nothing_was_pushed() -> None:
    assert hourly_stats.count_hours(NOW) == 0


def test_days_are_those_of_the_wall_clock() -> None:
    # 03:00 UTC is still the evening before in New York.
    row = PushHour(hour=datetime(2026, 11, 22, 3, tzinfo=UTC), accepted=7, latencies=[7])
    slots = hourly_stats.by_day([row], NOW, 3, ZoneInfo("America/New_York"))
    assert [slot.accepted for slot in slots] == [0, 7, 0]


def test_the_median_of_nothing_is_none() -> None:
    assert hourly_stats.percentile_ms([0] * hourly_stats.CLASSES, 0.5) is None


@given(
    st.lists(st.integers(min_value=0, max_value=20_000_000), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95]),
)
def test_a_percentile_lies_in_the_class_of_the_exact_one(values: list[int], share: float) -> None:
    counts = [0] * hourly_stats.CLASSES
    for value in values:
        counts[
            next(
                (i for i, bound in enumerate(hourly_stats.BOUNDS_MS) if value <= bound),
                hourly_stats.CLASSES - 1,
            )
        ] += 1
    exact = sorted(values)[max(0, -(-round(share * len(values) * 100) // 100) - 1)]
    place = next(
        (i for i, bound in enumerate(hourly_stats.BOUNDS_MS) if exact <= bound), hourly_stats.CLASSES - 1
    )
    low = hourly_stats.BOUNDS_MS[place - 1] if place else 0
    found = hourly_stats.percentile_ms(counts, share)
    assert found is not None
    assert low <= found <= hourly_stats.BOUNDS_MS[min(place, len(hourly_stats.BOUNDS_MS) - 1)]
