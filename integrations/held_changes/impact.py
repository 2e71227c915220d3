"""What a change would do to the rights that a connection holds, and whether that is too much to happen unasked.

The same measure for every way in which many rights can change at once: a refresh of zones, mapping locations, a
comparison with enforcement, an import. A right is *removed* if it ends and nothing takes its place, and *replaced* if it
ends because another is started in its stead: a refused replacement leaves the vehicle without any.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import Connection, PermitSync

# So many permits are named in a preview.
EXAMPLES = 10
# A change that a person accepted may have grown by this share until it is made.
GROWTH = 0.1


@dataclass(frozen=True, slots=True)
class Impact:
    """How many rights a change would remove and replace, of how many; `examples` are ids of permits concerned."""

    removed: int
    replaced: int
    total: int
    examples: Sequence[int] = ()

    @property
    def affected(self) -> int:
        """How many rights end."""
        return self.removed + self.replaced

    @property
    def is_too_much(self) -> bool:
        """Whether a person has to see this first: more rights than both the number and the share of the settings."""
        rights: int = settings.HELD_CHANGE_RIGHTS
        share: float = settings.HELD_CHANGE_SHARE
        return self.affected > max(rights, share * self.total)

    @property
    def words(self) -> str:
        """One sentence: *120 of 400 parking rights would be removed, and 30 replaced.*"""
        shares = []
        if self.removed:
            shares.append(
                ngettext("%(n)s would be removed", "%(n)s would be removed", self.removed)
                % {"n": f"{self.removed:,}"}
            )
        if self.replaced:
            shares.append(
                ngettext("%(n)s would be replaced", "%(n)s would be replaced", self.replaced)
                % {"n": f"{self.replaced:,}"}
            )
        total = ngettext(
            "Of %(n)s parking right, %(what)s.", "Of %(n)s parking rights, %(what)s.", self.total
        )
        return total % {"n": f"{self.total:,}", "what": _(" and ").join(shares) or _("none would change")}

    def covers(self, other: "Impact") -> bool:
        """Whether someone who accepted this has accepted `other` too: it removes and affects hardly more."""
        most = 1 + GROWTH
        return other.removed <= self.removed * most and other.affected <= self.affected * most


def count_rights(connection: Connection, now: datetime) -> int:
    """Return how many rights of real permits a connection holds that have not ended; the total of an `Impact`."""
    return connection.permit_syncs.real().filter(remote_until__gt=now).count()


def impact_of_moves(
    connection: Connection, locations: Iterable[int], *, stays: Iterable[int], now: datetime
) -> Impact:
    """Return what sending these locations elsewhere does to the rights on `connection`.

    Those of the locations in `stays` are replaced by rights in another zone of the same connection; the others are
    removed from it.
    """
    places, staying = set(locations), set(stays)
    held = PermitSync.objects.real().filter(
        connection=connection, remote_until__gt=now, permit__location__in=places
    )
    counted: dict[int, int] = {}
    examples: list[int] = []
    for permit, location in held.order_by("pk").values_list("permit", "permit__location").iterator(2_000):
        counted[location] = counted.get(location, 0) + 1
        if len(examples) < EXAMPLES:
            examples.append(permit)
    replaced = sum(count for location, count in counted.items() if location in staying)
    return Impact(sum(counted.values()) - replaced, replaced, count_rights(connection, now), examples)


def as_document(impact: Impact) -> dict[str, Any]:
    """Return an impact as it is kept in a JSON column."""
    return {
        "removed": impact.removed,
        "replaced": impact.replaced,
        "total": impact.total,
        "examples": list(impact.examples),
    }


def from_document(document: Any) -> Impact | None:
    """Return the impact that `as_document` wrote, or None where there is none."""
    if not isinstance(document, dict):
        return None
    return Impact(document["removed"], document["replaced"], document["total"], tuple(document["examples"]))
