"""Operators and their zones: which exist, who they belong to, and which operator has authorised the partner.

Invariants: a zone belongs to exactly one operator; ids are compared in lower case, zone numbers character by character. A
zone that is removed is remembered: sessions that run in it can still be extended and stopped, but none is started.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from .checks import Problem, is_uuid, uuid

DEFAULT_ZONES_FILE = Path(__file__).with_name("data") / "passport_zones.json"


Zone = dict[str, Any]


def read_zone(raw: Mapping[str, Any], operator_id: str) -> Zone:
    """A zone's document as it is returned; ValueError says what is wrong with it."""
    zone_id, number, name = raw.get("id"), raw.get("number"), raw.get("name")
    if not isinstance(zone_id, str) or not is_uuid(zone_id):
        raise ValueError(f"a zone's id must be a UUID, not {zone_id!r}")
    if not isinstance(number, str) or not isinstance(name, str):
        raise ValueError(f"zone {zone_id}: number and name must be strings")
    return {**raw, "id": zone_id.lower(), "operator_id": operator_id}


@dataclass(slots=True)
class Operator:
    """One operator and its zones by id; `gone` holds those that were removed."""

    id: str
    name: str = ""
    authorised: bool = True
    zones: dict[str, Zone] = field(default_factory=dict)
    gone: dict[str, Zone] = field(default_factory=dict)

    def sorted_zones(self) -> list[Zone]:
        """Zones by number, short ones first: Z2 before Z10."""
        return sorted(self.zones.values(), key=lambda zone: (len(zone["number"]), zone["number"]))

    def summary(self) -> dict[str, Any]:
        """What the control API says of it."""
        counted = {"authorised": self.authorised, "zones": len(self.zones)}
        return {"operator_id": self.id, "name": self.name, **counted}


class Directory:
    """All operators. `changes` is the list of edits since the zones file was read, for the journal."""

    def __init__(self, path: Path) -> None:
        """Read ``{"operators": [{"operator_id", "name", "zones": [...]}]}``; ValueError says what is wrong."""
        document = orjson.loads(path.read_bytes())
        if not isinstance(document, dict) or not isinstance(document.get("operators"), list):
            raise ValueError(f'{path}: expected an object with a list "operators"')
        self.operators: dict[str, Operator] = {}
        self.changes: list[dict[str, Any]] = []
        for entry in document["operators"]:
            self.change(entry)
        self.changes.clear()

    def summaries(self) -> list[dict[str, Any]]:
        """What the control API says of the operators."""
        return [operator.summary() for operator in self.operators.values()]

    def require(self, operator_id: object) -> Operator:
        """The operator, if it exists and has authorised the partner; ids are in lower case, as all clients send them.

        An unknown one is 404 and one that has not authorised the partner 403 (the codes are documented, which of
        them an unknown operator gets is assumed).
        """
        operator = self.operators.get(uuid("operator_id", operator_id))
        if operator is None:
            raise Problem(404, "operator_not_found", f"There is no operator {operator_id}.")
        if not operator.authorised:
            detail = f"Operator {operator.id} has not authorised this partner."
            raise Problem(403, "operator_not_authorized", detail, operator_id=operator.id)
        return operator

    def change(self, edit: Mapping[str, Any]) -> None:
        """Apply one edit and remember it: the zones file, the control API and the journal all come through here.

        ``{"operator_id", "name"?, "authorised"?, "zones"?, "zone"?, "zone_id"?}``: `zones` replaces all zones of the
        operator, who is added if need be, `zone` adds or replaces one, `zone_id` is the one that is taken away.
        ValueError or KeyError if it is not well formed; nothing has changed then.
        """
        unknown = edit.keys() - {"do", "operator_id", "name", "authorised", "zones", "zone", "zone_id"}
        if unknown:
            raise ValueError(f"an operator has no {', '.join(sorted(unknown))}")
        operator_id = edit["operator_id"]
        if not is_uuid(operator_id):
            raise ValueError(f"an operator's id must be a UUID, not {operator_id!r}")
        operator = self.operators.get(operator_id.lower()) or Operator(operator_id.lower())
        raws = edit.get("zones", [edit["zone"]] if "zone" in edit else [])
        fresh = {zone["id"]: zone for zone in (read_zone(raw, operator.id) for raw in raws)}
        gone = list(operator.zones) if "zones" in edit else [edit["zone_id"]] if "zone_id" in edit else []
        for zone_id in gone:
            operator.gone[zone_id] = operator.zones.pop(zone_id)
        operator.zones.update(fresh)
        operator.name = str(edit.get("name", operator.name))
        operator.authorised = bool(edit.get("authorised", operator.authorised))
        self.operators[operator.id] = operator
        self.changes.append(dict(edit))
