"""What an answer looks like once a fault has had its way with it. Pure, but for the fault's own random numbers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from .faults import Fault
from .problems import Problem
from .responses import Carriage, Response, json_response, problem_response

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
_HTML_PAGE = (
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>"
    "<body><h1>Bad Gateway</h1><p>The upstream server did not answer.</p></body></html>"
)
_BROKEN_JSON = '{"data": [{"id": "5d0'


def spoil(response: Response | None, fault: Fault, now: datetime) -> Response:
    """The answer as `fault` makes it; `response` is the true one where the request was processed."""
    match fault.kind:
        case "drop" | "answer_lost":
            return Response(0, action=Carriage(ending="drop"))
        case "401":
            return problem_response(Problem(401, "unauthorized", "The access token is not known."))
        case "403":
            detail = "The operator has not authorised this partner."
            return problem_response(Problem(403, "operator_not_authorized", detail))
        case "429" | "5xx":
            return _busy(fault, now)
        case "html":
            return Response(fault.status, _body(fault, _HTML_PAGE), "text/html; charset=utf-8")
        case "broken_json":
            return Response(fault.status, _body(fault, _BROKEN_JSON))
        case "wrong_json":
            shape = json_response(fault.status, fault.rng.choice(_WRONG_SHAPES))
            return shape if fault.body is None else Response(fault.status, fault.body.encode())
        case "huge_body":
            carriage = Carriage(ending="padded", size_bytes=fault.size_bytes)
            return Response(fault.status, b'{"data": [', action=carriage)
        case "endless_body":
            carriage = Carriage(ending="endless", interval_s=fault.delay_s)
            return Response(fault.status, b'{"data": [', action=carriage)
        case "truncated":
            whole = response if response is not None and response.body else json_response(200, {"data": []})
            whole.action.ending = "truncated"
            return whole
    raise AssertionError(f"fault {fault.kind} spoils no answer")


def _body(fault: Fault, usual: str) -> bytes:
    return (usual if fault.body is None else fault.body).encode()


def _busy(fault: Fault, now: datetime) -> Response:
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = retry_after(fault.retry_after_s, fault.retry_after_form, now)
    if fault.body is not None:
        return Response(fault.status, fault.body.encode(), "text/plain; charset=utf-8", headers)
    code = "rate_limited" if fault.status == 429 else "internal_error"
    return problem_response(Problem(fault.status, code, "Please try again later."), headers)


def retry_after(seconds: float, form: str, now: datetime) -> str:
    """A Retry-After header in either form; seconds are rounded up, a date is in whole seconds."""
    whole = int(-(-seconds // 1))
    if form == "seconds":
        return str(whole)
    try:
        later = now.astimezone(UTC) + timedelta(seconds=whole)
    except OverflowError:
        later = datetime.max.replace(tzinfo=UTC)
    return format_datetime(later.replace(microsecond=0), usegmt=True)
