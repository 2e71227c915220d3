"""How long evidence is kept: every attempt for ninety days; acceptances and the last attempt for each permit, forever.

An acceptance (of a start, a new end or a stop) is never deleted. "Is it valid?" and a permit's proof are asked about
old tickets, too, and without the acceptances they would claim that nothing had been sent for a plate that officers saw.
There are only one or two per change; what grows without bounds are the failed attempts of an outage. So attempts are
deleted that were not accepted and were followed by another, and then pushes that are left without events. The
alternative was a fourth answer, "no longer known", which is of no use in an appeal.

It stays cheap however much is kept: attempts and pushes that were not accepted have a partial index each, so what is
kept forever is not read. Thinning walks along them in small portions, each in a transaction of its own, so that it
never holds up anything else. It continues where it stopped, and starts over at the end, since what was a last attempt
may have been followed by another.
"""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from integrations.models import PeriodicTask, Push, PushEvent

RETENTION_TASK = "thin evidence"
KEPT = timedelta(days=90)
PORTION = 5_000
PORTIONS = 40


def thin(now: datetime) -> int:
    """Delete superseded attempts older than `KEPT` that were not accepted; return how many rows were deleted (periodic
    task).
    """
    row = PeriodicTask.objects.get_or_create(name=RETENTION_TASK, defaults={"next_at": now})[0]
    newest = (
        Push.objects.filter(sent_at__lt=now - KEPT).order_by("-sent_at", "-pk").values_list("pk", flat=True)
    )
    edge, place, gone = newest.first(), row.cursor, 0
    for _ in range(PORTIONS):
        if edge is None or place >= edge:
            place = 0
            break
        removed, place = _thin_portion(place, edge)
        gone += removed
    PeriodicTask.objects.filter(name=RETENTION_TASK).update(cursor=place)
    _remove_empty(now)
    return gone


def _thin_portion(after: int, edge: int) -> tuple[int, int]:
    """Thin the attempts of the next pushes up to `edge`; return how many rows were deleted, and the last push looked
    at.
    """
    tries = PushEvent.objects.exclude(result=PushEvent.Result.ACCEPTED)
    some = list(
        tries.filter(push__gt=after, push__lte=edge)
        .order_by("push", "pk")
        .values_list("push", flat=True)[:PORTION]
    )
    # Whole pushes, the last one too: a push has no more events than a batch.
    last = some[-1] if len(some) == PORTION else edge
    newer = PushEvent.objects.filter(permit_sync=OuterRef("permit_sync"), pk__gt=OuterRef("pk"))
    found = tries.filter(Exists(newer), push__gt=after, push__lte=last).values_list("pk", flat=True)
    removed, _counts = PushEvent.objects.filter(pk__in=list(found)).delete()
    return removed, last


def _remove_empty(now: datetime) -> None:
    """Delete old pushes without events. Accepted ones always have some, so only the others are looked at."""
    events = PushEvent.objects.filter(push=OuterRef("pk"))
    old = Push.objects.filter(~Exists(events), sent_at__lt=now - KEPT).exclude(outcome=Push.Outcome.ACCEPTED)
    for _ in range(PORTIONS):
        some = list(old.values_list("pk", flat=True)[:PORTION])
        Push.objects.filter(pk__in=some).delete()
        if len(some) < PORTION:
            break
