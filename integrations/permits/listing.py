"""Pages of permits in an order, and how many there are.

Paging is by key, the permit that stood last on the page before: page 10,000 costs what page 1 costs. The key is an id alone,
since an address must not tell a plate; its place in the order is looked up. Each order walks an index of its own.

Counting stops at `MOST_COUNTED`: it reads an index, 10 ms for as many rows, and beyond that people need no exact figure.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q

from integrations.permits.queries import PAGE_ROWS, Delivery, PermitFilters, deliveries, narrowed
from locations.models import Company, Permit, PermitQuerySet
from locations.plates import normalise_plate
from locations.text import tidy

MOST_COUNTED = 100_000


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of permits: by a column, or newest first; `name` is what stands in the address."""

    name: str = ""

    @property
    def is_descending(self) -> bool:
        """Whether it begins with the last."""
        return self.name == "" or self.name.startswith("-")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that decide, the last of which is the id."""
        column = self.name.removeprefix("-")
        return (column, "pk") if column else ("pk",)

    def order_by(self, *, backwards: bool) -> list[str]:
        """Return the columns as `QuerySet.order_by` takes them."""
        return [f"-{name}" if self.is_descending != backwards else name for name in self.columns]

    def beyond(self, key: Permit, *, backwards: bool) -> Q:
        """Return what holds for the permits that come after `key`, or with `backwards` before it."""
        side = "lt" if self.is_descending != backwards else "gt"
        *first, last = self.columns
        found = Q(**{f"{last}__{side}": key.pk})
        for name in first:
            at = getattr(key, name)
            # The first part alone would do, but the second lets an index begin there.
            found = (Q(**{f"{name}__{side}": at}) | found) & Q(**{f"{name}__{side}e": at})
        return found


NEWEST = Sort()
SORTS = {sort.name: sort for sort in (NEWEST, *map(Sort, ("plate", "-plate", "end", "-end")))}


@dataclass(slots=True)
class PermitPage:
    """One page of permits; `newer`/`older` are ids to page by, or None where the list ends.

    What was searched for comes in the order of what was found and is not paged: `more` says that only its beginning is
    shown, and that typing more of it shows the rest.
    """

    rows: list[Delivery] = field(default_factory=list)
    newer: int | None = None
    older: int | None = None
    more: bool = False
    # How many there are in all, at most one more than `MOST_COUNTED`.
    total: int = 0


def list_permits(
    company: Company,
    filters: PermitFilters,
    *,
    now: datetime,
    older_than: int | None = None,
    newer_than: int | None = None,
    rows: int = PAGE_ROWS,
    sort: Sort = NEWEST,
) -> PermitPage:
    """Return one page in this order. `older_than` is the id of the last permit of the page before, `newer_than` that of the
    first of the page after; without them it is the first page.

    A search returns its first page alone, see `PermitPage`.
    """
    branches = narrowed(company, filters, now)
    total = _count(branches)
    if tidy(filters.q):
        found = _in_order_of_search(_load(_first_ids(branches, rows + 1)), filters.q)
        return PermitPage(rows=deliveries(found[:rows], now), more=len(found) > rows, total=total)
    backwards = newer_than is not None
    key = _key(company, newer_than if backwards else older_than, sort)
    if key is not None:
        branches = [branch.filter(sort.beyond(key, backwards=backwards)) for branch in branches]
    ordered = [branch.order_by(*sort.order_by(backwards=backwards)) for branch in branches]
    permits = sorted(
        _load(_first_ids(ordered, rows + 1)),
        key=lambda permit: tuple(getattr(permit, name) for name in sort.columns),
        reverse=sort.is_descending != backwards,
    )
    more, permits = len(permits) > rows, permits[:rows]
    if backwards:
        permits.reverse()
    page = PermitPage(rows=deliveries(permits, now), total=total)
    if permits:
        page.older = permits[-1].pk if (backwards or more) else None
        page.newer = permits[0].pk if (more if backwards else key is not None) else None
    return page


def _count(branches: Sequence[PermitQuerySet]) -> int:
    """Count what the branches find together, at most one more than `MOST_COUNTED`; one query."""
    limited = [branch.order_by().values("pk")[: MOST_COUNTED + 1] for branch in branches]
    if len(limited) == 1:
        return limited[0].count()
    # One permit may be in several branches.
    return Permit.objects.order_by().filter(pk__in=_union(limited))[: MOST_COUNTED + 1].count()


def _key(company: Company, pk: int | None, sort: Sort) -> Permit | None:
    """Return the permit that a page begins or ends at. For the newest first it is its id alone, which may be gone."""
    if pk is None:
        return None
    if sort == NEWEST:
        return Permit(pk=pk)
    return Permit.objects.filter(company=company, pk=pk).first()


def _first_ids(branches: Sequence[PermitQuerySet], rows: int) -> set[int]:
    """Return the ids of the first rows of each ordered branch, by one statement."""
    return set(_union([branch.values("pk")[:rows] for branch in branches]))


def _union(ids: Sequence[Any]) -> Any:
    """Join limited queries of ids: each is limited in a query of its own, since SQLite takes no limit within a union."""
    apart = [Permit.objects.order_by().filter(pk__in=one).values_list("pk", flat=True) for one in ids]
    return apart[0].union(*apart[1:], all=True) if len(apart) > 1 else apart[0]


def _load(ids: Collection[int]) -> list[Permit]:
    return list(Permit.objects.select_related("location").filter(pk__in=ids))


def _in_order_of_search(permits: Iterable[Permit], text: str) -> list[Permit]:
    """Put plates that begin with it first, then those that hold it, then units, then external ids, each in its own order."""
    plate, upper = normalise_plate(text), tidy(text).upper()

    def place(permit: Permit) -> tuple[int, str, int]:
        if plate and plate in permit.plate:
            return int(not permit.plate.startswith(plate)), permit.plate, permit.pk
        if permit.unit.upper().startswith(upper):
            return 2, permit.unit.upper(), permit.pk
        return 3, permit.external_id.upper(), permit.pk

    return sorted(permits, key=place)
