"""The access token: fetched once for the whole fleet, kept encrypted, renewed before it expires.

The row in the database is the source of truth; each process keeps a copy in memory until shortly before it expires. A
worker that finds no usable token claims the row's `fetching_until` with one conditional update, and all others wait for
its result. So a hundred workers that start together cause one request. A worker that dies while fetching blocks no one
for longer than `FETCH_LEASE_S`.

A failure is shared too: the threads that waited for it get the same error, and no other process tries again for
`FAILURE_REST_S`, or for as long as the answer asked (`Retry-After`, up to `OBEY_MAX`). So a fleet with wrong credentials
makes at most one request a second, until the breaker opens.

A token is renewed before it expires, and stays in use while the renewal is running or fails; only a process without a
valid token waits or fails. The row's times are by the database's clock; each process converts them to its own.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from cryptography.fernet import InvalidToken
from django.db import close_old_connections
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery.circuit_breaker import OBEY_MAX
from integrations.delivery.database_clock import come, database_now
from integrations.vendors.errors import DeliveryError, TryLater
from passport.crypto import decrypt, encrypt
from passport.models import AccessToken

log = structlog.get_logger(__name__)

DEFAULT_LIFE = timedelta(hours=1)
# A longer lifetime is cut: an absurd expiry must not keep a forgotten token in the shared row for years.
MAX_LIFE = timedelta(days=30)
RENEW_BEFORE = timedelta(minutes=2)
# A little longer than a request may take, and less than a row's lease.
FETCH_LEASE_S = 10
WAIT_S = 12
FAILURE_REST_S = 1
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class FetchedToken:
    """A token as Passport issued it."""

    secret: str
    expires_at: datetime

    @classmethod
    def read(cls, document: Any, *, now: datetime) -> "FetchedToken | None":
        """Read a token answer: `expires_in` (seconds) or `expires_at` (RFC 3339), either or both (documented: T3).

        Returns None where there is no usable token. Without a lifetime, an hour is assumed; none is longer than `MAX_LIFE`.
        """
        if not isinstance(document, dict):
            return None
        secret = document.get("access_token")
        if not isinstance(secret, str) or not secret or not secret.isascii() or not secret.isprintable():
            return None
        ends = [now + DEFAULT_LIFE]
        seconds = document.get("expires_in")
        if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
            seconds = int(seconds[:12])
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and seconds > 0:
            ends = [now + timedelta(seconds=min(seconds, MAX_LIFE.total_seconds()))]
        at = document.get("expires_at")
        if isinstance(at, str):
            try:
                moment = datetime.fromisoformat(at)
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is not None:
                ends = [*ends, moment] if "expires_in" in document else [moment]
        end = min(*ends, now + MAX_LIFE)
        return cls(secret, end) if end > now else None


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use, with this process's times; `version` tells it from its successors."""

    secret: str
    renew_at: datetime
    ends_at: datetime
    version: int

    def is_fresh(self, now: datetime) -> bool:
        """Whether it can be used without checking the row; a short-lived one for nine tenths of its lifetime."""
        return now < self.renew_at

    def is_valid(self, now: datetime) -> bool:
        """Whether Passport still accepts it, as far as we know."""
        return now < self.ends_at


class TokenStore(Protocol):
    """Where a client gets its token from."""

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return a usable token, fetching one if there is none; raise `DeliveryError`."""
        ...

    def drop(self, token: Token) -> None:
        """Forget a token that Passport no longer accepts."""
        ...


def renewal_time(expires_at: datetime, *, now: datetime) -> datetime:
    """Return when a token is renewed: two minutes before its end, or after nine tenths of a short lifetime."""
    return expires_at - min(RENEW_BEFORE, (expires_at - now) / 10)


class DatabaseTokenStore:
    """One token per partner application, shared through the database."""

    def __init__(self, *, base_url: str, client_id: str, client_secret: str) -> None:
        # New credentials are a new key, so that a wrong secret is never hidden by an old token.
        self.key = hashlib.sha256(f"{base_url}\n{client_id}\n{client_secret}".encode()).hexdigest()
        self._lock = threading.Lock()
        self._token: Token | None = None
        # The last failure and when it was (monotonic seconds).
        self._failure: tuple[float, DeliveryError] | None = None
        # Until then Passport has asked for no further token requests (monotonic seconds).
        self._rest_until = 0.0
        # Until then a token that is to be renewed is used without reading the row (monotonic seconds).
        self._content_until = 0.0

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return a usable token; see the module's docstring."""
        token, now = self._token, timezone.now()
        if token is not None and self._will_do(token, now):
            return token
        asked_at = time.monotonic()
        # One thread of this process asks; the others use its result, or what they have.
        if not self._lock.acquire(blocking=token is None or not token.is_valid(now)):
            assert token is not None
            return token
        try:
            if self._token is not None and self._will_do(self._token, timezone.now()):
                return self._token
            if self._failure is not None and self._failure[0] >= asked_at:
                raise self._failure[1]
            if (rest_s := self._rest_until - time.monotonic()) > 0:
                raise _told_to_wait(timedelta(seconds=rest_s))
            try:
                self._token = self._shared(fetch)
            except DeliveryError as error:
                self._failure = (time.monotonic(), error)
                self._rest_until = time.monotonic() + _asked_for(error).total_seconds()
                raise
            finally:
                close_old_connections()
            if not self._token.is_fresh(timezone.now()):
                self._content_until = time.monotonic() + FAILURE_REST_S
            return self._token
        finally:
            self._lock.release()

    def drop(self, token: Token) -> None:
        """Forget this token, here and in the database, unless it has a successor already."""
        with self._lock:
            if self._token is not None and self._token.version == token.version:
                self._token = None
        AccessToken.objects.filter(key=self.key, version=token.version).update(
            secret=b"", expires_at=None, ends_at=None
        )
        close_old_connections()

    def _will_do(self, token: Token, now: datetime) -> bool:
        return token.is_fresh(now) or (token.is_valid(now) and time.monotonic() < self._content_until)

    def _shared(self, fetch: Callable[[], FetchedToken]) -> Token:
        AccessToken.objects.get_or_create(key=self.key)
        give_up_at = time.monotonic() + WAIT_S
        while True:
            now = database_now()
            token = self._stored(now)
            if token is not None and token.is_fresh(timezone.now()):
                return token
            if self._take_the_word(now):
                # Between reading the row and claiming it, another worker may have fetched one and released its claim.
                token = self._stored(database_now())
                if token is not None and token.is_fresh(timezone.now()):
                    AccessToken.objects.filter(key=self.key).update(fetching_until=None)
                    return token
                return self._fetch(fetch, token)
            if token is not None:  # another worker is renewing it, or has just tried to
                return token
            if (rest := self._rest()) is not None:
                raise _told_to_wait(rest)
            if time.monotonic() > give_up_at:
                raise TryLater(_("Another worker is still fetching Passport's access token."), code="token")
            time.sleep(POLL_S)

    def _stored(self, now: datetime) -> Token | None:
        """Return the row's token if it is valid; `now` is the database's time."""
        row = AccessToken.objects.get(key=self.key)
        if row.expires_at is None or not row.secret:
            return None
        # Workers of earlier versions don't know `ends_at`, and leave the earlier token's value in place.
        ends_at = max(row.expires_at, row.ends_at or row.expires_at)
        if ends_at <= now:
            return None
        ahead = timezone.now() - now
        try:
            secret = decrypt(bytes(row.secret))
        except InvalidToken:  # the keys were changed: fetch a new one
            return None
        return Token(secret, row.expires_at + ahead, ends_at + ahead, row.version)

    def _rest(self) -> timedelta | None:
        """Return how long no process may request a token, if that is longer than a fetch can take."""
        until = AccessToken.objects.values_list("fetching_until", flat=True).get(key=self.key)
        # The clock is read after the row, so that a fetch which has just begun is never taken for longer than it may last.
        rest = timedelta(0) if until is None else until - database_now()
        return rest if rest > timedelta(seconds=FETCH_LEASE_S) else None

    def _take_the_word(self, now: datetime) -> bool:
        free = Q(fetching_until=None) | come("fetching_until", now, at_most=OBEY_MAX)
        until = now + timedelta(seconds=FETCH_LEASE_S)
        return bool(AccessToken.objects.filter(free, key=self.key).update(fetching_until=until))

    def _fetch(self, fetch: Callable[[], FetchedToken], old: Token | None) -> Token:
        try:
            fetched = fetch()
        except BaseException as error:
            now, rest = timezone.now(), timedelta(seconds=FAILURE_REST_S)
            kept = old if old is not None and old.is_valid(now) and isinstance(error, DeliveryError) else None
            asked = _asked_for(error)
            rest = max(rest, asked if kept is None else min(asked, kept.ends_at - now))
            AccessToken.objects.filter(key=self.key).update(fetching_until=database_now() + rest)
            if kept is None:
                raise
            log.warning("the access token was not renewed; the old one goes on", error=type(error).__name__)
            return kept
        # By this process's clock, as its end was read; in the row by the database's.
        now, shared_now = timezone.now(), database_now()
        renew_at = renewal_time(fetched.expires_at, now=now)
        AccessToken.objects.filter(key=self.key).update(
            secret=encrypt(fetched.secret),
            expires_at=renew_at - now + shared_now,
            ends_at=fetched.expires_at - now + shared_now,
            fetched_at=shared_now,
            fetching_until=None,
            version=F("version") + 1,
        )
        version = AccessToken.objects.values_list("version", flat=True).get(key=self.key)
        return Token(fetched.secret, renew_at, fetched.expires_at, version)


def _asked_for(error: BaseException) -> timedelta:
    """Return how long an answer asks clients to wait; zero if it doesn't."""
    asked = error.retry_after if isinstance(error, TryLater) else None
    return min(asked or timedelta(0), OBEY_MAX)


def _told_to_wait(rest: timedelta) -> TryLater:
    return TryLater(_("Passport asked Offstreet to slow down."), code="token", retry_after=rest)


class MemoryTokenStore:
    """A token kept in memory only, for tests and one-off scripts."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._version = 0

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return the token, fetching one if there is none."""
        now = timezone.now()
        if self._token is None or not self._token.is_fresh(now):
            fetched = fetch()
            self._version += 1
            renew_at = renewal_time(fetched.expires_at, now=now)
            self._token = Token(fetched.secret, renew_at, fetched.expires_at, self._version)
        return self._token

    def drop(self, token: Token) -> None:
        """Forget the token."""
        if self._token is not None and self._token.version == token.version:
            self._token = None
