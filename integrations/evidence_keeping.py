"""How long evidence is kept: every try for ninety days, then the last one of each registration.

Thinning goes in small portions, so that it never stands in anybody's way; a push without events left is removed too.
"""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from integrations.models import Push, PushEvent

KEPT = timedelta(days=90)
PORTION = 5_000
PORTIONS = 40


def thin(now: datetime) -> int:
    """Remove superseded evidence older than `KEPT`; return how many rows went (chore)."""
    old = Push.objects.filter(sent_at__lt=now - KEPT)
    newer = PushEvent.objects.filter(registration=OuterRef("registration"), pk__gt=OuterRef("pk"))
    gone = 0
    for _ in range(PORTIONS):
        events = (
            PushEvent.objects.filter(Exists(newer), push__in=old)
            .order_by("pk")
            .values_list("pk", flat=True)[:PORTION]
        )
        removed, _counts = PushEvent.objects.filter(pk__in=list(events)).delete()
        gone += removed
        if removed < PORTION:
            break
    empty = old.filter(~Exists(PushEvent.objects.filter(push=OuterRef("pk")))).values_list("pk", flat=True)[
        :PORTION
    ]
    Push.objects.filter(pk__in=list(empty)).delete()
    return gone
