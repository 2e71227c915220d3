"""Secrets at rest: encrypted with `FIELD_ENCRYPTION_KEYS` (newest first); in development, with a key made from SECRET_KEY."""

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

# What a Fernet token begins with: its version, 0x80, in base 64.
_MARK = b"gAAAAA"


@cache
def _fernets(keys: tuple[str, ...], secret_key: str) -> tuple[Fernet, ...]:
    material = list(keys) or [base64.urlsafe_b64encode(hashlib.sha256(secret_key.encode()).digest()).decode()]
    return tuple(Fernet(key) for key in material)


def _keys() -> tuple[Fernet, ...]:
    """Return the keys in use, the newest first."""
    return _fernets(tuple(settings.FIELD_ENCRYPTION_KEYS), settings.SECRET_KEY)


def encrypt(secret: str) -> bytes:
    """Return the secret encrypted with the newest key."""
    return _keys()[0].encrypt(secret.encode())


def decrypt(data: bytes) -> str:
    """Return the secret; raise `cryptography.fernet.InvalidToken` if no key fits."""
    return MultiFernet(_keys()).decrypt(data).decode()


def is_encrypted(data: bytes) -> bool:
    """Whether this was made by `encrypt`, with whatever key."""
    return data.startswith(_MARK)


def is_under_newest_key(data: bytes) -> bool:
    """Whether the newest key alone reads this."""
    try:
        _keys()[0].decrypt(data)
    except InvalidToken:
        return False
    return True
