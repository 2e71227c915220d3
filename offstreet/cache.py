"""The cache: Redis for all web processes together, this process's memory where Redis does not answer.

What is kept here is only ever a shortcut or a count (sign-in throttling); so a page must not fail, nor hang, because Redis
does. After a failure Redis is left alone for `REST_S`, so that a frozen one costs one time-out and not one for each call.

Values are JSON. Django's own serializer unpickles whatever lies under a key, so whoever could write to Redis could run
code here; what is no JSON is a miss, and logged. A value must therefore survive JSON: a tuple comes back as a list.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

REST_S = 5.0


class UnreadableValue(Exception):
    """What lies under a key was not written by this cache."""


class JSONSerializer:
    """Serialize cached values as JSON (the `SERIALIZER` option of Django's Redis cache)."""

    def dumps(self, value: Any) -> bytes:
        """Return `value` as JSON; raise `TypeError` for what JSON can't say."""
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """Return the value that `data` stands for; raise `UnreadableValue` for anything but JSON."""
        try:
            return json.loads(data.decode())
        except (ValueError, RecursionError) as error:
            raise UnreadableValue(type(error).__name__) from error


class ForgivingRedisCache(BaseCache):
    """Redis, or this process's memory for as long as Redis does not answer."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        # Both take their own options out of what they are given.
        options = {**params.get("OPTIONS", {}), "serializer": JSONSerializer}
        self._redis = RedisCache(server, {**params, "OPTIONS": options})
        self._memory = LocMemCache("forgiving", {"KEY_PREFIX": self.key_prefix, "VERSION": self.version})
        self._rest_until = 0.0

    def _call(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._rest_until:
            call: Callable[..., Any] = getattr(self._redis, name)
            try:
                return call(*args, **kwargs)
            except (RedisError, OSError) as error:
                self._rest_until = time.monotonic() + REST_S
                log.warning(
                    "the cache does not answer; this process remembers alone", error=type(error).__name__
                )
        return getattr(self._memory, name)(*args, **kwargs)

    def add(self, *args: Any, **kwargs: Any) -> bool:
        """See `BaseCache.add`."""
        return bool(self._call("add", *args, **kwargs))

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """See `BaseCache.get`; what can't be read is not there."""
        try:
            return self._call("get", *args, **kwargs)
        except UnreadableValue as error:
            log.warning("a cached value could not be read and is ignored", error=str(error))
            return kwargs.get("default", args[1] if len(args) > 1 else None)

    def set(self, *args: Any, **kwargs: Any) -> None:
        """See `BaseCache.set`."""
        self._call("set", *args, **kwargs)

    def incr(self, *args: Any, **kwargs: Any) -> int:
        """Count in one step, and leave the time-out as it is; see `BaseCache.incr`."""
        return int(self._call("incr", *args, **kwargs))

    def touch(self, *args: Any, **kwargs: Any) -> bool:
        """See `BaseCache.touch`."""
        return bool(self._call("touch", *args, **kwargs))

    def delete(self, *args: Any, **kwargs: Any) -> bool:
        """See `BaseCache.delete`."""
        return bool(self._call("delete", *args, **kwargs))

    def clear(self) -> None:
        """See `BaseCache.clear`."""
        self._call("clear")
