"""How long a successful comparison proves what enforcement sees: one setting for all pages and checks."""

from datetime import timedelta

from django.conf import settings


def max_age() -> timedelta:
    """How old the last successful comparison may be for a page to say that enforcement sees everything."""
    return timedelta(seconds=settings.ENFORCEMENT_PROOF_MAX_AGE_S)
