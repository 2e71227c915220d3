"""The cache works without a Redis that doesn't answer."""

from typing import Any

import pytest

from offstreet.cache import REST_S, ForgivingRedisCache


class Away:
    """A Redis that is not there; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __getattr__(self, _name: str) -> Any:
        def fail(*_args: Any, **_kwargs: Any) -> None:
            self.asked += 1
            raise OSError("away")

        return fail


@pytest.fixture
def cache() -> ForgivingRedisCache:
    built = ForgivingRedisCache("unix:///nobody-listens.sock", {"KEY_PREFIX": "t"})
    built._redis = Away()  # type: ignore[assignment]
    built.clear()
    return built


def test_without_redis_the_process_remembers_alone(cache: ForgivingRedisCache) -> None:
    assert cache.get("k") is None
    assert cache.add("k", 1)
    assert not cache.add("k", 2)
    assert cache.get("k") == 1
    cache.set("k", 3)
    assert cache.incr("k") == 4
    assert cache.touch("k")
    assert cache.delete("k")
    assert cache.get("k", "nothing") == "nothing"


def test_a_redis_that_failed_is_left_alone_for_a_while(cache: ForgivingRedisCache) -> None:
    away = cache._redis
    assert isinstance(away, Away)
    begun = away.asked
    for _ in range(5):
        cache.get("k")
    assert away.asked == begun
    cache._rest_until -= REST_S
    cache.get("k")
    assert away.asked == begun + 1
