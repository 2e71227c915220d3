"""How long evidence is kept: every try for ninety days, then the last one of each registration.

Thinning goes in small portions, so that it never stands in anybody's way; a push without events left is removed too.
"""

from datetime import UTC, datetime, timedelta

from django.db.models import Exists, OuterRef

from integrations.models import Chore, Push, PushEvent

KEPT = timedelta(days=90)
PORTION = 5_000
PORTIONS = 40
EMPTY_CHORE = "drop empty pushes"
PUSH_PORTIONS = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


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
    drop_empty_pushes(now)
    return gone


def drop_empty_pushes(now: datetime) -> int:
    """Remove the next pushes older than `KEPT` that no evidence is left of; return how many went (chore).

    Walks on from where it was: pushes that still hold the last try of a registration are passed once in a whole walk, not
    once an hour each.
    """
    row = Chore.objects.get_or_create(name=EMPTY_CHORE, defaults={"next_at": now})[0]
    at = _EPOCH + row.cursor * _TICK
    gone = 0
    for _ in range(PUSH_PORTIONS):
        old = Push.objects.filter(sent_at__gte=at, sent_at__lt=now - KEPT).order_by("sent_at")
        window = list(old.values_list("pk", "sent_at")[:PORTION])
        events = PushEvent.objects.filter(push=OuterRef("pk"))
        empty = Push.objects.filter(~Exists(events), pk__in=[pk for pk, _sent_at in window])
        gone += Push.objects.filter(pk__in=list(empty.values_list("pk", flat=True))).delete()[0]
        if len(window) < PORTION:
            at = _EPOCH
            break
        at = max(window[-1][1], at + _TICK)
    Chore.objects.filter(name=EMPTY_CHORE).update(cursor=(at - _EPOCH) // _TICK)
    return gone
