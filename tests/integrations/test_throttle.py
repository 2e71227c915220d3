"""Limits on what one person may ask for: counted together, and by each process alone while Redis is down."""

import pytest
from limits import RateLimitItem
from limits.errors import StorageError

from integrations import throttle


@pytest.mark.parametrize(
    ("broker", "counters"),
    [
        ("redis+socket:///run/broker.sock", "redis+unix:///run/broker.sock"),
        ("redis://broker:6379/0", "redis://broker:6379/0"),
        ("rediss://broker:6379/0", "rediss://broker:6379/0"),
        ("memory://", "memory://"),
    ],
)
def test_counters_are_kept_where_the_broker_is(broker: str, counters: str) -> None:
    assert throttle.storage_uri(broker) == counters


def test_the_second_time_within_a_minute_is_too_much() -> None:
    assert throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
    assert not throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
    assert throttle.take(throttle.ONCE_A_MINUTE, "zones", "2")


def test_what_did_not_happen_does_not_count() -> None:
    throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
    throttle.forget(throttle.ONCE_A_MINUTE, "zones", "1")
    assert throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")


def test_where_redis_is_away_this_process_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def hit(self, item: RateLimitItem, *who: str, cost: int = 1) -> bool:
            raise StorageError(ConnectionError("refused"))

        clear = hit

    monkeypatch.setattr(throttle, "_shared", Away)
    assert throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
    assert not throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
    throttle.forget(throttle.ONCE_A_MINUTE, "zones", "1")
    assert throttle.take(throttle.ONCE_A_MINUTE, "zones", "1")
