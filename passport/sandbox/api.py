"""Passport's own API: the four resources that the product uses.

A request is checked in Passport's order, as far as that is known: does the path exist, is there a token,
has the operator authorised the partner, is the request well formed, does it agree with what is known. Faults come
before all of it, because proxies and networks do. The simulator's lock is held while a request is processed and never
while it waits.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from . import checks
from .answers import Json, Wire, once, read_body, read_form, refusal, spoil
from .checks import Problem, invalid
from .events import Intake
from .faults import CALM
from .simulator import Simulator

TOKEN_PATH = "/v3/shared/access-tokens"
ZONES_PATH = "/v3/shared/zones"
EVENTS_PATH = "/v3/shared/events"
RIGHTS_PATH = "/v4/enforcement/parking-rights"
FORM = "application/x-www-form-urlencoded"
TRACE_HEADER = "passport-labs-client-trace-id"
_FILTERS = {
    "zone_id": checks.uuid,
    "space_number": checks.text(),
    "vehicle_plate": checks.text(),
    "vehicle_state": checks.text(),
}


class Call:
    """A request with its body read. `kind` is what it is about: one of ``faults.PATHS`` but ``all``.

    `now` is the sandbox's time when it is processed, `verdict` the faults that it meets.
    """

    def __init__(self, kind: str, request: Request, body: bytes) -> None:
        self.kind = kind
        self.request = request
        self.body = body
        self.path: str = request.scope["path"]
        self.query = request.scope["query_string"].decode("latin-1")
        self.now: datetime
        self.verdict = CALM

    @cached_property
    def json(self) -> Any:
        """The body as JSON; a Problem if it is not."""
        try:
            return orjson.loads(self.body)
        except ValueError:
            raise Problem(400, "malformed_body", "The body is not JSON.") from None

    @cached_property
    def events(self) -> list[Any]:
        """The request's events; none if the request is not well formed."""
        try:
            events = self.json["data"] if self.kind == "events" else []
        except (Problem, LookupError, TypeError):
            events = []
        return events if isinstance(events, list) else []

    @cached_property
    def operator_id(self) -> str | None:
        """The operator that the request is about, in lower case; None if the request does not say."""
        has_query = self.kind in ("zones", "rights")
        source: Any = self.request.query_params if has_query else next(iter(self.events), None)
        operator = source.get("operator_id") if isinstance(source, Mapping) else None
        return operator.lower() if isinstance(operator, str) else None

    def document(self, *, or_form: bool = False) -> dict[str, Any]:
        """The body as an object, sent as JSON (or as a form); a Problem if it is neither."""
        content_type = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if or_form and content_type == FORM:
            return read_form(self.body)
        if content_type != "application/json":
            also = f" or {FORM}" if or_form else ""
            raise Problem(400, "malformed_body", f"Content-Type must be application/json{also}.")
        if not isinstance(self.json, dict):
            raise Problem(400, "malformed_body", "The body must be an object.")
        return self.json

    def parameters(self, *allowed: str) -> dict[str, str]:
        """The query's parameters; one that is not `allowed`, or repeated, is refused."""
        parameters = once(self.request.query_params.multi_items())
        for name in sorted(parameters.keys() - set(allowed)):
            raise Problem(400, "validation_error", f"{name}: is not a parameter of {self.path}")
        return parameters


class PassportApi:
    """Answers requests for `simulator`; no request makes it crash."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator

    def routes(self) -> list[Route]:
        """The four paths."""
        table = (
            ("events", EVENTS_PATH, "POST", self._events),
            ("zones", ZONES_PATH, "GET", self._zones),
            ("rights", RIGHTS_PATH, "GET", self._rights),
            ("token", TOKEN_PATH, "POST", self._token),
        )
        routes = []
        for kind, path, method, process in table:
            route = Route(path, partial(self._carry, kind, process))
            route.methods = {method}  # without the HEAD that Starlette adds: no client sends it
            routes.append(route)
        return routes

    async def _carry(self, kind: str, process: Callable[[Call], Response], request: Request) -> Response:
        simulator, call = self.simulator, Call(kind, request, await read_body(request))
        wire: Wire = request.state.wire
        with simulator.lock:
            call.now = simulator.clock(wire.now())
            response = self._meet(call)
        if response is not None:
            return response
        if call.verdict.wait_before_s:
            await wire.sleep(call.verdict.wait_before_s)
        with simulator.lock:
            call.now = simulator.clock(wire.now())
            response = self._answer(call, process)
        if call.verdict.wait_after_s:
            await wire.sleep(call.verdict.wait_after_s)
        return response

    def _meet(self, call: Call) -> Response | None:
        """Find the faults that the request meets; returns an answer only if it exceeds the rate limit."""
        simulator = self.simulator
        traffic, faults, limit = simulator.traffic, simulator.faults, simulator.options.rate_limit_per_s
        in_last_second = traffic.arrive(call.now, call.kind, call.request.headers.get(TRACE_HEADER))
        traffic.check_hold(call.kind, call.operator_id, call.now)
        if limit is not None and in_last_second > limit:
            traffic.hold(call.kind, call.operator_id, call.now, 1)
            problem = Problem(429, "rate_limited", "More requests came than are allowed in a second.")
            return self._noted(call, refusal(problem, {"Retry-After": "1"}))
        call.verdict = faults.meet(call.kind, call.operator_id, len(call.events))
        return None

    def _answer(self, call: Call, process: Callable[[Call], Response]) -> Response:
        fault, traffic = call.verdict.fault, self.simulator.traffic
        response: Response | None = None
        if fault is None or fault.processed:
            try:
                if call.kind != "token":
                    self._check_token(call)
                response = process(call)
            except Problem as problem:
                response = refusal(problem)
        if fault is not None:
            traffic.by_fault[fault.kind] += 1
            response = spoil(response, fault, call.now)
            if fault.retry_after_s is not None and "Retry-After" in response.headers:
                # A date has whole seconds, so it asks for up to one less.
                less_s = call.now.microsecond / 1e6 if fault.retry_after_form == "date" else 0.0
                traffic.hold(call.kind, call.operator_id, call.now, fault.retry_after_s - less_s)
        assert response is not None
        return self._noted(call, response)

    def _noted(self, call: Call, response: Response) -> Response:
        # The sandbox's own time, so that a wrong clock can be tried out.
        response.headers["Date"] = format_datetime(call.now, usegmt=True)
        traffic = self.simulator.traffic
        traffic.by_status[call.kind, response.status_code] += 1
        traffic.requests.append(
            {
                "at": call.now,
                "method": call.request.method,
                "path": call.path,
                "query": call.query,
                "trace_id": call.request.headers.get(TRACE_HEADER),
                "status": response.status_code,
                "faults": call.verdict.met,
                "size_bytes": len(call.body),
            }
        )
        return response

    # -- the resources -------------------------------------------------------------------------------------------

    def _check_token(self, call: Call) -> None:
        authorization = call.request.headers.get("authorization", "")
        if self.simulator.tokens.accepts(authorization, call.now):
            return
        if authorization:
            self.simulator.traffic.breach("stale_token", call.now, path=call.kind)
        raise Problem(401, "unauthorized", "The access token is missing, not known or has expired.")

    def _token(self, call: Call) -> Response:
        answer = self.simulator.issue_token(call.document(or_form=True), call.now)
        return Json(answer, headers={"Cache-Control": "no-store"})

    def _events(self, call: Call) -> Response:
        late_s = call.verdict.late_s
        visible_at = call.now + timedelta(seconds=late_s) if late_s else None
        return Intake(self.simulator, call.now, visible_at, call.verdict.fault).answer(call.document())

    def _zones(self, call: Call) -> Response:
        parameters = call.parameters("operator_id", "page")
        operator = self.simulator.directory.require(parameters.get("operator_id"))
        return self._list(call, parameters, list(operator.zones.values()))

    def _rights(self, call: Call) -> Response:
        parameters = call.parameters("operator_id", "page", *_FILTERS)
        operator = self.simulator.directory.require(parameters.get("operator_id"))
        wanted = {name: _FILTERS[name](name, parameters[name]) for name in _FILTERS.keys() & parameters}
        if "space_number" in wanted and "zone_id" not in wanted:
            raise invalid("space_number", "needs zone_id")
        visible = self.simulator.sessions.visible(operator.id, call.now, **wanted)
        with_reference = self.simulator.options.reference_ids
        return self._list(call, parameters, [each.right(reference_ids=with_reference) for each in visible])

    def _list(self, call: Call, parameters: dict[str, str], items: list[Any]) -> Response:
        options = self.simulator.options
        size = options.page_size
        if size is None:
            return Json({"data": items})
        asked = parameters.get("page", "1")
        page = int(asked) if asked.isdecimal() and len(asked) < 10 else 0
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
