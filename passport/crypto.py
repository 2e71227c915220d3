"""Secrets at rest: encrypted with `FIELD_ENCRYPTION_KEYS` (newest first), or in development with a key made of SECRET_KEY."""

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


@cache
def _fernet(keys: tuple[str, ...], secret_key: str) -> MultiFernet:
    material = list(keys) or [base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()).decode()]
    return MultiFernet([Fernet(key) for key in material])


def _current() -> MultiFernet:
    return _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS), settings.SECRET_KEY)


def encrypt(secret: str) -> bytes:
    """Return the secret encrypted with the newest key."""
    return _current().encrypt(secret.encode())


def decrypt(data: bytes) -> str:
    """Return the secret; raise `cryptography.fernet.InvalidToken` if no key fits."""
    return _current().decrypt(data).decode()
