"""The control API under ``/sandbox/``: JSON in, JSON out, without a token. :meth:`Control.routes` lists every path.

A wrong request is 400 with ``{"error": …}``, an unknown thing 404. A browser's request from another site is refused:
the sandbox may run on the same machine as a person's browser.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import checks
from .answers import Json, read_body
from .checks import Problem
from .sessions import Session, foreign_session, read_changes
from .simulator import Simulator
from .zones import Operator

PREFIX = "/sandbox"


@dataclass(frozen=True, slots=True)
class Ask:
    """One control request: its path's, query's and body's values, and when it arrived."""

    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    now: datetime


Answer = Callable[[Ask], Any]
_Thing = TypeVar("_Thing")


class Control:
    """Reads and changes `simulator`."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        """All paths, without their prefix."""
        simulator = self.simulator
        operator, zones = "/operators/{operator_id}", "/operators/{operator_id}/zones"
        table: list[tuple[str, str, int, Answer]] = [
            ("GET", "/health", 200, lambda _ask: {"status": "ok"}),
            ("GET", "/state", 200, self.state),
            ("GET", "/requests", 200, self.requests),
            ("GET", "/sessions", 200, self.sessions),
            ("PATCH", "/sessions/{session_id:path}", 200, self.drift),
            ("DELETE", "/sessions/{session_id:path}", 200, self.lose_session),
            ("GET", "/rights", 200, self.rights),
            ("POST", "/rights", 201, self.add_foreign_rights),
            ("GET", "/faults", 200, lambda _ask: {"data": simulator.faults.faults}),
            ("POST", "/faults", 201, lambda ask: simulator.faults.add(ask.body)),
            ("DELETE", "/faults", 200, lambda _ask: {"cleared": simulator.faults.clear()}),
            ("DELETE", "/faults/{fault_id:int}", 200, self.clear_fault),
            ("GET", "/settings", 200, lambda _ask: simulator.options),
            ("PATCH", "/settings", 200, lambda ask: simulator.change_options(ask.body)),
            ("GET", "/operators", 200, lambda _ask: {"data": simulator.directory.summaries()}),
            ("POST", "/operators", 201, lambda ask: self._edit(ask.body["operator_id"], ask.body)),
            ("PATCH", operator, 200, lambda ask: self._edit(self._operator(ask.path).id, ask.body)),
            ("GET", zones, 200, lambda ask: {"data": list(self._operator(ask.path).zones.values())}),
            ("POST", zones, 201, lambda ask: self._put_zone(self._operator(ask.path), ask.body)),
            ("PATCH", zones + "/{zone_id}", 200, self.change_zone),
            ("DELETE", zones + "/{zone_id}", 200, self.take_zone_away),
            ("POST", "/tokens/expire", 200, lambda _ask: {"expired": simulator.expire_tokens()}),
            ("POST", "/clock", 200, self.move_clock),
            ("POST", "/reset", 200, self.reset),
        ]
        return [
            Route(path, partial(self._answer, answer, status), methods=[method])
            for method, path, status, answer in table
        ]

    async def _answer(self, answer: Answer, status: int, request: Request) -> Response:
        if request.method != "GET" and request.headers.get("sec-fetch-site") == "cross-site":
            return Json({"error": "a page of another site may not control the sandbox"}, 403)
        body = await read_body(request)
        try:
            document = orjson.loads(body) if body.strip() else {}
            if not isinstance(document, dict):
                raise ValueError("the body must be an object")
            query = {name: value for name, value in request.query_params.items() if value}
            with self.simulator.lock:
                now = self.simulator.clock(request.state.wire.now())
                return Json(answer(Ask(request.path_params, query, document, now)), status)
        except KeyError as error:
            return Json({"error": f"{error.args[0]} is missing or unknown"}, 400)
        except (Problem, ValueError, TypeError, AttributeError) as error:
            return Json({"error": str(error)}, 400)

    # -- reading ---------------------------------------------------------------------------------------------------

    def state(self, ask: Ask) -> Any:
        """Operators, settings, faults, counters, breaches."""
        simulator = self.simulator
        operators = [
            {**operator, "rights": len(simulator.rights(ask.now, operator["operator_id"]))}
            for operator in simulator.directory.summaries()
        ]
        return {
            "now": ask.now,
            "clock_offset_s": simulator.clock_offset_s,
            "operators": operators,
            "settings": simulator.options,
            "faults": simulator.faults.faults,
            "sessions": len(simulator.sessions),
            "rights": sum(operator["rights"] for operator in operators),
            "doubled_rights": simulator.sessions.doubled(ask.now),
            "tokens": len(simulator.tokens.tokens),
            **simulator.traffic.summary(),
            "breach_examples": list(simulator.traffic.examples)[-20:],
        }

    def requests(self, ask: Ask) -> Any:
        """The last ``limit`` [100] requests, at most 500, newest last."""
        return {"data": list(self.simulator.traffic.requests)[-int(ask.query.get("limit", "100")) :]}

    def sessions(self, ask: Ask) -> Any:
        """Sessions with their event logs; of one ``session_id``, ``operator_id`` or ``plate``."""
        session_id, operator_id = ask.query.get("session_id"), ask.query.get("operator_id", "").lower()
        plate = checks.plate_key(ask.query.get("plate", ""))
        found = [
            session.dump(ask.now)
            for session in self.simulator.sessions.by_id.values()
            if session_id in (None, session.id)
            and operator_id in ("", session.operator_id)
            and plate in ("", checks.plate_key(session.vehicle_plate))
        ]
        return {"data": found}

    def rights(self, ask: Ask) -> Any:
        """What enforcement sees, of all operators or of one ``operator_id``."""
        rights = self.simulator.rights(ask.now, ask.query.get("operator_id"))
        return {"data": [session.right() for session in rights]}

    # -- changes that clients are not told of ----------------------------------------------------------------------

    def drift(self, ask: Ask) -> Any:
        """Change what is known of a session."""
        session, changes = self._session(ask), read_changes("", ask.body)
        self.simulator.sessions.forget(session.id)
        for name, value in changes.items():
            setattr(session, name, value)
        session.show()
        self.simulator.keep_session(session)
        return {"session_id": session.id, "end_time": session.end_time}

    def lose_session(self, ask: Ask) -> Any:
        """Forget a session as if it had never been sent."""
        session = self._session(ask)
        self.simulator.forget_session(session.id)
        return {"forgotten": session.id}

    def add_foreign_rights(self, ask: Ask) -> Any:
        """Rights that are not ours (a driver's own session, a resident's permit), in the fields of the rights' list.

        With a `reference_id`, that is the right's id here too. `count` [1] adds that many, with numbers after their plates.
        """
        sessions, body, count = self.simulator.sessions, ask.body, int(ask.body.get("count", 1))
        operator, vehicle = self._operator(body), dict(body["vehicle"])
        name = str(body.get("session_id") or body.get("reference_id") or f"driver-{len(sessions) + 1}")
        added = []
        for number in range(count):
            session_id = f"{name}-{number}" if count > 1 else name
            if session_id in sessions.by_id:
                raise ValueError(f"there is a session {session_id} already")
            if count > 1:
                vehicle["vehicle_plate"] = f"{body['vehicle']['vehicle_plate']}{number}"
            document = {**body, "operator_id": operator.id, "vehicle": vehicle}
            added.append(foreign_session(document, session_id, ask.now))
        for session in added:
            self.simulator.keep_session(session)
        return added[0].right() if count == 1 else {"added": count}

    # -- faults and the clock ------------------------------------------------------------------------------------

    def clear_fault(self, ask: Ask) -> Any:
        """Switch one fault off."""
        if not self.simulator.faults.clear(int(ask.path["fault_id"])):
            raise HTTPException(404, f"there is no fault {ask.path['fault_id']}")
        return {"cleared": 1}

    def move_clock(self, ask: Ask) -> Any:
        """``{"offset_s": 3600}`` sets the sandbox's clock an hour ahead."""
        self.simulator.move_clock(float(ask.body["offset_s"]))
        return {"offset_s": self.simulator.clock_offset_s}

    def reset(self, _ask: Ask) -> Any:
        """Start over."""
        self.simulator.reset()
        return {"reset": True}

    # -- operators and zones -------------------------------------------------------------------------------------

    def change_zone(self, ask: Ask) -> Any:
        """Change a zone; one that was removed comes back."""
        operator = self._operator(ask.path)
        zone = _find({**operator.gone, **operator.zones}, ask.path["zone_id"].lower(), "zone")
        return self._put_zone(operator, {**zone, **ask.body, "id": zone["id"]})

    def take_zone_away(self, ask: Ask) -> Any:
        """Remove a zone from the list."""
        operator = self._operator(ask.path)
        zone = _find(operator.zones, ask.path["zone_id"].lower(), "zone")
        self.simulator.change_directory({"operator_id": operator.id, "zone_id": zone["id"]})
        return {"gone": zone["id"]}

    def _edit(self, operator_id: Any, edit: dict[str, Any]) -> Any:
        """Add or change an operator: ``{"operator_id", "name", "zones": […], "authorised"}``."""
        operator_id = checks.uuid_in_any_case("operator_id", operator_id)
        self.simulator.change_directory({**edit, "operator_id": operator_id})
        return self.simulator.directory.operators[operator_id].summary()

    def _put_zone(self, operator: Operator, raw: dict[str, Any]) -> Any:
        self.simulator.change_directory({"operator_id": operator.id, "zone": raw})
        return operator.zones[raw["id"].lower()]

    def _operator(self, named: dict[str, Any]) -> Operator:
        return _find(self.simulator.directory.operators, str(named["operator_id"]).lower(), "operator")

    def _session(self, ask: Ask) -> Session:
        return _find(self.simulator.sessions.by_id, ask.path["session_id"], "session")


def _find(things: Mapping[str, _Thing], key: str, kind: str) -> _Thing:
    """The thing that a path names; 404 if there is none."""
    if key not in things:
        raise HTTPException(404, f"there is no {kind} {key}")
    return things[key]
