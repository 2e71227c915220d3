"""What a fault makes of an answer. Pure, except for the fault's own random numbers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import orjson
from starlette.responses import Response

from .faults import Fault
from .problems import Problem
from .responses import Dropped, Endless, Json, Padded, Truncated, problem_response

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
_BEGINNING = b'{"data": ['
_BROKEN_JSON = '{"data": [{"id": "5d0'


def spoil(response: Response | None, fault: Fault, now: datetime) -> Response:
    """The answer as `fault` makes it; `response` is the true one where the request was processed."""
    match fault.kind:
        case "drop" | "answer_lost":
            return Dropped()
        case "401":
            return problem_response(Problem(401, "unauthorized", "The access token is not known."))
        case "403":
            detail = "The operator has not authorised this partner."
            return problem_response(Problem(403, "operator_not_authorized", detail))
        case "429" | "5xx":
            return _busy(fault, now)
        case "html":
            return _as_given(fault, _HTML_PAGE, "text/html; charset=utf-8")
        case "broken_json":
            return _as_given(fault, _BROKEN_JSON, "application/json")
        case "wrong_json":
            shape = orjson.dumps(fault.rng.choice(_WRONG_SHAPES)).decode()
            return _as_given(fault, shape, "application/json")
        case "huge_body":
            return Padded(_BEGINNING, fault.status, size_bytes=fault.size_bytes)
        case "endless_body":
            return Endless(_BEGINNING, fault.status, interval_s=fault.delay_s)
        case "truncated":
            whole = response if response is not None and response.body else Json({"data": []})
            return Truncated(bytes(whole.body), whole.status_code, dict(whole.headers))
    raise AssertionError(f"fault {fault.kind} spoils no answer")


def _as_given(
    fault: Fault, usual: str, content_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The fault's own body or the usual one, with its length also where a status (204) allows no body."""
    content = (usual if fault.body is None else fault.body).encode()
    fixed = {"Content-Length": str(len(content)), "Content-Type": content_type}
    return Response(content, fault.status, {**fixed, **(headers or {})})


def _busy(fault: Fault, now: datetime) -> Response:
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = retry_after(fault.retry_after_s, fault.retry_after_form, now)
    if fault.body is not None:
        return _as_given(fault, "", "text/plain; charset=utf-8", headers)
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
