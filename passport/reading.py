"""Reading what Passport lists: zones and parking rights, strict where identity is at stake and tolerant elsewhere. Pure.

Observed (docs/passport-api.md, Z3): only a zone's `id`, `number`, `name` and `operator_id` are always present; anything
else may be missing, null or new. An entry whose identity can't be read makes the whole answer unreadable: half a list
must never be taken for a complete one.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations.vendors.protocol import RightSeen, ZoneSeen
from passport.problems import unreadable


def _text(value: Any) -> str:
    """Return a string unchanged, an integer as digits, and anything else as an empty string."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _time(value: Any) -> datetime | None:
    """Return an aware time in UTC; None for anything else, and at the edges of the calendar.

    A time without an offset is none: it may be UTC or the zone's own, hours apart (assumed: F5).
    """
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        return at.astimezone(UTC) if at is not None and at.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def zones(entries: Sequence[Any], *, operator_id: str) -> list[ZoneSeen]:
    """Return the zones of `operator_id`; raise `TryLater` if one has no readable identity.

    Zones of another operator, should the list contain any, are left out: they don't belong to this company.
    """
    seen: dict[str, ZoneSeen] = {}
    for entry in entries:
        remote_id = _text(entry.get("id")).strip() if isinstance(entry, dict) else ""
        number = _text(entry.get("number")) if remote_id else ""
        if not number:
            raise unreadable(_("Passport's list of zones could not be read."), status=200, trace_id="")
        owner = _text(entry.get("operator_id")).lower()
        if owner and owner != operator_id.lower():
            continue
        seen[remote_id] = ZoneSeen(
            remote_id=remote_id,
            number=number,
            name=_text(entry.get("name")),
            session_type=_text(entry.get("session_type")),
            raw=entry,
        )
    return list(seen.values())


def rights(entries: Sequence[Any]) -> list[RightSeen]:
    """Return the parking rights; an entry that is not a document makes the answer unreadable."""
    return [right(entry) for entry in entries]


def right(entry: Any, *, keep_raw: bool = True) -> RightSeen:
    """Return one parking right; raise `TryLater` if it is not a document.

    One whose `end_time` is left out or null has no end (assumed: R7). One whose times can't be read says so.
    """
    if not isinstance(entry, dict):
        raise unreadable(_("Passport's list of parking rights could not be read."), status=200, trace_id="")
    vehicle = entry.get("vehicle")
    vehicle = vehicle if isinstance(vehicle, dict) else {}
    start, end = _time(entry.get("start_time")), _time(entry.get("end_time"))
    return RightSeen(
        remote_id=_text(entry.get("id")),
        zone_id=_text(entry.get("zone_id")),
        plate=_text(vehicle.get("vehicle_plate")),
        subdivision=_text(vehicle.get("vehicle_state")),
        start=start,
        end=end,
        space_number=_text(entry.get("space_number")),
        reference=_text(entry.get("reference_id")),
        raw=entry if keep_raw else {},
        kind=_text(entry.get("type")),
        country=_text(vehicle.get("vehicle_country")),
        unreadable=tuple(
            name
            for name, at in (("start", start), ("end", end))
            if at is None and entry.get(f"{name}_time") is not None
        ),
    )
