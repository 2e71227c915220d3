"""The control API under ``/sandbox/``: JSON in, JSON out, no token asked.

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

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from .formats import format_time, is_uuid, parse_time, plate_key
from .jsonio import loads
from .problems import Problem
from .responses import Response, json_response
from .sessions import Session, foreign_session
from .simulator import Simulator
from .zones import Operator, Zone

PREFIX = "/sandbox/"


class _Missing(Exception):
    """What the path names is not there."""


def handle(
    simulator: Simulator,
    method: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> Response:
    """Answer one control request."""
    if method != "GET" and headers.get("sec-fetch-site") == "cross-site":
        return json_response(403, {"error": "a page of another site may not steer the sandbox"})
    parts = [unquote(part) for part in path.removeprefix(PREFIX).strip("/").split("/")]
    parameters = dict(parse_qsl(query))
    try:
        document = loads(body) if body.strip() else {}
        if not isinstance(document, dict):
            return json_response(400, {"error": "the body must be an object"})
        with simulator.lock:
            return _route(simulator, method, parts, parameters, document, simulator.clock(now))
    except _Missing as error:
        return json_response(404, {"error": str(error)})
    except Problem as problem:
        return json_response(400, {"error": problem.detail})
    except KeyError as error:
        return json_response(400, {"error": f"{error.args[0]} is missing or unknown"})
    except (ValueError, TypeError, AttributeError) as error:
        return json_response(400, {"error": str(error)})


def _route(
    simulator: Simulator,
    method: str,
    parts: list[str],
    parameters: dict[str, str],
    document: dict[str, Any],
    now: datetime,
) -> Response:
    match method, *parts:
        case "GET", "health":
            return json_response(200, {"status": "ok"})
        case "GET", "state":
            return json_response(200, state(simulator, now))
        case "GET", "requests":
            requests = list(simulator.traffic.requests)[-int(parameters.get("limit", "100")) :]
            return json_response(200, {"data": [{**r, "at": r["at"].isoformat()} for r in requests]})
        case "GET", "sessions":
            found = _find_sessions(simulator, parameters)
            return json_response(200, {"data": [session.dump(now) for session in found]})
        case (("PATCH" | "DELETE"), "sessions", session_id):
            return _drift(simulator, method, session_id, document)
        case "GET", "rights":
            return json_response(200, {"data": _rights(simulator, parameters.get("operator_id"), now)})
        case "POST", "rights":
            return _add_foreign_right(simulator, document, now)
        case _, ("faults" | "settings" | "operators"), *_:
            return _SECTIONS[parts[0]](simulator, method, parts[1:], document)
        case "POST", "tokens", "expire":
            return json_response(200, {"expired": simulator.expire_tokens()})
        case "POST", "clock":
            simulator.move_clock(float(document["offset_s"]))
            return json_response(200, {"offset_s": simulator.clock_offset_s})
        case "POST", "reset":
            simulator.reset()
            return json_response(200, {"reset": True})
    raise _Missing(f"there is no {method} /sandbox/{'/'.join(parts)}")


def state(simulator: Simulator, now: datetime) -> dict[str, Any]:
    """The summary that ``GET /sandbox/state`` answers."""
    sessions = simulator.sessions
    operators = []
    for operator in simulator.directory.operators.values():
        rights = sum(1 for _ in sessions.visible(operator.id, now))
        operators.append({**operator.summary(), "rights": rights})
    return {
        "now": now.isoformat(),
        "clock_offset_s": simulator.clock_offset_s,
        "operators": operators,
        "settings": simulator.options.document(),
        "faults": [fault.document() for fault in simulator.faults.faults],
        "sessions": len(sessions),
        "rights": sum(operator["rights"] for operator in operators),
        "doubled_rights": sessions.doubled(now),
        "tokens": len(simulator.tokens.tokens),
        **simulator.traffic.summary(),
        "breach_examples": list(simulator.traffic.examples)[-20:],
    }


def _find_sessions(simulator: Simulator, parameters: dict[str, str]) -> list[Session]:
    session_id = parameters.get("session_id")
    operator_id = parameters.get("operator_id")
    plate = parameters.get("plate")
    if session_id is not None:
        session = simulator.sessions.by_id.get(session_id)
        return [session] if session is not None else []
    return [
        session
        for session in simulator.sessions.by_id.values()
        if (operator_id is None or session.operator_id == operator_id.lower())
        and (plate is None or plate_key(session.plate) == plate_key(plate))
    ]


def _rights(simulator: Simulator, operator_id: str | None, now: datetime) -> list[dict[str, Any]]:
    ids = [operator_id.lower()] if operator_id else list(simulator.directory.operators)
    return [session.right() for each in ids for session in simulator.sessions.visible(each, now)]


def _drift(simulator: Simulator, method: str, session_id: str, document: dict[str, Any]) -> Response:
    session = simulator.sessions.by_id.get(session_id)
    if session is None:
        raise _Missing(f"there is no session {session_id}")
    if method == "DELETE":
        simulator.forget_session(session_id)
        return json_response(200, {"forgotten": session_id})
    unknown = document.keys() - {"end_time", "stopped", "zone_id"}
    if unknown:
        raise ValueError(f"only end_time, stopped and zone_id can drift, not {', '.join(sorted(unknown))}")
    if "end_time" in document:
        session.end = parse_time("end_time", document["end_time"])
    if "stopped" in document:
        session.stopped = bool(document["stopped"])
    if "zone_id" in document:
        session.zone_id = _uuid(document["zone_id"])
    session.show(None)
    simulator.keep_session(session)
    return json_response(200, {"session_id": session_id, "end_time": format_time(session.end)})


def _add_foreign_right(simulator: Simulator, document: dict[str, Any], now: datetime) -> Response:
    _operator(simulator, str(document["operator_id"]))
    session_id = str(document.get("session_id") or f"driver-{len(simulator.sessions) + 1}")
    if session_id in simulator.sessions.by_id:
        raise ValueError(f"there is a session {session_id} already")
    session = foreign_session(document, session_id, now)
    simulator.keep_session(session)
    return json_response(201, session.right())


def _faults(simulator: Simulator, method: str, rest: list[str], document: dict[str, Any]) -> Response:
    match method, *rest:
        case ("GET",):
            return json_response(200, {"data": [fault.document() for fault in simulator.faults.faults]})
        case ("POST",):
            return json_response(201, simulator.faults.add(document).document())
        case ("DELETE",):
            return json_response(200, {"cleared": simulator.faults.clear()})
        case "DELETE", fault_id if fault_id.isdecimal():
            if not simulator.faults.clear(int(fault_id)):
                raise _Missing(f"there is no fault {fault_id}")
            return json_response(200, {"cleared": 1})
    raise _Missing("faults take GET, POST and DELETE")


def _settings(simulator: Simulator, method: str, rest: list[str], document: dict[str, Any]) -> Response:
    if rest or method not in ("GET", "PATCH"):
        raise _Missing("settings take GET and PATCH")
    if method == "PATCH":
        simulator.change_options(document)
    return json_response(200, simulator.options.document())


def _operators(simulator: Simulator, method: str, rest: list[str], document: dict[str, Any]) -> Response:
    operators = simulator.directory.operators
    match method, *rest:
        case ("GET",):
            return json_response(200, {"data": [operator.summary() for operator in operators.values()]})
        case ("POST",):
            _uuid(document["operator_id"])
            return _edit_operator(simulator, str(document["operator_id"]).lower(), document, 201)
        case "PATCH", operator_id:
            return _edit_operator(simulator, _operator(simulator, operator_id).id, document, 200)
        case "GET", operator_id, "zones":
            zones = _operator(simulator, operator_id).zones.values()
            return json_response(200, {"data": [zone.raw for zone in zones]})
        case "POST", operator_id, "zones":
            return _put_zone(simulator, _operator(simulator, operator_id), document, 201)
        case "PATCH", operator_id, "zones", zone_id:
            operator = _operator(simulator, operator_id)
            zone = operator.zones.get(zone_id.lower()) or operator.gone.get(zone_id.lower())
            if zone is None:
                raise _Missing(f"there is no zone {zone_id}")
            return _put_zone(simulator, operator, {**zone.raw, **document, "id": zone.id}, 200)
        case "DELETE", operator_id, "zones", zone_id:
            operator = _operator(simulator, operator_id)
            if zone_id.lower() not in operator.zones:
                raise _Missing(f"there is no zone {zone_id}")
            simulator.change_directory(
                {"do": "zone_gone", "operator_id": operator.id, "zone_id": zone_id.lower()}
            )
            return json_response(200, {"gone": zone_id.lower()})
    raise _Missing(f"there is no {method} /sandbox/operators/{'/'.join(rest)}")


def _edit_operator(simulator: Simulator, operator_id: str, document: dict[str, Any], status: int) -> Response:
    unknown = document.keys() - {"operator_id", "name", "authorised", "zones"}
    if unknown:
        raise ValueError(f"an operator has no {', '.join(sorted(unknown))}")
    for raw in document.get("zones") or ():
        Zone(raw, operator_id)
    simulator.change_directory({**document, "do": "operator", "operator_id": operator_id})
    return json_response(status, simulator.directory.operators[operator_id].summary())


def _put_zone(simulator: Simulator, operator: Operator, raw: dict[str, Any], status: int) -> Response:
    zone = Zone(raw, operator.id)
    simulator.change_directory({"do": "zone", "operator_id": operator.id, "zone": raw})
    return json_response(status, zone.raw)


def _operator(simulator: Simulator, operator_id: str) -> Operator:
    operator = simulator.directory.operators.get(operator_id.lower())
    if operator is None:
        raise _Missing(f"there is no operator {operator_id}")
    return operator


def _uuid(value: Any) -> str:
    if not isinstance(value, str) or not is_uuid(value):
        raise ValueError(f"{value!r} is not a UUID")
    return value.lower()


_SECTIONS: dict[str, Callable[[Simulator, str, list[str], dict[str, Any]], Response]] = {
    "faults": _faults,
    "settings": _settings,
    "operators": _operators,
}
