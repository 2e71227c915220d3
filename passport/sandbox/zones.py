"""Operators and their zones: which exist, whose they are, and which operator has authorised the partner.

Invariants: a zone belongs to exactly one operator; ids are compared in lower case, zone numbers character by character. A
zone that is removed is remembered: sessions that run in it can still be extended and stopped, but none is started.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson

from .formats import check_id, is_uuid
from .problems import Problem

DEFAULT_ZONES_FILE = Path(__file__).with_name("data") / "passport_zones.json"

_NUMBER_PARTS = re.compile(r"(\d+)")


class Zone:
    """One zone: the raw document as it is answered, and the few fields that rules ask for."""

    __slots__ = ("id", "is_space", "name", "number", "operator_id", "raw", "spaces")

    def __init__(self, raw: Mapping[str, Any], operator_id: str) -> None:
        zone_id, number, name = raw.get("id"), raw.get("number"), raw.get("name")
        if not isinstance(zone_id, str) or not is_uuid(zone_id):
            raise ValueError(f"a zone's id must be a UUID, not {zone_id!r}")
        if not isinstance(number, str) or not isinstance(name, str):
            raise ValueError(f"zone {zone_id}: number and name must be strings")
        self.id = zone_id.lower()
        self.operator_id = operator_id
        self.number = number
        self.name = name
        self.is_space = raw.get("session_type") == "space"
        spaces = raw.get("spaces")
        self.spaces = frozenset(str(space) for space in spaces) if isinstance(spaces, list) else frozenset()
        self.raw = {**raw, "id": self.id, "operator_id": operator_id}


class Operator:
    """One operator and its zones by id; `gone` holds those that were taken away."""

    __slots__ = ("authorised", "gone", "id", "name", "zones")

    def __init__(self, operator_id: str, name: str, *, authorised: bool = True) -> None:
        self.id = operator_id
        self.name = name
        self.authorised = authorised
        self.zones: dict[str, Zone] = {}
        self.gone: dict[str, Zone] = {}

    def put(self, raw: Mapping[str, Any]) -> Zone:
        """Add a zone, or replace the one with the same id."""
        zone = Zone(raw, self.id)
        self.gone.pop(zone.id, None)
        self.zones[zone.id] = zone
        return zone

    def take_away(self, zone_id: str) -> bool:
        """Remove a zone from what is answered; False if there is none of that id."""
        zone = self.zones.pop(zone_id.lower(), None)
        if zone is not None:
            self.gone[zone.id] = zone
        return zone is not None

    def zone_by_external_id(self, external_id: str) -> Zone | None:
        """The zone whose raw document carries this `external_id` (an extension of the sandbox's own data)."""
        for zone in self.zones.values():
            if zone.raw.get("external_id") == external_id:
                return zone
        return None

    def sorted_zones(self) -> list[Zone]:
        """Zones by number as a person would order them: Z2 before Z10."""
        return sorted(self.zones.values(), key=lambda zone: _natural(zone.number))

    def summary(self) -> dict[str, Any]:
        return {
            "operator_id": self.id,
            "name": self.name,
            "authorised": self.authorised,
            "zones": len(self.zones),
        }


class Directory:
    """All operators. `changes` is the list of edits since the zones file was read, for the journal."""

    def __init__(self) -> None:
        self.operators: dict[str, Operator] = {}
        self.changes: list[dict[str, Any]] = []

    @classmethod
    def from_file(cls, path: Path) -> "Directory":
        """Read ``{"operators": [{"operator_id", "name", "zones": [...]}]}``; ValueError says what is wrong."""
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, dict) or not isinstance(document.get("operators"), list):
            raise ValueError(f'{path}: expected an object with a list "operators"')
        directory = cls()
        for entry in document["operators"]:
            directory.add(entry["operator_id"], entry.get("name", ""), entry.get("zones", ()))
        return directory

    def add(
        self,
        operator_id: str,
        name: str = "",
        zones: Iterable[Mapping[str, Any]] = (),
        *,
        authorised: bool = True,
    ) -> Operator:
        """Add an operator, or replace it with all of its zones."""
        if not is_uuid(operator_id):
            raise ValueError(f"an operator's id must be a UUID, not {operator_id!r}")
        operator = Operator(operator_id.lower(), name, authorised=authorised)
        for raw in zones:
            operator.put(raw)
        self.operators[operator.id] = operator
        return operator

    def require(self, operator_id: object) -> Operator:
        """The operator, if it exists and has authorised the partner; ids are in lower case, as all clients send them.

        An unknown one is 404 and one that has not authorised the partner 403 (the codes are documented, which of
        them an unknown operator gets is assumed).
        """
        operator = self.operators.get(check_id("operator_id", operator_id))
        if operator is None:
            raise Problem(404, "operator_not_found", f"There is no operator {operator_id}.")
        if not operator.authorised:
            raise Problem(
                403,
                "operator_not_authorized",
                f"Operator {operator.id} has not authorised this partner.",
                operator_id=operator.id,
            )
        return operator

    def change(self, edit: Mapping[str, Any]) -> Operator:
        """Apply one edit and remember it: the control API and the journal both come through here.

        ``{"do": "operator", "operator_id", "name"?, "authorised"?, "zones"?}`` adds or changes an operator,
        ``{"do": "zone", "operator_id", "zone": {...}}`` adds or replaces a zone,
        ``{"do": "zone_gone", "operator_id", "zone_id"}`` takes one away. KeyError if what it names is not there,
        ValueError if it is not well formed.
        """
        action = edit["do"]
        operator_id = str(edit["operator_id"]).lower()
        operator = self.operators.get(operator_id)
        if action == "operator":
            if operator is None:
                operator = self.add(operator_id, str(edit.get("name", "")))
            zones = edit.get("zones")
            if zones is not None:
                fresh = {zone.id: zone for zone in (Zone(raw, operator.id) for raw in zones)}
                operator.gone.update({k: zone for k, zone in operator.zones.items() if k not in fresh})
                operator.zones = fresh
            operator.name = str(edit.get("name", operator.name))
            operator.authorised = bool(edit.get("authorised", operator.authorised))
        elif operator is None:
            raise KeyError(f"there is no operator {operator_id}")
        elif action == "zone":
            operator.put(edit["zone"])
        elif action == "zone_gone":
            if not operator.take_away(str(edit["zone_id"])):
                raise KeyError(f"operator {operator_id} has no zone {edit['zone_id']}")
        else:
            raise ValueError(f"unknown edit {action!r}")
        self.changes.append(dict(edit))
        return operator


def _natural(number: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(part), part) if part.isdecimal() else (1, 0, part) for part in _NUMBER_PARTS.split(number)
    ]
