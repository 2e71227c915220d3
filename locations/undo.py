"""What a person can take back for ten seconds: noted in their session when it is done, read when they press Undo.

A note is kept under a key of its own for each kind of act, with the company and the moment: the latest act alone can be
undone. What it holds besides is the business of whoever notes it.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.utils import timezone

from locations.access import CompanyRequest, may
from locations.models import Role

# What was done can be taken back for ten seconds; the rest is for the way of the click.
UNDO_S: Final = 10
UNDO_GRACE_S: Final = 5


def note(request: CompanyRequest, key: str, at: datetime, **what: Any) -> None:
    """Note what was done at `at`; `what` must be JSON."""
    request.session[key] = {"company": request.company.pk, "at": at.isoformat(), **what}


def noted(request: CompanyRequest, key: str, now: datetime) -> tuple[dict[str, Any], int] | None:
    """Return what this person can still take back in this company, and the whole seconds left, or None."""
    found = request.session.get(key)
    if not found or not may(request.membership_role, Role.OPERATOR):
        return None
    left = int(UNDO_S - (now - datetime.fromisoformat(found["at"])).total_seconds())
    if left < 1:
        request.session.pop(key, None)
        return None
    return (found, left) if found["company"] == request.company.pk else None


def take(request: CompanyRequest, key: str) -> dict[str, Any] | None:
    """Return what was noted in this company and forget it, whether or not its time is over."""
    found = request.session.pop(key, None)
    return found if found and found["company"] == request.company.pk else None


def is_over(at: datetime) -> bool:
    """Whether what was done at `at` can no longer be taken back."""
    return at < timezone.now() - timedelta(seconds=UNDO_S + UNDO_GRACE_S)
