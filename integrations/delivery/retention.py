"""How long evidence is kept: every try for ninety days; acceptances and the last try of each registration for good.

What it decides: an acceptance (a start, a new end, a stop that the vendor took) is never cleared away. "Is it valid?" and a
permit's proof are asked about old tickets too, and without the acceptances they would say of a plate that officers saw that
nothing had been sent. They are few, one or two for each change; what grows without bounds are the tries that came to
nothing during an outage. So those go that were not accepted and were followed by another try, and pushes that are left
without any. Keeping a fourth answer for what is no longer known was the other way; it would answer an appeal with a shrug.

It stays cheap however much is kept: the tries that were not accepted, and the pushes that were not, have a partial index
each, so what is kept for good is not read. Thinning walks along them in small portions, each a transaction of its own, so
that it never stands in anybody's way; where it stopped it goes on the next time, and begins anew at the end, since a last
try may have been followed by another since.
"""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from integrations.models import PeriodicTask, Push, PushEvent

RETENTION_TASK = "thin evidence"
KEPT = timedelta(days=90)
PORTION = 5_000
PORTIONS = 40


def thin(now: datetime) -> int:
    """Remove superseded tries older than `KEPT` that were not accepted; return how many rows went (periodic task)."""
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
    """Thin the tries of the next pushes up to `edge`; return how many rows went, and the last push looked at."""
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
    """Remove old pushes without any event. One that was accepted has some, so only the others are looked at."""
    events = PushEvent.objects.filter(push=OuterRef("pk"))
    old = Push.objects.filter(~Exists(events), sent_at__lt=now - KEPT).exclude(outcome=Push.Outcome.ACCEPTED)
    for _ in range(PORTIONS):
        some = list(old.values_list("pk", flat=True)[:PORTION])
        Push.objects.filter(pk__in=some).delete()
        if len(some) < PORTION:
            break
