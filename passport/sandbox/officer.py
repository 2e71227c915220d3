"""The page that plays the officer: type a plate, see whether it may park here.

It shows what enforcement sees, not what is true: a session that is processed late is not there yet. Plates are sent by
POST, so that they stay out of URLs and logs.
"""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .formats import plate_key
from .pages import page, read_fields
from .problems import Problem
from .simulator import Simulator
from .zones import Operator, Zone

PATH = "/"
_PLATE_CHARS = 20
_ZONE_CHARS = 40


class OfficerPage:
    """The form, and below it what enforcement sees for the plate that was posted."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        return [Route(PATH, self.show), Route(PATH, self.look_up, methods=["POST"])]

    async def show(self, _request: Request) -> Response:
        """The empty form."""
        with self.simulator.lock:
            return self._page({})

    async def look_up(self, request: Request) -> Response:
        """The form again, with the result or with what is wrong."""
        fields: dict[str, str] = {}
        simulator = self.simulator
        try:
            fields = await read_fields(request)
            with simulator.lock:
                return self._page(
                    fields, result=self._result(fields, simulator.clock(request.state.wire.now()))
                )
        except Problem as problem:
            with simulator.lock:
                return self._page(fields, problem=problem, status=problem.status)

    def _page(self, fields: dict[str, str], *, status: int = 200, **values: Any) -> Response:
        values = {"result": None, "problem": None, **values}
        operators = self.simulator.directory.operators.values()
        limits = {"plate_chars": _PLATE_CHARS, "zone_chars": _ZONE_CHARS}
        return page(
            "officer.html", status=status, path=PATH, fields=fields, operators=operators, **limits, **values
        )

    def _result(self, fields: dict[str, str], now: datetime) -> dict[str, Any]:
        """The rights in the zone that was asked for, those that are valid first, and those elsewhere."""
        operator = self.simulator.directory.operators.get(fields.get("operator", "").lower())
        if operator is None:
            raise Problem(400, "validation_error", "Choose an operator from the list.", field="operator")
        plate = _plate(fields.get("plate", ""))
        zone = _zone(operator, fields.get("zone", ""))
        rights = sorted(
            self.simulator.sessions.visible(operator.id, now, plate=plate), key=lambda right: right.start
        )
        here = [right for right in rights if zone is None or right.zone_id == zone.id]
        return {
            "now": now,
            "operator": operator,
            "plate": plate.upper(),
            "zone": zone,
            "here": here,
            "elsewhere": [right for right in rights if zone is not None and right.zone_id != zone.id],
            "valid": any(right.start <= now for right in here),
            "zones": {**operator.gone, **operator.zones},
        }


def _plate(plate: str) -> str:
    if not plate_key(plate):
        raise Problem(400, "validation_error", "Type the plate as it is on the car.", field="plate")
    if len(plate) > _PLATE_CHARS:
        raise Problem(
            400, "validation_error", f"A plate has at most {_PLATE_CHARS} characters.", field="plate"
        )
    return plate


def _zone(operator: Operator, number: str) -> Zone | None:
    if not number:
        return None
    number = number.partition(" · ")[0].strip()
    zones = operator.zones.values()
    for zone in zones:
        if zone.number == number:
            return zone
    near = [zone.number for zone in zones if zone.number.casefold() == number.casefold()]
    hint = f" Capitals count: there is {' and '.join(near)}." if near else ""
    raise Problem(
        400, "validation_error", f"{operator.name} has no zone {number[:_ZONE_CHARS]}.{hint}", field="zone"
    )
