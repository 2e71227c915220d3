"""Passport's own API: the four resources that the product uses.

A request is checked in Passport's order, as far as it is known: does the path exist, is there a token,
has the operator authorised the partner, is the request well formed, does it agree with what is known. Faults come
before all of it, because proxies and networks do.

Invariants: in ``whole`` mode a request is applied entirely or not at all; what a response promises (2xx) is in the
journal before the response leaves. The simulator's lock is held while a request is processed and never while it waits.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .call import Call
from .faults import CALM, Verdict
from .formats import check_id, check_text
from .intake import Intake
from .problems import Problem, invalid
from .responses import Json, Wire, problem_response, read_body
from .simulator import Simulator
from .spoiling import spoil
from .tokens import read_fields, token_answer

TOKEN_PATH = "/v3/shared/access-tokens"
ZONES_PATH = "/v3/shared/zones"
EVENTS_PATH = "/v3/shared/events"
RIGHTS_PATH = "/v4/enforcement/parking-rights"
TRACE_HEADER = "passport-labs-client-trace-id"
_PAGING = ("operator_id", "page")
_FILTERS = ("zone_id", "space_number", "vehicle_plate", "vehicle_state")

Process = Callable[[Call, datetime, datetime | None], Response]


class PassportApi:
    """Answers requests for `simulator`; nothing that a client sends makes it fail."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        """The four paths."""
        return [
            self._route(EVENTS_PATH, "POST", "events", self._post_events),
            self._route(ZONES_PATH, "GET", "zones", self._get_zones),
            self._route(RIGHTS_PATH, "GET", "rights", self._get_rights),
            self._route(TOKEN_PATH, "POST", "token", self._post_token),
        ]

    def _route(self, path: str, method: str, kind: str, process: Process) -> Route:
        async def endpoint(request: Request) -> Response:
            return await self._carry(Call(kind, request, await read_body(request)), process)

        route = Route(path, endpoint, methods=[method])
        route.methods = {method}  # without the HEAD that Starlette adds: no client sends it
        return route

    async def _carry(self, call: Call, process: Process) -> Response:
        simulator = self.simulator
        wire: Wire = call.request.state.wire
        with simulator.lock:
            now = simulator.clock(wire.now())
            verdict = self._meet(call, now)
        if isinstance(verdict, Response):
            return verdict
        if verdict.wait_before_s:
            await wire.sleep(verdict.wait_before_s)
        with simulator.lock:
            response = self._answer(call, process, verdict, simulator.clock(wire.now()))
        if verdict.wait_after_s:
            await wire.sleep(verdict.wait_after_s)
        return response

    def _meet(self, call: Call, now: datetime) -> Verdict | Response:
        """The faults that the request meets, or the refusal of one too many."""
        simulator = self.simulator
        traffic, faults, limit = simulator.traffic, simulator.faults, simulator.options.rate_limit_per_s
        in_last_second = traffic.arrive(now, call.kind, call.request.headers.get(TRACE_HEADER))
        if traffic.watches_holds:
            traffic.check_hold(call.kind, call.operator_id, now)
        if limit is not None and in_last_second > limit:
            problem = Problem(429, "rate_limited", "More requests came than are allowed in a second.")
            response = problem_response(problem, {"Retry-After": "1"})
            traffic.hold(call.kind, call.operator_id, now, 1)
            return self._noted(call, response, CALM, now)
        return faults.meet(call.kind, call.operator_id if faults.ask_operator else None)

    def _answer(self, call: Call, process: Process, verdict: Verdict, now: datetime) -> Response:
        fault = verdict.fault
        response: Response | None = None
        if fault is None or fault.processed:
            visible_at = now + timedelta(seconds=verdict.late_s) if verdict.late_s else None
            try:
                if call.kind != "token":
                    self._check_token(call, now)
                response = process(call, now, visible_at)
            except Problem as problem:
                response = problem_response(problem)
        if fault is not None:
            self.simulator.traffic.by_fault[fault.kind] += 1
            response = spoil(response, fault, now)
            if fault.retry_after_s is not None and "Retry-After" in response.headers:
                self.simulator.traffic.hold(call.kind, call.operator_id, now, fault.retry_after_s)
        assert response is not None
        return self._noted(call, response, verdict, now)

    def _noted(self, call: Call, response: Response, verdict: Verdict, now: datetime) -> Response:
        # The sandbox's own time, so that a wrong clock can be tried out.
        response.headers["Date"] = _http_date(now.replace(microsecond=0))
        status = response.status_code
        self.simulator.traffic.finish(
            call.kind,
            status,
            {
                "at": now,
                "method": call.request.method,
                "path": call.path,
                "query": call.query,
                "trace_id": call.request.headers.get(TRACE_HEADER),
                "status": status,
                "faults": verdict.met,
                "size_bytes": len(call.body),
            },
        )
        return response

    # -- the resources -------------------------------------------------------------------------------------------

    def _check_token(self, call: Call, now: datetime) -> None:
        authorization = call.request.headers.get("authorization")
        try:
            self.simulator.tokens.check(authorization, now)
        except Problem:
            if authorization:
                self.simulator.traffic.breach("stale_token", now, path=call.kind)
            raise

    def _post_token(self, call: Call, now: datetime, _visible_at: datetime | None) -> Response:
        simulator, options = self.simulator, self.simulator.options
        token, end = simulator.tokens.issue(read_fields(call), now, options.token_lifetime_s)
        if simulator.journal is not None:
            simulator.journal.write_token(token, end)
        answer = token_answer(
            token,
            end,
            lifetime_s=options.token_lifetime_s,
            lifetime_as=options.token_lifetime_as,
            with_type=options.token_type,
        )
        return Json(answer, headers={"Cache-Control": "no-store"})

    def _get_zones(self, call: Call, _now: datetime, _visible_at: datetime | None) -> Response:
        parameters = call.parameters(*_PAGING)
        operator = self.simulator.directory.require(parameters.get("operator_id"))
        return self._list(call, parameters, [zone.raw for zone in operator.zones.values()])

    def _get_rights(self, call: Call, now: datetime, _visible_at: datetime | None) -> Response:
        parameters = call.parameters(*_PAGING, *_FILTERS)
        operator = self.simulator.directory.require(parameters.get("operator_id"))
        zone_id, space = parameters.get("zone_id"), parameters.get("space_number")
        if zone_id is not None:
            check_id("zone_id", zone_id)
        if space is not None and zone_id is None:
            raise invalid("space_number", "needs zone_id")
        for name in ("space_number", "vehicle_plate", "vehicle_state"):
            if name in parameters:
                check_text(name, parameters[name])
        rights = self.simulator.sessions.visible(
            operator.id,
            now,
            zone_id=zone_id,
            space=space,
            plate=parameters.get("vehicle_plate"),
            state=parameters.get("vehicle_state"),
        )
        with_reference = self.simulator.options.reference_ids
        return self._list(call, parameters, [right.right(reference_ids=with_reference) for right in rights])

    def _list(self, call: Call, parameters: dict[str, str], items: list[Any]) -> Response:
        options = self.simulator.options
        size = options.page_size
        if size is None:
            return Json({"data": items})
        page_text = parameters.get("page", "1")
        page = int(page_text) if page_text.isdecimal() and len(page_text) < 10 else 0
        if page < 1:
            raise invalid("page", "must be a whole number from 1")
        document: dict[str, Any] = {"data": items[(page - 1) * size : page * size]}
        if page * size >= len(items):
            return Json(document)
        link = f"{call.path}?{urlencode({**parameters, 'page': page + 1})}"
        if options.page_link == "header":
            host = call.request.headers.get("host", "localhost")
            return Json(document, headers={"Link": f'<http://{host}{link}>; rel="next"'})
        return Json({**document, "next": link})

    def _post_events(self, call: Call, now: datetime, visible_at: datetime | None) -> Response:
        simulator = self.simulator
        intake = Intake(
            simulator.directory, simulator.sessions, simulator.options, simulator.traffic, now, visible_at
        )
        kind, events = intake.read_envelope(call)
        if simulator.options.answer_mode == "multi_status":
            results, touched = intake.apply_each(events, kind)
            simulator.keep(touched)
            return Json({"data": results}, 207)
        simulator.keep(intake.apply_all(events, kind))
        return Response(status_code=202)


@lru_cache(maxsize=16)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)
