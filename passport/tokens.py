"""The access token: fetched once for the whole fleet, kept encrypted, renewed before it ends.

The row in the database is the truth; each process keeps a copy in memory until shortly before the end. Who finds no
usable token takes the row's `fetching_until` by one conditional update; all others wait for what that one brings. So a
hundred workers that start together cause one request. A worker that dies while fetching blocks nobody for longer than
`FETCH_LEASE_S`.

A failure is shared as well: the threads that waited for it get the same error, and no other process asks again for
`FAILURE_REST_S`. So a fleet with wrong credentials makes a request a second at most, until the breaker holds it back.
"""

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from cryptography.fernet import InvalidToken
from django.db import close_old_connections
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.errors import DeliveryError, TryLater
from passport.crypto import decrypt, encrypt
from passport.models import AccessToken

DEFAULT_LIFE = timedelta(hours=1)
RENEW_BEFORE = timedelta(minutes=2)
# A little longer than a request may take, and less than a row's lease.
FETCH_LEASE_S = 10
WAIT_S = 12
FAILURE_REST_S = 1
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class FetchedToken:
    """A token as Passport gave it."""

    secret: str
    expires_at: datetime

    @classmethod
    def read(cls, document: Any, *, now: datetime) -> "FetchedToken | None":
        """Read a token answer: `expires_in` (seconds) or `expires_at` (RFC 3339), either or both (documented).

        Returns None where there is no usable token. Without any life time an hour is assumed.
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
        if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 10**8:
            ends = [now + timedelta(seconds=seconds)]
        at = document.get("expires_at")
        if isinstance(at, str):
            try:
                moment = datetime.fromisoformat(at)
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is not None:
                ends = [*ends, moment] if "expires_in" in document else [moment]
        end = min(ends)
        return cls(secret, end) if end > now else None


@dataclass(frozen=True, slots=True)
class Token:
    """A token in use; `version` tells it from its successors."""

    secret: str
    expires_at: datetime
    version: int

    def is_fresh(self, now: datetime) -> bool:
        """Whether it may still be used; a short-lived one is renewed after nine tenths of its life at the latest."""
        return now < self.expires_at


class TokenStore(Protocol):
    """Where a client gets its token from."""

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return a usable token, fetching one if there is none; raise `DeliveryError`."""
        ...

    def drop(self, token: Token) -> None:
        """Forget a token that Passport no longer takes."""
        ...


def renewal_time(expires_at: datetime, *, now: datetime) -> datetime:
    """Return when a token is renewed: two minutes before its end, or after nine tenths of a short life."""
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

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return a usable token; see the module's text."""
        token = self._token
        if token is not None and token.is_fresh(timezone.now()):
            return token
        asked_at = time.monotonic()
        with self._lock:  # one thread of this process asks, the others take what it brings
            if self._token is not None and self._token.is_fresh(timezone.now()):
                return self._token
            if self._failure is not None and self._failure[0] >= asked_at:
                raise self._failure[1]
            try:
                self._token = self._shared(fetch)
            except DeliveryError as error:
                self._failure = (time.monotonic(), error)
                raise
            finally:
                close_old_connections()
            return self._token

    def drop(self, token: Token) -> None:
        """Forget this token, here and in the database, unless it has a successor already."""
        with self._lock:
            if self._token is not None and self._token.version == token.version:
                self._token = None
        AccessToken.objects.filter(key=self.key, version=token.version).update(secret=b"", expires_at=None)
        close_old_connections()

    def _shared(self, fetch: Callable[[], FetchedToken]) -> Token:
        AccessToken.objects.get_or_create(key=self.key)
        give_up_at = time.monotonic() + WAIT_S
        while True:
            now = timezone.now()
            if token := self._stored(now):
                return token
            if self._take_the_word(now):
                # Between the look and the word somebody else may have brought one and given the word back.
                if token := self._stored(timezone.now()):
                    AccessToken.objects.filter(key=self.key).update(fetching_until=None)
                    return token
                return self._fetch(fetch)
            if time.monotonic() > give_up_at:
                raise TryLater(_("Another worker is still fetching Passport's access token."), code="token")
            time.sleep(POLL_S)

    def _stored(self, now: datetime) -> Token | None:
        row = AccessToken.objects.get(key=self.key)
        if row.expires_at is None or row.expires_at <= now or not row.secret:
            return None
        try:
            return Token(decrypt(bytes(row.secret)), row.expires_at, row.version)
        except InvalidToken:  # the keys were changed: fetch anew
            return None

    def _take_the_word(self, now: datetime) -> bool:
        free = Q(fetching_until=None) | Q(fetching_until__lt=now)
        until = now + timedelta(seconds=FETCH_LEASE_S)
        return bool(AccessToken.objects.filter(free, key=self.key).update(fetching_until=until))

    def _fetch(self, fetch: Callable[[], FetchedToken]) -> Token:
        try:
            fetched = fetch()
        except BaseException:
            rest_until = timezone.now() + timedelta(seconds=FAILURE_REST_S)
            AccessToken.objects.filter(key=self.key).update(fetching_until=rest_until)
            raise
        now = timezone.now()
        renew_at = renewal_time(fetched.expires_at, now=now)
        AccessToken.objects.filter(key=self.key).update(
            secret=encrypt(fetched.secret),
            expires_at=renew_at,
            fetched_at=now,
            fetching_until=None,
            version=F("version") + 1,
        )
        version = AccessToken.objects.values_list("version", flat=True).get(key=self.key)
        return Token(fetched.secret, renew_at, version)


class MemoryTokenStore:
    """A token in memory alone, for tests and single scripts."""

    def __init__(self) -> None:
        self._token: Token | None = None
        self._version = 0

    def get(self, fetch: Callable[[], FetchedToken]) -> Token:
        """Return the token, fetching one if there is none."""
        now = timezone.now()
        if self._token is None or not self._token.is_fresh(now):
            fetched = fetch()
            self._version += 1
            self._token = Token(fetched.secret, renewal_time(fetched.expires_at, now=now), self._version)
        return self._token

    def drop(self, token: Token) -> None:
        """Forget the token."""
        if self._token is not None and self._token.version == token.version:
            self._token = None
