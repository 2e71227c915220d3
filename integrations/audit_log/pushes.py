"""Reads behind the activity pages: pushes, what was refused, and what people did.

Lists are paged by key, newest first, and nothing is counted: page 10,000 costs what page 1 costs. A key is a time and
a row id, written into the address as `<microseconds>-<id>`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Final

from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import Connection, PermitSync, Push, PushEvent

PAGE_ROWS: Final = 50
SPANS: Final = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
# Connections that are asked one by one, each with its own index; more than these are asked together.
ASKED_ONE_BY_ONE: Final = 4
# A shorter beginning of a trace id fits too many pushes to be worth a look.
TRACE_CHARS: Final = 4
MOST_TRACE_CHARS: Final = 40
# Every outcome but "accepted".
TROUBLE: Final = "trouble"
# What an event does to a session, as people say it.
KINDS: Final = {
    "started": gettext_lazy("started"),
    "extended": gettext_lazy("time changed"),
    "stopped": gettext_lazy("ended"),
}
MOST_RETRIED: Final = 50_000
# Fewer words than this, shared by a group's sentences, name nothing.
SHARED_WORDS: Final = 2
_MICROS_DIGITS: Final = 17
_KEY_DIGITS: Final = 18
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Key:
    """Where a page begins: rows before this moment, or at it with a smaller id."""

    at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{(self.at - _EPOCH) // timedelta(microseconds=1)}-{self.pk}"


def read_key(text: str) -> Key | None:
    """Return the key in an address, or None where it is none."""
    micros, dash, pk = text.partition("-")
    if not dash or not all(part.isascii() and part.isdecimal() for part in (micros, pk)):
        return None
    if len(micros) > _MICROS_DIGITS or len(pk) > _KEY_DIGITS:
        return None
    try:
        return Key(_EPOCH + timedelta(microseconds=int(micros)), int(pk))
    except OverflowError:
        return None


# --- Pushes -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PushFilters:
    """What the list of pushes is narrowed to; empty values narrow nothing.

    `trace` is a trace id or its beginning, as somebody reads it from the vendor's answer.
    """

    outcome: str = ""
    kind: str = ""
    reason: str = ""
    span: str = ""
    trace: str = ""

    @property
    def unreadable(self) -> bool:
        """Whether one of them is none that there is: nothing matches then."""
        return not (
            self.outcome in ("", TROUBLE, *Push.Outcome.values)
            and self.kind in ("", *KINDS)
            and self.span in ("", *SPANS)
            and len(self.trace) <= MOST_TRACE_CHARS
        )


@dataclass(frozen=True, slots=True)
class PushPage:
    """A page of pushes and the key of the next one."""

    rows: Sequence[Push]
    older: Key | None = None


def _narrow(pushes: QuerySet[Push], filters: PushFilters, now: datetime) -> QuerySet[Push]:
    if filters.unreadable:
        return pushes.none()
    if filters.trace:
        pushes = pushes.filter(trace_id__startswith=filters.trace)
    if filters.outcome == TROUBLE:
        pushes = pushes.exclude(outcome=Push.Outcome.ACCEPTED)
    elif filters.outcome:
        pushes = pushes.filter(outcome=filters.outcome)
    if filters.reason:
        pushes = pushes.exclude(outcome=Push.Outcome.ACCEPTED).filter(error_code=filters.reason)
    if filters.kind:
        pushes = pushes.filter(kind=filters.kind)
    if filters.span in SPANS:
        pushes = pushes.filter(sent_at__gt=now - SPANS[filters.span])
    return pushes


def list_pushes(
    connections: Sequence[Connection], filters: PushFilters, *, now: datetime, key: Key | None = None
) -> PushPage:
    """Return a page of these connections' pushes, newest first."""
    apart = [[one] for one in connections] if len(connections) <= ASKED_ONE_BY_ONE else [list(connections)]
    found: list[Push] = []
    for some in apart:
        pushes = _narrow(Push.objects.filter(connection__in=some), filters, now)
        if key is not None:
            pushes = pushes.filter(sent_at__lte=key.at).exclude(sent_at=key.at, pk__gte=key.pk)
        found.extend(pushes.select_related("connection").order_by("-sent_at", "-pk")[: PAGE_ROWS + 1])
    found.sort(key=lambda push: (push.sent_at, push.pk), reverse=True)
    rows = found[:PAGE_ROWS]
    more = len(found) > PAGE_ROWS
    return PushPage(rows, Key(rows[-1].sent_at, rows[-1].pk) if more else None)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Pushes that went wrong for one reason."""

    code: str
    sentence: str
    count: int
    last: datetime


def troubles(connections: Sequence[Connection], *, since: datetime) -> list[Trouble]:
    """Return the reasons why pushes went wrong since then, the most frequent first."""
    grouped = (
        Push.objects.filter(connection__in=list(connections), sent_at__gt=since)
        .exclude(outcome=Push.Outcome.ACCEPTED)
        .exclude(error_code="")
        .order_by()
        .values_list("error_code")
        .annotate(least=Min("error"), words=Max("error"), n=Count("pk"), last=Max("sent_at"))
    )
    found = (Trouble(code, _one_of(least, words), *rest) for code, least, words, *rest in grouped)
    return sorted(found, key=lambda one: -one.count)


def _one_of(least: str, most: str) -> str:
    """Return what a group's sentences share, given the first and the last of them in alphabetical order.

    One code may come with many sentences: “zone SP-01 has no space 44”, “… 50” share “zone SP-01 has no space …”. Where that
    is hardly a word, one of them stands for all.
    """
    if least == most:
        return most
    words = list(takewhile(lambda pair: pair[0] == pair[1], zip(least.split(), most.split(), strict=False)))
    if len(words) >= SHARED_WORDS:
        return " ".join([*(word for word, _same in words), "…"])
    return _("%(sentence)s, and similar") % {"sentence": most.rstrip(".")}


def events_of(push: Push, *, after: int = 0) -> list[PushEvent]:
    """Return a push's result for each permit sync, in the order sent, after the row id `after`.

    At most `2 * PAGE_ROWS + 1` events.
    """
    found = PushEvent.objects.filter(push=push, pk__gt=after).select_related("permit_sync__permit__location")
    return list(found.order_by("pk")[: PAGE_ROWS * 2 + 1])


# --- Refused ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Refusal:
    """Permit syncs refused for one reason; trying again can help `retryable` of them (see `_CAN_HELP`)."""

    code: str
    sentence: str
    remedy: str
    count: int
    since: datetime | None
    retryable: int

    @property
    def is_retryable(self) -> bool:
        """Whether trying again can help all of them."""
        return self.retryable == self.count


# The vendor refuses the others whenever they are sent, and so nothing tries them again (`integrations.delivery.refusals`):
# only a change of the permit helps, and that sends it.
_CAN_HELP: Final = Q(retry_at__isnull=False)


def refused_of(connections: Sequence[Connection]) -> QuerySet[PermitSync]:
    """The refused permit syncs of these connections; a test plate's own page tells what became of it.

    Where a connection has ended nobody can do anything about them: they run out there.
    """
    open_ones = [one for one in connections if one.status != Connection.Status.ENDED]
    return PermitSync.objects.refused().real().filter(connection__in=open_ones)


def refusals(connections: Sequence[Connection]) -> list[Refusal]:
    """Return the reasons for which permit syncs are refused, the most frequent first."""
    grouped = (
        refused_of(connections)
        .order_by()
        .values_list("error_code")
        .annotate(
            least=Min("error"),
            words=Max("error"),
            mend=Max("remedy"),
            n=Count("pk"),
            since=Min("error_since"),
            retryable=Count("pk", filter=_CAN_HELP),
        )
    )
    found = (Refusal(code, _one_of(least, words), *rest) for code, least, words, *rest in grouped)
    return sorted(found, key=lambda one: -one.count)


def list_refused(connections: Sequence[Connection], reason: str, *, before: int | None) -> list[PermitSync]:
    """Return a page of refused permit syncs (one more than `PAGE_ROWS` if there are more), newest row first."""
    found = refused_of(connections)
    if reason:
        found = found.filter(error_code=reason)
    if before is not None:
        found = found.filter(pk__lt=before)
    return list(found.select_related("permit__location__zone_mapping__zone").order_by("-pk")[: PAGE_ROWS + 1])


def refused_ids(connections: Sequence[Connection], *, reason: str | None, pk: int | None) -> list[int]:
    """Return the ids to try again: one, or all of a reason (at most `MOST_RETRIED` at once); only where that can help."""
    found = refused_of(connections).filter(_CAN_HELP)
    wanted = Q(pk=pk) if pk is not None else Q(error_code=reason or "")
    return list(found.filter(wanted).order_by("pk").values_list("pk", flat=True)[:MOST_RETRIED])
