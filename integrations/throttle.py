"""Limits on what one person may ask for, such as a refresh of the zones once a minute.

Counted in Redis for all web processes together. Where Redis does not answer, this process counts alone: a limit that
fails must not keep anybody from working.
"""

import time
from functools import cache
from typing import Final

import structlog
from django.conf import settings
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from limits.strategies import FixedWindowRateLimiter

logger = structlog.get_logger(__name__)
ONCE_A_MINUTE: Final[RateLimitItem] = RateLimitItemPerMinute(1)
A_FEW_A_MINUTE: Final[RateLimitItem] = RateLimitItemPerMinute(6)


def storage_uri(broker_url: str) -> str:
    """Return the address of the counters in the words of `limits`, from the broker's."""
    if broker_url.startswith("redis+socket://"):
        return broker_url.replace("redis+socket://", "redis+unix://", 1)
    return "memory://" if broker_url.startswith("memory:") else broker_url


@cache
def _shared() -> FixedWindowRateLimiter:
    uri = storage_uri(settings.CELERY_BROKER_URL)
    timeout_s = settings.REDIS_SOCKET_TIMEOUT_S
    options = {} if uri == "memory://" else {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    storage = storage_from_string(uri, wrap_exceptions=True, **options)
    assert isinstance(storage, Storage)
    return FixedWindowRateLimiter(storage)


@cache
def _alone() -> FixedWindowRateLimiter:
    return FixedWindowRateLimiter(MemoryStorage())


def take(limit: RateLimitItem, *who: str, cost: int = 1) -> bool:
    """Count one more for `who`, or `cost` more; return whether that is within the limit."""
    try:
        return _shared().hit(limit, *who, cost=cost)
    except StorageError as error:
        logger.warning("limit_counted_alone", error=str(error))
        return _alone().hit(limit, *who, cost=cost)


def wait_s(limit: RateLimitItem, *who: str) -> float:
    """Return in how many seconds the count of `who` starts over."""
    try:
        ends = _shared().get_window_stats(limit, *who).reset_time
    except StorageError as error:
        logger.warning("limit_counted_alone", error=str(error))
        ends = _alone().get_window_stats(limit, *who).reset_time
    return max(0.0, ends - time.time())


def forget(limit: RateLimitItem, *who: str) -> None:
    """Take the count back, for what was allowed and then did not happen."""
    try:
        _shared().clear(limit, *who)
    except StorageError as error:
        logger.warning("limit_counted_alone", error=str(error))
        _alone().clear(limit, *who)
