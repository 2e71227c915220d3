"""Passport in memory: one request in, one response out.

The order in which a request is looked at is Passport's as far as it is known: does the path exist, is there a token,
has the operator authorised the partner, is the request well formed, does it agree with what is known. Faults come
before all of it, because proxies and networks do.

Invariants: in ``whole`` mode a request is applied entirely or not at all; what a response promises (2xx) is in the
journal before the response leaves. One lock guards everything, so the simulator may be shared by threads.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from email.utils import formatdate
from functools import partial
from typing import Any
from urllib.parse import urlencode

from .credentials import SANDBOX_AUDIENCE, SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from .faults import CALM, FaultBook, Verdict
from .formats import check_text, is_uuid
from .intake import Intake
from .journal import Journal
from .options import Options
from .problems import Problem, invalid
from .requests import TRACE_HEADER, Request
from .responses import Carriage, Response, json_response, problem_response
from .sessions import Session, SessionBook
from .spoiling import spoil
from .tokens import TokenOffice, read_form, token_answer
from .traffic import Traffic
from .zones import DEFAULT_ZONES_FILE, Directory

TOKEN_PATH = "/v3/shared/access-tokens"
ZONES_PATH = "/v3/shared/zones"
EVENTS_PATH = "/v3/shared/events"
RIGHTS_PATH = "/v4/enforcement/parking-rights"
_MAX_CLOCK_OFFSET_S = 10 * 366 * 86_400

_ROUTES = {
    TOKEN_PATH: ("token", "POST"),
    ZONES_PATH: ("zones", "GET"),
    EVENTS_PATH: ("events", "POST"),
    RIGHTS_PATH: ("rights", "GET"),
}


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
        self._date = (0, "")
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
                self.traffic.by_status["unknown", 404] += 1
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
        response: Response | None = None
        if fault is None or fault.processed:
            visible_at = now + timedelta(seconds=verdict.late_s) if verdict.late_s else None
            try:
                response = self._process(request, now, visible_at)
            except Problem as problem:
                response = problem_response(problem)
        if fault is not None:
            self.traffic.by_fault[fault.kind] += 1
            response = spoil(response, fault, now)
            if fault.retry_after_s is not None and "Retry-After" in response.headers:
                operator_id = request.operator_id or request.guess_operator()
                self.traffic.hold(request.kind, operator_id, now, fault.retry_after_s)
        assert response is not None
        response.action.wait_s = verdict.wait_after_s
        self._note(request, response, verdict, now)
        return response

    def _note(self, request: Request, response: Response, verdict: Verdict, now: datetime) -> None:
        response.headers["Date"] = self._http_date(now)
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

    def _http_date(self, now: datetime) -> str:
        """The `Date` header: the sandbox's own time, so that a clock that is off can be tried out."""
        second = int(now.timestamp())
        if second != self._date[0]:
            self._date = (second, formatdate(second, usegmt=True))
        return self._date[1]

    def _refuse_for_rate(self, request: Request, now: datetime) -> Response:
        problem = Problem(429, "rate_limited", "More requests came than are allowed in a second.")
        response = problem_response(problem, {"Retry-After": "1"})
        self.traffic.hold(request.kind, request.operator_id or request.guess_operator(), now, 1)
        self._note(request, response, CALM, now)
        return response

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

    def _post_events(self, request: Request, now: datetime, visible_at: datetime | None) -> Response:
        intake = Intake(self.directory, self.sessions, self.options, self.traffic, now, visible_at)
        kind, events = intake.read_envelope(request)
        if self.options.answer_mode == "multi_status":
            results, touched = intake.apply_each(events, kind)
            self._keep(touched)
            return json_response(207, {"data": results})
        self._keep(intake.apply_all(events, kind))
        return Response(202)

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

    def move_clock(self, offset_s: float) -> None:
        """Let the sandbox's clock run `offset_s` seconds ahead of (or behind) the real one; ValueError if absurd."""
        if not abs(offset_s) <= _MAX_CLOCK_OFFSET_S:
            raise ValueError(f"offset_s must be within {_MAX_CLOCK_OFFSET_S:,} seconds")
        with self.lock:
            self.clock_offset_s = offset_s
            self.sessions.look_again()

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
