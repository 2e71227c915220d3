"""Passport in memory: one request in, one response out.

The order in which a request is looked at is Passport's as far as it is known: does the path exist, is there a token,
has the operator authorised the partner, is the request well formed, does it agree with what is known. Faults come
before all of it, because proxies and networks do.

Invariants: in ``whole`` mode a request is applied entirely or not at all; what a response promises (2xx) is in the
journal before the response leaves. One lock guards everything, so the simulator may be shared by threads.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode

from .credentials import SANDBOX_AUDIENCE, SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from .events import TYPES, VERSION, Event, parse_event
from .faults import Fault, FaultBook, Verdict
from .formats import check_text, is_uuid
from .journal import Journal
from .jsonio import loads
from .options import Options
from .problems import Problem, invalid
from .responses import Carriage, Response, json_response, problem_response
from .sessions import Session, SessionBook, judge
from .tokens import TokenOffice, read_form, token_answer
from .traffic import Traffic
from .zones import DEFAULT_ZONES_FILE, Directory

TOKEN_PATH = "/v3/shared/access-tokens"
ZONES_PATH = "/v3/shared/zones"
EVENTS_PATH = "/v3/shared/events"
RIGHTS_PATH = "/v4/enforcement/parking-rights"
TRACE_HEADER = "passport-labs-client-trace-id"

_ROUTES = {
    TOKEN_PATH: ("token", "POST"),
    ZONES_PATH: ("zones", "GET"),
    EVENTS_PATH: ("events", "POST"),
    RIGHTS_PATH: ("rights", "GET"),
}
_WRONG_SHAPES: tuple[Any, ...] = (
    [],
    None,
    "ok",
    42,
    {"data": None},
    {"data": "none"},
    {"data": [None, 1, "x"]},
    {"data": {"id": 7}},
    {"data": [{"id": 7, "number": None, "status": "202", "vehicle": []}]},
)
_CLOCK_SKEW_S = 60
_HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    "<body><h1>Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>"
)


class Request:
    """One request. `headers` have lower-case names; `json` parses the body once."""

    __slots__ = ("_json", "body", "headers", "kind", "method", "operator_id", "path", "query")

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.kind = "unknown"
        self.operator_id: str | None = None
        self._json: Any = None

    @property
    def json(self) -> Any:
        if self._json is None:
            try:
                self._json = loads(self.body)
            except ValueError:
                raise Problem(400, "malformed_body", "The body is not JSON.") from None
        return self._json

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def parameters(self) -> dict[str, str]:
        """The query's parameters; one that is repeated is refused."""
        try:
            pairs = parse_qsl(self.query, keep_blank_values=True, max_num_fields=50, errors="strict")
        except ValueError:
            raise Problem(400, "validation_error", "The query could not be read.") from None
        parameters = dict(pairs)
        if len(parameters) != len(pairs):
            raise Problem(400, "validation_error", "A parameter of the query is repeated.")
        return parameters

    def guess_operator(self) -> str | None:
        """The operator that the request is about, in lower case, without insisting on a well-formed request."""
        operator: Any = None
        if self.kind in ("zones", "rights"):
            operator = dict(parse_qsl(self.query)).get("operator_id")
        elif self.kind == "events":
            try:
                operator = self.json["data"][0]["operator_id"]
            except (Problem, LookupError, TypeError):
                return None
        return operator.lower() if isinstance(operator, str) else None


class Simulator:
    """The sandbox without its wire. All state hangs on it and may be read by tests under its `lock`."""

    def __init__(
        self,
        *,
        directory: Directory | None = None,
        client_id: str = SANDBOX_CLIENT_ID,
        client_secret: str = SANDBOX_CLIENT_SECRET,
        audience: str = SANDBOX_AUDIENCE,
        options: Options | None = None,
        journal: Journal | None = None,
        load_directory: Callable[[], Directory] | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self._load_directory = load_directory or partial(Directory.from_file, DEFAULT_ZONES_FILE)
        self.directory = directory if directory is not None else self._load_directory()
        self.tokens = TokenOffice(client_id=client_id, client_secret=client_secret, audience=audience)
        self.options = options or Options()
        self.sessions = SessionBook(log_size=self.options.event_log_size)
        self.faults = FaultBook()
        self.traffic = Traffic()
        self.clock_offset_s = 0.0
        self.journal = journal
        if journal is not None:
            journal.open(self)

    # -- the wire ------------------------------------------------------------------------------------------------

    def handle(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> Response:
        """Answer one request. `headers` have lower-case names; `now` is aware.

        Never raises for anything a client sends. The response's `action` says how it is to be carried.
        """
        with self.lock:
            now = self.clock(now)
            request = Request(method, path, query, headers, body)
            route = _ROUTES.get(path)
            if route is None:
                return problem_response(Problem(404, "not_found", f"There is no {path}."))
            request.kind, allowed = route
            if method != allowed:
                problem = Problem(405, "method_not_allowed", f"{path} takes {allowed}.")
                return problem_response(problem, {"Allow": allowed})
            in_last_second = self.traffic.arrive(now, request.kind, headers.get(TRACE_HEADER))
            if self.faults.ask_operator or self.traffic.watches_holds:
                request.operator_id = request.guess_operator()
                self.traffic.check_hold(request.kind, request.operator_id, now)
            limit = self.options.rate_limit_per_s
            if limit is not None and in_last_second > limit:
                return self._refuse_for_rate(request, now)
            verdict = self.faults.meet(request.kind, request.operator_id)
            if verdict.wait_before_s:
                resume = partial(self._resume, request, verdict)
                return Response(0, action=Carriage(wait_s=verdict.wait_before_s, resume=resume))
            return self._answer(request, verdict, now)

    def clock(self, now: datetime) -> datetime:
        """The sandbox's own time, which the control API can move."""
        return now + timedelta(seconds=self.clock_offset_s) if self.clock_offset_s else now

    def _resume(self, request: Request, verdict: Verdict, now: datetime) -> Response:
        with self.lock:
            return self._answer(request, verdict, self.clock(now))

    def _answer(self, request: Request, verdict: Verdict, now: datetime) -> Response:
        fault = verdict.fault
        if fault is None or fault.processed:
            visible_at = now + timedelta(seconds=verdict.late_s) if verdict.late_s else None
            try:
                response = self._process(request, now, visible_at)
            except Problem as problem:
                response = problem_response(problem)
            if fault is not None:
                response = self._spoil(response, fault, request, now)
        else:
            response = self._spoil(None, fault, request, now)
        response.action.wait_s = verdict.wait_after_s
        self._note(request, response, verdict, now)
        return response

    def _note(self, request: Request, response: Response, verdict: Verdict, now: datetime) -> None:
        status = 0 if response.action.ending == "drop" else response.status
        self.traffic.finish(
            request.kind,
            status,
            {
                "at": now,
                "method": request.method,
                "path": request.path,
                "query": request.query,
                "trace_id": request.headers.get(TRACE_HEADER),
                "status": status,
                "faults": verdict.met,
                "size_bytes": len(request.body),
            },
        )

    def _refuse_for_rate(self, request: Request, now: datetime) -> Response:
        problem = Problem(429, "rate_limited", "More requests came than are allowed in a second.")
        response = problem_response(problem, {"Retry-After": "1"})
        self.traffic.hold(request.kind, request.operator_id or request.guess_operator(), now, 1)
        self._note(request, response, Verdict(), now)
        return response

    # -- faults --------------------------------------------------------------------------------------------------

    def _spoil(self, response: Response | None, fault: Fault, request: Request, now: datetime) -> Response:
        """The answer as `fault` makes it; `response` is the true one where the request was processed."""
        self.traffic.by_fault[fault.kind] += 1
        match fault.kind:
            case "drop" | "answer_lost":
                return Response(0, action=Carriage(ending="drop"))
            case "401":
                return problem_response(Problem(401, "unauthorized", "The access token is not known."))
            case "403":
                return problem_response(
                    Problem(403, "operator_not_authorized", "The operator has not authorised this partner.")
                )
            case "429" | "5xx":
                return self._busy(fault, request, now)
            case "html":
                page = (fault.body or _HTML_PAGE).encode()
                return Response(fault.status, page, "text/html; charset=utf-8")
            case "broken_json":
                return Response(fault.status, (fault.body or '{"data": [{"id": "5d0').encode())
            case "wrong_json":
                if fault.body is not None:
                    return Response(fault.status, fault.body.encode())
                return json_response(fault.status, fault.rng.choice(_WRONG_SHAPES))
            case "huge_body":
                carriage = Carriage(ending="padded", size_bytes=fault.size_bytes)
                return Response(fault.status, b'{"data": [],', action=carriage)
            case "endless_body":
                carriage = Carriage(ending="endless", interval_s=fault.delay_s)
                return Response(fault.status, b'{"data": [', action=carriage)
            case _:  # truncated
                true = (
                    response if response is not None and response.body else json_response(200, {"data": []})
                )
                true.action.ending = "truncated"
                return true

    def _busy(self, fault: Fault, request: Request, now: datetime) -> Response:
        headers = {}
        if fault.retry_after_s is not None:
            operator_id = request.operator_id or request.guess_operator()
            self.traffic.hold(request.kind, operator_id, now, fault.retry_after_s)
            headers["Retry-After"] = retry_after(fault.retry_after_s, fault.retry_after_form, now)
        if fault.body is not None:
            return Response(fault.status, fault.body.encode(), "text/plain; charset=utf-8", headers)
        code = "rate_limited" if fault.status == 429 else "internal_error"
        return problem_response(Problem(fault.status, code, "Please try again later."), headers)

    # -- the resources -------------------------------------------------------------------------------------------

    def _process(self, request: Request, now: datetime, visible_at: datetime | None) -> Response:
        if request.kind == "token":
            return self._post_token(request, now)
        authorization = request.headers.get("authorization")
        try:
            self.tokens.check(authorization, now)
        except Problem:
            if authorization:
                self.traffic.breach("stale_token", now, path=request.kind)
            raise
        if request.kind == "events":
            return self._post_events(request, now, visible_at)
        parameters = request.parameters()
        operator_id = parameters.get("operator_id", "")
        if not is_uuid(operator_id):
            raise invalid("operator_id", "is required and must be a UUID")
        if operator_id != operator_id.lower():
            self.traffic.breach("operator_id_not_lower_case", now, path=request.kind)
        operator = self.directory.require(operator_id)
        if request.kind == "zones":
            zones = [zone.raw for zone in operator.zones.values()]
            return self._list(request, parameters, zones)
        return self._get_rights(request, parameters, operator.id, now)

    def _post_token(self, request: Request, now: datetime) -> Response:
        fields = read_form(request.content_type, request.body)
        lifetime_s = self.options.token_lifetime_s
        token, end = self.tokens.issue(fields, now, lifetime_s)
        if self.journal is not None:
            self.journal.write_token(token, end)
        answer = token_answer(
            token,
            end,
            lifetime_s=lifetime_s,
            lifetime_as=self.options.token_lifetime_as,
            with_type=self.options.token_type,
        )
        return json_response(200, answer, {"Cache-Control": "no-store"})

    def _get_rights(
        self, request: Request, parameters: dict[str, str], operator_id: str, now: datetime
    ) -> Response:
        zone_id = parameters.get("zone_id")
        if zone_id is not None and not is_uuid(zone_id):
            raise invalid("zone_id", "must be a UUID")
        space = parameters.get("space_number")
        if space is not None and zone_id is None:
            raise invalid("space_number", "needs zone_id")
        for name in ("space_number", "vehicle_plate", "vehicle_state"):
            if name in parameters:
                check_text(name, parameters[name])
        rights = self.sessions.visible(
            operator_id,
            now,
            zone_id=zone_id and zone_id.lower(),
            space=space,
            plate=parameters.get("vehicle_plate"),
            state=parameters.get("vehicle_state"),
        )
        with_reference = self.options.reference_ids
        return self._list(request, parameters, [s.right(reference_ids=with_reference) for s in rights])

    def _list(self, request: Request, parameters: dict[str, str], items: list[Any]) -> Response:
        size = self.options.page_size
        if size is None:
            return json_response(200, {"data": items})
        page_text = parameters.get("page", "1")
        page = int(page_text) if page_text.isdecimal() and len(page_text) < 10 else 0
        if page < 1:
            raise invalid("page", "must be a whole number from 1")
        document: dict[str, Any] = {"data": items[(page - 1) * size : page * size]}
        headers = {}
        if page * size < len(items):
            link = f"{request.path}?{urlencode({**parameters, 'page': page + 1})}"
            if self.options.page_link == "header":
                host = request.headers.get("host", "localhost")
                headers["Link"] = f'<http://{host}{link}>; rel="next"'
            else:
                document["next"] = link
        return json_response(200, document, headers)

    # -- events --------------------------------------------------------------------------------------------------

    def _post_events(self, request: Request, now: datetime, visible_at: datetime | None) -> Response:
        kind, events = self._read_envelope(request, now)
        if self.options.answer_mode == "multi_status":
            return json_response(207, {"data": self._apply_each(events, kind, now, visible_at)})
        self._apply_all(events, kind, now, visible_at)
        return Response(202)

    def _read_envelope(self, request: Request, now: datetime) -> tuple[str, list[Any]]:
        if request.content_type != "application/json":
            raise Problem(400, "malformed_body", "Content-Type must be application/json.")
        document = request.json
        if not isinstance(document, dict):
            raise Problem(400, "malformed_body", "The body must be an object with type, version and data.")
        for name in sorted(document.keys() - {"type", "version", "data"}):
            raise invalid(name, "is not a field of the request")
        kind = document.get("type")
        if kind not in TYPES:
            raise invalid("type", f"must be one of {', '.join(TYPES)}", code="unsupported_event_type")
        if document.get("version") != VERSION:
            raise invalid("version", f"must be {VERSION}", code="unsupported_event_version")
        events = document.get("data")
        if not isinstance(events, list) or not events:
            raise invalid("data", "must be an array of at least one event")
        if len(events) > self.options.max_events:
            self.traffic.breach("too_many_events", now, events=len(events))
            raise invalid(
                "data", f"must hold at most {self.options.max_events} events", code="too_many_events"
            )
        return kind, events

    def _apply_all(self, raw: list[Any], kind: str, now: datetime, visible_at: datetime | None) -> None:
        """All events or none. A lone bad event answers with its own status; one among others makes it a 400,
        except that an operator who has not authorised the partner refuses the request as such."""
        total = len(raw)
        events: list[Event] = []
        started: dict[str, str] = {}
        for index, item in enumerate(raw):
            try:
                event = parse_event(item, kind, self.directory, state_form=self.options.state_form)
                judge(self.sessions.by_id.get(event.session_id), event)
                if event.digest and started.setdefault(event.session_id, event.digest) != event.digest:
                    raise Problem(
                        409,
                        "session_conflict",
                        f"Session {event.session_id} is in this request with other content.",
                    )
            except Problem as problem:
                alone = total == 1 or problem.code in ("operator_not_authorized", "operator_not_found")
                raise problem.at(index, total, status=None if alone else 400) from None
            events.append(event)
        changed = [self._apply(event, now, visible_at) for event in events]
        self._keep(changed)

    def _apply_each(
        self, raw: list[Any], kind: str, now: datetime, visible_at: datetime | None
    ) -> list[dict[str, Any]]:
        """Each event for itself; one result per event, in order."""
        results: list[dict[str, Any]] = []
        changed: list[Session] = []
        for index, item in enumerate(raw):
            try:
                event = parse_event(item, kind, self.directory, state_form=self.options.state_form)
                judge(self.sessions.by_id.get(event.session_id), event)
            except Problem as problem:
                results.append(problem.at(index, len(raw)).document())
            else:
                changed.append(self._apply(event, now, visible_at))
                results.append({"status": 202})
        self._keep(changed)
        return results

    def _apply(self, event: Event, now: datetime, visible_at: datetime | None) -> Session:
        session = self.sessions.by_id.get(event.session_id)
        try:
            outcome = judge(session, event)
        except Problem:
            # An event before it in the same request has changed the session; in the order of time it has no say.
            outcome = "outdated"
        if (
            session is not None
            and outcome in ("extended", "stopped")
            and event.occurred_at == session.last_at
        ):
            self.traffic.breach("same_occurred_at", now, session_id=event.session_id)
        if outcome == "outdated":
            self.traffic.breach("outdated_event", now, session_id=event.session_id, type=event.type)
        elif outcome == "created" and self.sessions.twins(event):
            self.traffic.breach("doubled_session", now, session_id=event.session_id)
        if event.occurred_at > now and event.occurred_at > now + timedelta(seconds=_CLOCK_SKEW_S):
            self.traffic.breach("occurred_in_future", now, session_id=event.session_id)
        self.traffic.outcomes[outcome] += 1
        return self.sessions.apply(event, outcome, now, visible_at)

    def _keep(self, sessions: list[Session]) -> None:
        if self.journal is not None and sessions:
            self.journal.write_sessions(sessions)

    # -- what the control API and the pages do -------------------------------------------------------------------

    def change_directory(self, edit: Mapping[str, Any]) -> None:
        """Edit operators and zones (see :meth:`Directory.change`) and keep the edit."""
        with self.lock:
            self.directory.change(edit)
            if self.journal is not None:
                self.journal.write_change(edit)

    def change_options(self, edit: Mapping[str, Any]) -> Options:
        """Change settings; ValueError names what is wrong."""
        with self.lock:
            self.options = self.options.changed(edit)
            self.sessions.log_size = self.options.event_log_size
            return self.options

    def expire_tokens(self) -> int:
        """Make every token that was issued worthless; says how many there were."""
        with self.lock:
            count = self.tokens.expire_all()
            if self.journal is not None:
                self.journal.write_no_tokens()
            return count

    def keep_session(self, session: Session) -> None:
        """Put a session as it is, behind the client's back."""
        with self.lock:
            self.sessions.put(session)
            self._keep([session])

    def forget_session(self, session_id: str) -> bool:
        """Lose a session, behind the client's back; False if there is none."""
        with self.lock:
            gone = self.sessions.forget(session_id) is not None
            if gone and self.journal is not None:
                self.journal.write_forgotten(session_id)
            return gone

    def reset(self) -> None:
        """Begin anew: no sessions, tokens, faults or counters; zones as in the file, settings as by default."""
        with self.lock:
            self.directory = self._load_directory()
            self.tokens.expire_all()
            self.options = Options()
            self.sessions = SessionBook(log_size=self.options.event_log_size)
            self.faults.clear()
            open_now, self.traffic = self.traffic.connections_open, Traffic()
            self.traffic.connections_open = self.traffic.connections_peak = open_now
            self.clock_offset_s = 0.0
            if self.journal is not None:
                self.journal.rewrite(self)


def retry_after(seconds: float, form: str, now: datetime) -> str:
    """A Retry-After header in either form; seconds are rounded up, a date is in whole seconds."""
    whole = int(-(-seconds // 1))
    if form == "date":
        try:
            later = now.astimezone(UTC) + timedelta(seconds=whole)
        except OverflowError:
            later = datetime.max.replace(tzinfo=UTC)
        return format_datetime(later.replace(microsecond=0), usegmt=True)
    return str(whole)
