"""The fleet's limit of requests: never exceeded in any second, and nearly all of it used."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.models import RateBucket
from integrations.ratelimit import next_slot, reserve, waiter

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


@pytest.mark.parametrize("per_second", [1, 2.5, 5, 40, 333])
def test_no_second_sees_more_than_the_limit_even_if_some_are_a_little_late(per_second: float) -> None:
    next_at, moments, late_s = NOW, [], min(0.02, 0.01 / per_second)
    for number in range(int(3 * per_second) + 5):
        slot, next_at = next_slot(next_at, NOW, per_second)
        moments.append(slot + timedelta(seconds=late_s * (number % 2)))
    for place, moment in enumerate(moments):
        within = sum(other < moment + timedelta(seconds=1) for other in moments[place:])
        assert within <= max(per_second, 1) + 0.5


@given(per_second=st.floats(0.1, 500))
def test_nearly_all_of_the_limit_is_used(per_second: float) -> None:
    _slot, after = next_slot(NOW, NOW, per_second)
    assert 1 / (after - NOW).total_seconds() >= 0.95 * per_second


def test_a_moment_that_nobody_took_is_not_saved_up() -> None:
    slot, _after = next_slot(NOW - timedelta(hours=1), NOW, 10)
    assert slot == NOW


@pytest.mark.django_db
def test_each_caller_gets_a_moment_of_its_own() -> None:
    delays = [reserve("k", 10) for _ in range(5)]
    assert delays == sorted(delays)
    assert 0.3 < delays[-1] < 0.5
    assert RateBucket.objects.count() == 1
    assert reserve("other", 10) <= 0


def test_without_a_limit_nobody_waits_and_nothing_is_asked() -> None:
    waiter("k", 0)()
