"""The settings of a process with certain variables; run by `tests.run_function`."""

from functools import reduce
from typing import Any

from django.conf import settings


def as_texts(*names: str) -> list[str]:
    """Return settings as texts; a dot leads into a dictionary (`DATABASES.default.ENGINE`)."""
    return [str(_value(*name.split("."))) for name in names]


def _value(name: str, *keys: str) -> Any:
    return reduce(lambda inside, key: inside[key], keys, getattr(settings, name))
