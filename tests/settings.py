"""The settings that unit tests run with: the product's own, in an environment that no developer's shell can change.

Unit tests use neither a network nor a file of a running demo: the database is in memory, so is the broker,
and neither `.env` nor `var/demo.env` is read (`ENVIRONMENT=test`). The stage `postgres` runs those that use the database
once more, on the PostgreSQL that `TESTS_DATABASE_URL` names (`tests/run.py` starts it). Flow tests don't use this
module: they start real processes with `offstreet.settings` (see `tests/servers`).
"""

import os
import tempfile
from pathlib import Path

from offstreet.runtime import envfile

for _name in envfile.names(Path(__file__).resolve().parent.parent / ".env.example"):
    os.environ.pop(_name, None)
os.environ["ENVIRONMENT"] = "test"
os.environ["DATABASE_URL"] = os.environ.get("TESTS_DATABASE_URL", "sqlite://:memory:")
os.environ["VAR_DIR"] = tempfile.gettempdir()
os.environ["LOG_LEVEL"] = "WARNING"

from offstreet.settings import *  # noqa: E402, F403
from offstreet.settings import DATABASES, STORAGES, env  # noqa: E402

assert env  # the star import above brings every setting; these are named for the type checker

if "TESTS_DATABASE_URL" in os.environ:
    # The database of that address has been migrated: each process copies it, which takes less time than making tables.
    DATABASES["default"]["TEST"] = {"TEMPLATE": DATABASES["default"]["NAME"]}

CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
# Pages are rendered without a collected manifest, and nothing is served from a folder that a clone does not have.
STATIC_ROOT = None  # type: ignore[assignment]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
