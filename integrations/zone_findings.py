"""What is kept of a pull and shown to people: what was found, with the locations and permits that each zone affects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from integrations.models import Connection, ZoneMapping
from integrations.zone_diff import KINDS, SILENT_FIELDS, Change, Diff, Listing
from locations.models import Permit

# The history names so many zones of each kind, those that a location is mapped to first; the counts are of all.
NAMED_PER_KIND = 200


class Places:
    """The locations of a connection by zone, with the number of their permits that have not ended."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        not_ended = Q(
            location__permits__status=Permit.Status.ACTIVE,
            location__permits__end__gt=now,
            location__permits__is_test=False,
        )
        self.by_zone: dict[int, list[dict[str, Any]]] = {}
        mapped = ZoneMapping.objects.filter(zone__connection=connection)
        rows = mapped.annotate(permits=Count("location__permits", filter=not_ended)).order_by(
            "location__name"
        )
        for zone, pk, name, permits in rows.values_list(
            "zone_id", "location_id", "location__name", "permits"
        ):
            self.by_zone.setdefault(zone, []).append({"id": pk, "name": name, "permits": permits})

    def of(self, change: Change) -> list[dict[str, Any]]:
        """Return the locations that a change affects."""
        return self.by_zone.get(change.known.pk, []) if change.known else []


def document(found: Diff, listing: Listing, places: Places, ids: Mapping[str, int]) -> dict[str, Any]:
    """Return what is kept of a pull; see `integrations.models.ZoneRefresh`."""
    result: dict[str, Any] = {
        "counts": {kind: len(found.of(kind)) for kind in KINDS},
        "ignored": listing.ignored,
    }
    for kind in KINDS:
        # Those that a location is mapped to come first, so that none of them falls behind the limit.
        changes = sorted(found.of(kind), key=lambda change: not places.of(change))
        result[kind] = [_entry(change, places, ids) for change in changes[:NAMED_PER_KIND]]
    return result


def _entry(change: Change, places: Places, ids: Mapping[str, int]) -> dict[str, Any]:
    now = change.seen or change.known
    assert now is not None
    entry: dict[str, Any] = {"zone": ids.get(now.remote_id), "number": now.number, "name": now.name}
    if change.known is not None and change.seen is not None:
        entry["was"] = {"number": change.known.number, "name": change.known.name}
        entry["fields"] = [name for name in change.fields if name not in SILENT_FIELDS]
    if affected := places.of(change):
        entry["locations"] = affected
    return entry
