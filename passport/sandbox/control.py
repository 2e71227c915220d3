"""The control API under ``/sandbox/``: JSON in, JSON out, without a token.

=======================================================  ==================================================
``GET /sandbox/health``                                  ``{"status": "ok"}``
``GET /sandbox/state``                                   operators, settings, faults, counters, breaches
``GET /sandbox/requests?limit=``                         the last requests (at most 500), newest last
``GET /sandbox/sessions?operator_id=&plate=&session_id=``  sessions with their event logs
``GET /sandbox/rights?operator_id=``                     what enforcement sees, all operators or one
``GET /sandbox/faults``                                  the faults that are switched on
``POST /sandbox/faults``                                 switch one on: ``{"kind": "429", "times": 3, …}``
``DELETE /sandbox/faults`` and ``…/{id}``                switch all or one off
``GET``, ``PATCH /sandbox/settings``                     read or change settings (``options`` lists them)
``GET``, ``POST /sandbox/operators``                     list, or add one: ``{"operator_id", "name", "zones"}``
``PATCH /sandbox/operators/{id}``                        ``{"authorised": false}``, ``{"name": …}``, ``{"zones": […]}``
``GET``, ``POST /sandbox/operators/{id}/zones``          list, or add (or replace) one zone
``PATCH``, ``DELETE /sandbox/operators/{id}/zones/{id}``  rename or otherwise change a zone, take it away
``POST /sandbox/rights``                                 a right that is not ours (a driver's own session)
``PATCH``, ``DELETE /sandbox/sessions/{id}``             drift: ``{"end_time": …}``, ``{"stopped": true}``, or lose it
``POST /sandbox/tokens/expire``                          make all tokens worthless
``POST /sandbox/clock``                                  ``{"offset_s": 3600}``: the sandbox's clock, moved
``POST /sandbox/reset``                                  begin anew
=======================================================  ==================================================

A wrong request is 400 with ``{"error": …}``, an unknown thing 404. A browser's request from another site is refused:
the sandbox may run beside a person's browser.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .formats import format_time, is_uuid, parse_time, plate_key
from .problems import Problem
from .responses import Json, read_body
from .sessions import Session, foreign_session
from .simulator import Simulator
from .zones import Operator, Zone

PREFIX = "/sandbox"


@dataclass(frozen=True, slots=True)
class Ask:
    """One control request: what its path, its query and its body say, and when it came."""

    path: dict[str, str]
    query: dict[str, str]
    body: dict[str, Any]
    now: datetime


class _Missing(Exception):
    """The path names something that does not exist."""


class Control:
    """Reads and changes `simulator`. Each method answers one path with a document."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        """All paths, without their prefix."""
        operator, zones = "/operators/{operator_id}", "/operators/{operator_id}/zones"
        table: list[tuple[str, str, Callable[[Ask], Any], int]] = [
            ("GET", "/health", lambda _ask: {"status": "ok"}, 200),
            ("GET", "/state", self.state, 200),
            ("GET", "/requests", self.requests, 200),
            ("GET", "/sessions", self.sessions, 200),
            ("PATCH", "/sessions/{session_id:path}", self.drift, 200),
            ("DELETE", "/sessions/{session_id:path}", self.forget_session, 200),
            ("GET", "/rights", self.rights, 200),
            ("POST", "/rights", self.add_foreign_right, 201),
            ("GET", "/faults", self.faults, 200),
            ("POST", "/faults", self.add_fault, 201),
            ("DELETE", "/faults", lambda _ask: {"cleared": self.simulator.faults.clear()}, 200),
            ("DELETE", "/faults/{fault_id:int}", self.clear_fault, 200),
            ("GET", "/settings", lambda _ask: self.simulator.options.document(), 200),
            ("PATCH", "/settings", lambda ask: self.simulator.change_options(ask.body).document(), 200),
            ("GET", "/operators", self.operators, 200),
            ("POST", "/operators", self.add_operator, 201),
            ("PATCH", operator, self.change_operator, 200),
            ("GET", zones, self.zones, 200),
            ("POST", zones, self.put_zone, 201),
            ("PATCH", zones + "/{zone_id}", self.change_zone, 200),
            ("DELETE", zones + "/{zone_id}", self.take_zone_away, 200),
            ("POST", "/tokens/expire", lambda _ask: {"expired": self.simulator.expire_tokens()}, 200),
            ("POST", "/clock", self.move_clock, 200),
            ("POST", "/reset", self.reset, 200),
        ]
        return [
            Route(path, self._endpoint(answer, status), methods=[method])
            for method, path, answer, status in table
        ]

    def _endpoint(self, answer: Callable[[Ask], Any], status: int) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            if request.method != "GET" and request.headers.get("sec-fetch-site") == "cross-site":
                return Json({"error": "a page of another site may not steer the sandbox"}, 403)
            body = await read_body(request)
            simulator = self.simulator
            try:
                document = orjson.loads(body) if body.strip() else {}
                if not isinstance(document, dict):
                    raise ValueError("the body must be an object")
                with simulator.lock:
                    now = simulator.clock(request.state.wire.now())
                    query = {name: value for name, value in request.query_params.items() if value}
                    ask = Ask(request.path_params, query, document, now)
                    return Json(answer(ask), status)
            except _Missing as error:
                return Json({"error": str(error)}, 404)
            except Problem as problem:
                return Json({"error": problem.detail}, 400)
            except KeyError as error:
                return Json({"error": f"{error.args[0]} is missing or unknown"}, 400)
            except (ValueError, TypeError, AttributeError) as error:
                return Json({"error": str(error)}, 400)

        return endpoint

    # -- what it knows -------------------------------------------------------------------------------------------

    def state(self, ask: Ask) -> dict[str, Any]:
        simulator = self.simulator
        sessions = simulator.sessions
        operators = [
            {**operator.summary(), "rights": sum(1 for _ in sessions.visible(operator.id, ask.now))}
            for operator in simulator.directory.operators.values()
        ]
        return {
            "now": ask.now,
            "clock_offset_s": simulator.clock_offset_s,
            "operators": operators,
            "settings": simulator.options.document(),
            "faults": [fault.document() for fault in simulator.faults.faults],
            "sessions": len(sessions),
            "rights": sum(operator["rights"] for operator in operators),
            "doubled_rights": sessions.doubled(ask.now),
            "tokens": len(simulator.tokens.tokens),
            **simulator.traffic.summary(),
            "breach_examples": list(simulator.traffic.examples)[-20:],
        }

    def requests(self, ask: Ask) -> dict[str, Any]:
        return {"data": list(self.simulator.traffic.requests)[-int(ask.query.get("limit", "100")) :]}

    def sessions(self, ask: Ask) -> dict[str, Any]:
        session_id, operator_id = ask.query.get("session_id"), ask.query.get("operator_id")
        plate = ask.query.get("plate")
        found = [
            session.dump(ask.now)
            for session in self.simulator.sessions.by_id.values()
            if (session_id is None or session.id == session_id)
            and (operator_id is None or session.operator_id == operator_id.lower())
            and (plate is None or plate_key(session.plate) == plate_key(plate))
        ]
        return {"data": found}

    def rights(self, ask: Ask) -> dict[str, Any]:
        operator_id = ask.query.get("operator_id")
        ids = [operator_id.lower()] if operator_id else list(self.simulator.directory.operators)
        visible = self.simulator.sessions.visible
        return {"data": [session.right() for each in ids for session in visible(each, ask.now)]}

    # -- sessions ------------------------------------------------------------------------------------------------

    def drift(self, ask: Ask) -> dict[str, Any]:
        session, changes = self._session(ask), ask.body
        unknown = changes.keys() - {"end_time", "stopped", "zone_id"}
        if unknown:
            raise ValueError(
                f"only end_time, stopped and zone_id can drift, not {', '.join(sorted(unknown))}"
            )
        end = parse_time("end_time", changes["end_time"]) if "end_time" in changes else session.end
        zone_id = _uuid(changes["zone_id"]) if "zone_id" in changes else session.zone_id
        session.end, session.zone_id = end, zone_id
        session.stopped = bool(changes.get("stopped", session.stopped))
        session.show(None)
        self.simulator.keep_session(session)
        return {"session_id": session.id, "end_time": format_time(session.end)}

    def forget_session(self, ask: Ask) -> dict[str, Any]:
        session = self._session(ask)
        self.simulator.forget_session(session.id)
        return {"forgotten": session.id}

    def add_foreign_right(self, ask: Ask) -> dict[str, Any]:
        sessions = self.simulator.sessions
        self._operator(str(ask.body["operator_id"]))
        session_id = str(ask.body.get("session_id") or f"driver-{len(sessions) + 1}")
        if session_id in sessions.by_id:
            raise ValueError(f"there is a session {session_id} already")
        session = foreign_session(ask.body, session_id, ask.now)
        self.simulator.keep_session(session)
        return session.right()

    # -- faults and the rest -------------------------------------------------------------------------------------

    def faults(self, _ask: Ask) -> dict[str, Any]:
        return {"data": [fault.document() for fault in self.simulator.faults.faults]}

    def add_fault(self, ask: Ask) -> dict[str, Any]:
        return self.simulator.faults.add(ask.body).document()

    def clear_fault(self, ask: Ask) -> dict[str, Any]:
        if not self.simulator.faults.clear(int(ask.path["fault_id"])):
            raise _Missing(f"there is no fault {ask.path['fault_id']}")
        return {"cleared": 1}

    def move_clock(self, ask: Ask) -> dict[str, Any]:
        self.simulator.move_clock(float(ask.body["offset_s"]))
        return {"offset_s": self.simulator.clock_offset_s}

    def reset(self, _ask: Ask) -> dict[str, Any]:
        self.simulator.reset()
        return {"reset": True}

    # -- operators and zones -------------------------------------------------------------------------------------

    def operators(self, _ask: Ask) -> dict[str, Any]:
        return {"data": [operator.summary() for operator in self.simulator.directory.operators.values()]}

    def add_operator(self, ask: Ask) -> dict[str, Any]:
        return self._edit_operator(_uuid(ask.body["operator_id"]), ask.body)

    def change_operator(self, ask: Ask) -> dict[str, Any]:
        return self._edit_operator(self._operator(ask.path["operator_id"]).id, ask.body)

    def zones(self, ask: Ask) -> dict[str, Any]:
        return {"data": [zone.raw for zone in self._operator(ask.path["operator_id"]).zones.values()]}

    def put_zone(self, ask: Ask) -> dict[str, Any]:
        return self._put_zone(self._operator(ask.path["operator_id"]), ask.body)

    def change_zone(self, ask: Ask) -> dict[str, Any]:
        operator, zone_id = self._operator(ask.path["operator_id"]), ask.path["zone_id"].lower()
        zone = operator.zones.get(zone_id) or operator.gone.get(zone_id)
        if zone is None:
            raise _Missing(f"there is no zone {zone_id}")
        return self._put_zone(operator, {**zone.raw, **ask.body, "id": zone.id})

    def take_zone_away(self, ask: Ask) -> dict[str, Any]:
        operator, zone_id = self._operator(ask.path["operator_id"]), ask.path["zone_id"].lower()
        if zone_id not in operator.zones:
            raise _Missing(f"there is no zone {zone_id}")
        self.simulator.change_directory({"do": "zone_gone", "operator_id": operator.id, "zone_id": zone_id})
        return {"gone": zone_id}

    def _edit_operator(self, operator_id: str, edit: dict[str, Any]) -> dict[str, Any]:
        unknown = edit.keys() - {"operator_id", "name", "authorised", "zones"}
        if unknown:
            raise ValueError(f"an operator has no {', '.join(sorted(unknown))}")
        for raw in edit.get("zones") or ():
            Zone(raw, operator_id)
        self.simulator.change_directory({**edit, "do": "operator", "operator_id": operator_id})
        return self.simulator.directory.operators[operator_id].summary()

    def _put_zone(self, operator: Operator, raw: dict[str, Any]) -> dict[str, Any]:
        zone = Zone(raw, operator.id)
        self.simulator.change_directory({"do": "zone", "operator_id": operator.id, "zone": raw})
        return zone.raw

    def _operator(self, operator_id: str) -> Operator:
        operator = self.simulator.directory.operators.get(operator_id.lower())
        if operator is None:
            raise _Missing(f"there is no operator {operator_id}")
        return operator

    def _session(self, ask: Ask) -> Session:
        session = self.simulator.sessions.by_id.get(ask.path["session_id"])
        if session is None:
            raise _Missing(f"there is no session {ask.path['session_id']}")
        return session


def _uuid(value: Any) -> str:
    if not is_uuid(value):
        raise ValueError(f"{value!r} is not a UUID")
    return str(value).lower()
