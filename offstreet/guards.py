"""What production refuses to start with.

A deployment that runs on a public secret or talks to the sandbox looks healthy and protects nobody, so it must not
start at all. The message names the setting and the reason; several faults are told at once.
"""

import base64
from collections.abc import Mapping
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured

DEVELOPMENT_SECRET_KEY = "development-only-this-key-is-public-and-production-refuses-it-0123456789"
MIN_SECRET_KEY_CHARS = 50
CONSOLE_MAILS = "django.core.mail.backends.console.EmailBackend"
ENVIRONMENTS = ("development", "production", "test")


def known_environment(name: str) -> str:
    """Return `name` if it is one of `ENVIRONMENTS`; a slip such as "prod" must not run as a development install.

    Raises `ImproperlyConfigured`.
    """
    if name not in ENVIRONMENTS:
        raise ImproperlyConfigured(f"ENVIRONMENT is {name!r}; it must be one of {', '.join(ENVIRONMENTS)}.")
    return name


def positive(name: str, value: int) -> int:
    """Return `value` if it is at least 1: none at all would look like a worker that hangs. Raises `ImproperlyConfigured`."""
    if value < 1:
        raise ImproperlyConfigured(f"{name} is {value}; it must be at least 1.")
    return value


def is_encryption_key(text: str) -> bool:
    """Tell whether `text` is a Fernet key: 32 bytes in URL-safe base 64."""
    try:
        return len(base64.urlsafe_b64decode(text)) == 32
    except ValueError:
        return False


def needs_password(redis_url: str) -> bool:
    """Tell whether a Redis is reached over a network and without a password; a socket is kept by its file's rights."""
    try:
        parts = urlsplit(redis_url)
    except ValueError:
        return True
    # Both ways in which redis-py takes one.
    has_password = bool(parts.password or parse_qs(parts.query).get("password"))
    return parts.scheme != "unix" and not has_password


def production_faults(settings: Mapping[str, Any]) -> list[str]:
    """Return one sentence per setting that is unfit for production; an empty list means that it may start."""
    faults = []
    secret = settings["SECRET_KEY"]
    if not secret:
        faults.append("SECRET_KEY is empty: sessions and signed links need a secret of their own.")
    elif secret == DEVELOPMENT_SECRET_KEY:
        faults.append(
            "SECRET_KEY is the development secret, which is public: anybody could sign in as anyone."
        )
    elif len(secret) < MIN_SECRET_KEY_CHARS:
        faults.append(f"SECRET_KEY is shorter than {MIN_SECRET_KEY_CHARS} characters: it could be guessed.")
    if settings["DEBUG"]:
        faults.append("DEBUG is on: error pages would show settings and plates to anybody.")
    if not settings["ALLOWED_HOSTS"] or "*" in settings["ALLOWED_HOSTS"]:
        faults.append("ALLOWED_HOSTS must list the names this site answers to, without '*'.")
    if not settings["SITE_URL"].startswith("https://"):
        faults.append("SITE_URL must be the site's https:// address: every mailed link begins with it.")
    if settings["EMAIL_BACKEND"] == CONSOLE_MAILS:
        faults.append("EMAIL_URL is missing: mails would be printed to the log, with the links in them.")
    if settings["DEMO_MAILBOX"]:
        faults.append("DEMO_MAILBOX is set: mails would be kept in a folder and never sent.")
    if not settings["FIELD_ENCRYPTION_KEYS"]:
        faults.append(
            "FIELD_ENCRYPTION_KEYS is empty: vendors' access tokens would be kept under no key of their own."
        )
    elif not all(is_encryption_key(key) for key in settings["FIELD_ENCRYPTION_KEYS"]):
        faults.append(
            "FIELD_ENCRYPTION_KEYS holds something that is no key; .env.example says how to make one."
        )
    if needs_password(settings["REDIS_URL"]) and not settings["REDIS_NETWORK_IS_TRUSTED"]:
        faults.append(
            "REDIS_URL holds no password: whoever reaches that Redis could send tasks to the workers and lift the limits "
            "on sign-in. Use redis://:password@host:6379/0, or set REDIS_NETWORK_IS_TRUSTED=True where nobody else can "
            "reach it."
        )
    for vendor in settings["INTEGRATION_VENDORS"].values():
        faults += vendor_faults(vendor, settings)
    return faults


def vendor_faults(vendor: str, settings: Mapping[str, Any]) -> list[str]:
    """Return what the guard of a vendor objects to: `production_faults` of the module `guards` in the vendor's folder.

    `vendor` is the dotted path of the vendor's class (`folder.module.Class`). A folder without that module has not been
    thought through, so the `ModuleNotFoundError` is let through.
    """
    folder = vendor.rsplit(".", 2)[0]
    faults: list[str] = import_module(f"{folder}.guards").production_faults(settings)
    return faults


def refuse_unsafe_production(settings: Mapping[str, Any]) -> None:
    """Raise `ImproperlyConfigured` with every fault, if there is one."""
    faults = production_faults(settings)
    if faults:
        raise ImproperlyConfigured("This configuration is not fit for production:\n- " + "\n- ".join(faults))
