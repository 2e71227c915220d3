"""What is kept of a pull and shown to people: what was found, with the locations and permits that each zone affects."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Count

from integrations.models import Connection, ZoneMapping
from integrations.zones.diff import KINDS, SILENT_FIELDS, Change, Diff, ZoneListing
from locations.models import Permit

# The history names so many zones of each kind, those that a location is mapped to first; the counts are of all.
NAMED_PER_KIND = 200


class ZoneLocations:
    """The locations that a pull affects, by zone, with the number of their permits that have not ended.

    Permits are counted for these locations alone: a pull that finds nothing counts none, however many there are.
    """

    def __init__(self, connection: Connection, found: Diff, now: datetime) -> None:
        concerned = {
            change.known.pk for kind in KINDS for change in found.of(kind) if change.known is not None
        }
        mapped = ZoneMapping.objects.filter(zone__connection=connection).order_by("location__name")
        rows = mapped.values_list("zone_id", "location_id", "location__name") if concerned else []
        affected = [row for row in rows if row[0] in concerned]
        counts = _permits_of({location for _, location, _ in affected}, now)
        self.by_zone: dict[int, list[dict[str, Any]]] = {}
        for zone, pk, name in affected:
            self.by_zone.setdefault(zone, []).append({"id": pk, "name": name, "permits": counts.get(pk, 0)})

    def of(self, change: Change) -> list[dict[str, Any]]:
        """Return the locations that a change affects."""
        return self.by_zone.get(change.known.pk, []) if change.known else []


def _permits_of(locations: set[int], now: datetime) -> dict[int, int]:
    if not locations:
        return {}
    permits = Permit.objects.real().not_ended(now).filter(location__in=locations)
    return dict(permits.values_list("location").annotate(Count("pk")).order_by())


def document(
    found: Diff, listing: ZoneListing, places: ZoneLocations, ids: Mapping[str, int]
) -> dict[str, Any]:
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


def _entry(change: Change, places: ZoneLocations, ids: Mapping[str, int]) -> dict[str, Any]:
    now = change.seen or change.known
    assert now is not None
    entry: dict[str, Any] = {"zone": ids.get(now.remote_id), "number": now.number, "name": now.name}
    if change.known is not None and change.seen is not None:
        entry["was"] = {"number": change.known.number, "name": change.known.name}
        entry["fields"] = [name for name in change.fields if name not in SILENT_FIELDS]
    if affected := places.of(change):
        entry["locations"] = affected
    return entry
