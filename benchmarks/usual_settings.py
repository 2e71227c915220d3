"""The product's settings for the usual way: each worker thread or process keeps its own database connection."""

from offstreet.settings import *  # noqa: F403
from offstreet.settings import DATABASES

DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = False
DATABASES["default"]["OPTIONS"].pop("pool", None)
