"""What is in Redis is data: a pickle planted there is neither executed nor trusted."""

import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from allauth.account.models import EmailAddress
from django.core.cache import caches
from django.test import Client, override_settings
from django.urls import reverse
from structlog.testing import capture_logs

from offstreet import settings as product
from tests.factories import UserFactory
from tests.servers import redis_server


class Payload:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    """A real Redis that the product's own cache settings point to."""
    with redis_server() as running:
        built = {"default": {**product.CACHES["default"], "LOCATION": running.url}}
        with override_settings(CACHES=built):
            client = redis.Redis.from_url(running.url)
            yield client
            client.close()


def test_the_payload_itself_runs_where_something_unpickles_it(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))
    assert (tmp_path / "ran").exists()


def keys_of(server: redis.Redis) -> list[bytes]:
    """All keys that are there."""
    return [key for key in server.scan_iter("*") if isinstance(key, bytes)]


@pytest.mark.django_db
def test_a_pickle_in_a_rate_limits_key_is_a_miss_and_never_runs(server: redis.Redis, tmp_path: Path) -> None:
    user = UserFactory()
    EmailAddress.objects.get_or_create(
        user=user, email=user.email, defaults={"primary": True, "verified": True}
    )
    client, form = Client(), {"login": user.email, "password": "wrong"}
    assert client.post(reverse("account_login"), form).status_code == 200
    keys = [key for key in keys_of(server) if not key.endswith(b":lock")]
    assert keys, "signing in has counted nothing in Redis: this test looks at the wrong place"
    for key in keys:
        server.set(key, pickle.dumps(Payload(tmp_path / "ran")))
    with capture_logs() as logs:
        assert client.post(reverse("account_login"), form).status_code == 200
    assert not (tmp_path / "ran").exists()
    assert "a cached value could not be read and is ignored" in {line["event"] for line in logs}


def test_what_the_cache_keeps_comes_back_as_it_was(server: redis.Redis) -> None:
    cache = caches["default"]
    for value in (0, 7, -1, 1.5, "5", "é", "", True, None, [1.25, 2], {"a": [None]}):
        cache.set("k", value)
        found = cache.get("k", "missing")
        assert (found, type(found)) == (value, type(value))
    cache.set("n", 1)
    assert cache.incr("n") == 2
    assert [key for key in keys_of(server) if server.get(key) == b"2"]


@pytest.mark.parametrize("planted", [b"\x80\x04.", b"", b"NaNx", b"[" * 100_000, b"\xff\xfe1\x00"])
def test_what_is_no_json_is_not_there(server: redis.Redis, planted: bytes) -> None:
    cache = caches["default"]
    cache.set("k", 1)
    (key,) = keys_of(server)
    server.set(key, planted)
    assert cache.get("k") is None
    assert cache.get("k", "default") == "default"
    assert cache.get_many(["k"]) == {}
    cache.set("k", 2)
    assert cache.get("k") == 2
