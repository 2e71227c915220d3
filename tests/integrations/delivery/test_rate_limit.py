"""The fleet's limit of requests: never exceeded in any second, and almost fully used."""

import threading
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery import rate_limit
from integrations.delivery.rate_limit import next_slot, take, waited_s, waiter
from integrations.models import RateBucket

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


def test_a_slot_that_no_one_took_is_not_saved_up() -> None:
    slot, _after = next_slot(NOW - timedelta(hours=1), NOW, 10)
    assert slot == NOW


@pytest.mark.django_db
def test_each_caller_gets_a_moment_of_its_own() -> None:
    slots = [take("k", 10)[0] for _ in range(5)]
    gaps = [after - before for before, after in pairwise(slots)]
    assert all(gap >= timedelta(seconds=0.1) for gap in gaps)
    assert all(gap < timedelta(seconds=0.11) for gap in gaps)
    assert RateBucket.objects.count() == 1
    slot, now = take("other", 10)
    assert slot == now


def test_without_a_limit_no_one_waits_and_nothing_is_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "take", lambda *_: pytest.fail("A turn was asked for"))
    before = waited_s()
    waiter("k", 0)()
    assert waited_s() == before


@pytest.mark.django_db
def test_it_can_be_told_how_much_of_a_threads_time_was_waiting_for_its_turn() -> None:
    wait, before = waiter("k", 20), waited_s()
    for _ in range(3):
        wait()
    assert 0.1 <= waited_s() - before < 5


def test_a_wait_shows_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(rate_limit, "take", lambda *_: (gate.wait(10), (NOW, NOW))[1])
    thread = threading.Thread(target=waiter("k", 20))
    before = 0.0
    thread.start()
    try:
        assert thread.ident is not None
        before = waited_s(thread.ident)
        time.sleep(0.05)
        meanwhile = waited_s(thread.ident)
        assert meanwhile >= before + 0.04
    finally:
        gate.set()
        thread.join()
    assert waited_s(thread.ident) >= meanwhile
