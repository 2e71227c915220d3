"""When two descriptions of a parking right say the same: one key each for its plate, its region and its zone. Pure.

A vendor may write the same plate as `abc-123`, the same state as `NC`, and the same zone's UUID in capitals. Everything that
compares a right with a permit goes by these keys: the comparison with what enforcement lists, the look-up of one permit, test
plates, and "is it valid?".

| part | two are the same where |
|---|---|
| plate | they differ by case, blanks, hyphens or dots alone |
| region | the table of codes (`locations.regions`) says so, or their countries where no state issued the plate |
| zone | they are the same text, or the same UUID in any case |
| start, end | they are less than `SAME_MOMENT` apart; a right without an end goes on where ours ends |
| space | they are the same text in any case |

What else a right leaves out, and a region that the table does not know, can't contradict anything: the vendor may leave
fields out of its list. Nor does a start that both have passed: it changes nothing that an officer could see, now or later. A
time that can't be read (`RightSeen.unreadable`) contradicts nothing either, but such a right is not the same: whoever
compares has to say that it could not be compared.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from integrations.vendors.protocol import RightSeen
from locations.plates import normalise_plate
from locations.regions import find_subdivision

# Vendors may round to whole minutes.
SAME_MOMENT = timedelta(seconds=60)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@lru_cache(maxsize=4_096)
def zone_key(remote_id: str) -> str:
    """Return the key of a zone's id: a UUID in lower case, anything else as it is."""
    return remote_id.lower() if _UUID.fullmatch(remote_id) else remote_id


def plate_key(plate: str) -> str:
    """Return the key of a plate: upper case without blanks, hyphens and dots."""
    return normalise_plate(plate)


@lru_cache(maxsize=1_024)
def region_key(subdivision: str, country: str = "") -> str:
    """Return the key of a region (`US-NC`), or an empty text where the code is not known and so can't be compared."""
    return find_subdivision(subdivision, country)


def same_plate(one: str, other: str) -> bool:
    """Whether two plates are the same."""
    return one == other or plate_key(one) == plate_key(other)


def same_zone(one: str, other: str) -> bool:
    """Whether two ids stand for the same zone."""
    return one == other or zone_key(one) == zone_key(other)


def may_be_same_region(one: str, other: str, *, country: str = "") -> bool:
    """Whether two regions are the same, or one of them is not known; `country` belongs to the second."""
    first, second = region_key(one), region_key(other, country)
    return not first or not second or first == second


def differences(known: dict[str, Any], right: RightSeen, *, at: datetime) -> tuple[str, ...]:
    """Return the keys of `known` (a `RemoteState`) that the right contradicts at `at`; see the module's table."""
    found = []
    zone_id, plate, subdivision = (known.get(name, "") for name in ("zone_id", "plate", "subdivision"))
    if right.zone_id and zone_id and not same_zone(right.zone_id, zone_id):
        found.append("zone_id")
    if right.plate and plate and not same_plate(right.plate, plate):
        found.append("plate")
    if not _may_be_from(subdivision, known.get("country", ""), right):
        found.append("subdivision")
    start, end = _moment(known, "start"), _moment(known, "end")
    if _differ(right.start, start) and max(right.start or at, start or at) > at:
        found.append("start")
    if _differ(right.end, end) or (right.end is None and end is not None and "end" not in right.unreadable):
        found.append("end")
    space = known.get("space", "").strip().upper()
    if space and right.space_number and right.space_number.strip().upper() != space:
        found.append("space")
    return tuple(found)


def _may_be_from(subdivision: str, country: str, right: RightSeen) -> bool:
    """Whether a right's plate may come from this state, or from this country where no state issued it."""
    if subdivision or not country:
        return not right.subdivision or may_be_same_region(
            subdivision, right.subdivision, country=right.country
        )
    seen = region_key(right.subdivision, right.country)[:2] or right.country
    return not seen or seen == country


def is_wholly(known: dict[str, Any], right: RightSeen, *, at: datetime) -> bool:
    """Whether a right without a reference is the one that is known: all parts are there, and they say the same.

    Half a match is somebody else's: the same plate may hold a residential permit or a meter session in the same zone.
    """
    if not right.zone_id or not right.plate or right.end is None:
        return False
    start = _moment(known, "start")
    if right.start is None or start is None or _differ(right.start, start):
        return False
    return not differences(known, right, at=at)


def _moment(known: dict[str, Any], name: str) -> datetime | None:
    text = known.get(name)
    return datetime.fromisoformat(text) if text else None


def _differ(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and abs(one - other) >= SAME_MOMENT


def region_form(text: str) -> str:
    """Return in which form a region is written: `iso` (`US-NC`), `short` (`NC`), or an empty text for neither."""
    if not find_subdivision(text):
        return ""
    return "iso" if "-" in text else "short"
