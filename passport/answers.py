"""What an answer to events says about each event. Pure.

An event is accepted only if the answer says so. Otherwise the outcome is open, and the event is sent again unchanged, which
has no effect at Passport (docs/passport-api.md; assumed: P10).

| status | body | what it says |
|---|---|---|
| 4xx, 5xx, … | anything | the same of all events (`passport.problems`) |
| 204, or any other 2xx | none | all are accepted (assumed: P7) |
| 2xx but 207 | an object that is neither empty, nor an error, nor a list of results | all are accepted |
| 2xx but 207 | `{"data": [result, …]}` | as a 207; a result without a status that names its event accepts it |
| 207 | `{"data": [result, …]}` | each result is about the event that it names, or that stands in its place |
| 2xx | `{}`, `{"data": []}`, a problem, anything that is no object | open |

A result names its event by `session_id`, at its top or in `additional_details`, `event` or `data`. Results that name none
count by their place (in the order sent; assumed: P8), but only if there is one for each event and none that names one stands
elsewhere. An event that no result is about, or more than one, is open.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from passport.http_answer import Answer, answer_error
from passport.problems import UNREADABLE, URN_PREFIX, error_for, unreadable

_MULTI_STATUS = 207
_GROUPS = ("additional_details", "event", "data")
# Members that mean an error whatever they hold: those of problem details (RFC 7807, each of them optional), and what
# gateways write in their place.
_ERROR_FIELDS = frozenset({"title", "detail", "error", "errors", "fault"})
_STATUS_FIELDS = ("status", "status_code", "statusCode", "code")
_FAILED_STATUS = re.compile(r"[345]\d\d\b")
_PLACE = re.compile(r"^[#/$.]*data(?:/|\[|\.)(\d{1,6})\b")
_TOKEN = re.compile(r"[\w-]+")
# A problem is not searched for the events that it names beyond this depth and this number of values.
_MAX_DEPTH = 5
_MAX_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says: a result for each event (None: accepted), and what is wrong with the request as a whole.

    `named` are the places of the events that a refusal of the whole names; see `integrations.vendors.protocol.Sent`.
    """

    results: list[DeliveryError | None]
    error: DeliveryError | None
    named: tuple[int, ...] = ()
    named_surely: bool = False


def read_answer(answer: Answer, sessions: Sequence[str], *, now: datetime) -> Reading:
    """Return what `answer` says of the events of `sessions` (their ids, in the order sent)."""
    error = answer_error(answer)
    if error is not None:
        named, surely = _named(answer.document, sessions) if len(sessions) > 1 else ((), False)
        return Reading([error] * len(sessions), error, named, surely)
    document = answer.document
    if answer.status != _MULTI_STATUS and not answer.body.strip():
        return Reading([None] * len(sessions), None)
    if isinstance(document, dict) and document and not (_is_error(document) or _is_problem(answer)):
        parts = document.get("data")
        if isinstance(parts, list) and parts:
            return _of_parts(answer, parts, sessions, now)
        if answer.status != _MULTI_STATUS and "data" not in document:
            return Reading([None] * len(sessions), None)
    open_ = _open(answer)
    return Reading([open_] * len(sessions), open_)


def _open(answer: Answer) -> TryLater:
    """Return the error for an event if the answer does not say whether it was accepted."""
    if answer.document is None:
        sentence = _("Passport's answer could not be read.")
    else:
        sentence = _("Passport answered %(status)d, but not whether it accepted this.") % {
            "status": answer.status
        }
    return unreadable(sentence, status=answer.status, trace_id=answer.trace_id)


def _is_error(document: Mapping[str, Any]) -> bool:
    """Whether an object in a success answer describes an error: problem details (RFC 7807) or something like them."""
    kind = document.get("type")
    has_urn = isinstance(kind, str) and kind.startswith(URN_PREFIX)
    has_failed = any(_FAILED_STATUS.match(str(document.get(name, ""))) for name in _STATUS_FIELDS)
    return has_urn or has_failed or document.get("success") is False or not _ERROR_FIELDS.isdisjoint(document)


def _is_problem(answer: Answer) -> bool:
    """Whether an answer calls itself problem details, whatever they contain."""
    return answer.headers.get("content-type", "").lower().startswith("application/problem+")


# --- Results of single events -------------------------------------------------------------------------------------------


def _of_parts(answer: Answer, parts: Sequence[Any], sessions: Sequence[str], now: datetime) -> Reading:
    found = match(parts, sessions)
    results = [_of_part(answer, part, session, now) for part, session in zip(found, sessions, strict=True)]
    is_read = any(result is None or result.code != UNREADABLE for result in results)
    return Reading(results, _of_whole(results, is_read=is_read))


def match(parts: Sequence[Any], sessions: Sequence[str]) -> list[Any]:
    """Return for each session the one part of an answer that is about it, or None."""
    names = [_sessions_of(part) for part in parts]
    if len(parts) == len(sessions) and all(
        named <= {session} for named, session in zip(names, sessions, strict=True)
    ):
        return list(parts)
    counts = Counter(session for named in names for session in named)
    of = {min(named): part for named, part in zip(names, parts, strict=True) if len(named) == 1}
    return [of.get(session) if counts[session] == 1 else None for session in sessions]


def _sessions_of(part: Any) -> set[str]:
    """Return the sessions that a part names: one, if it can be read at all."""
    groups = (part, *(part.get(name) for name in _GROUPS)) if isinstance(part, dict) else ()
    return {
        str(group["session_id"])
        for group in groups
        if isinstance(group, dict) and group.get("session_id") is not None
    }


def _of_part(answer: Answer, part: Any, session: str, now: datetime) -> DeliveryError | None:
    if not isinstance(part, dict):
        return _open(answer)
    status = part.get("status")
    if type(status) is int and 300 <= status <= 599:
        return error_for(
            status, part, headers=answer.headers, now=now, trace_id=answer.trace_id, is_part=True
        )
    if _is_error(part):
        return _open(answer)
    says_so = type(status) is int and 200 <= status < 300
    names_it = answer.status != _MULTI_STATUS and "status" not in part and _sessions_of(part) == {session}
    return None if says_so or names_it else _open(answer)


def _of_whole(results: Sequence[DeliveryError | None], *, is_read: bool) -> DeliveryError | None:
    """Return what is wrong with the request as a whole; None where its events were judged one by one.

    An answer in which several events are all to be tried later, or all barred, says as much as a 503 does: that the remote
    or the connection has a problem; so does an answer that can't be read at all. Where a single event, or only some, are to
    be tried later, these wait separately.
    """
    failures = [result for result in results if isinstance(result, TryLater | FixConnection)]
    if len(failures) < (max(len(results), 2) if is_read else 1):
        return None
    return max(failures, key=_gravity)


def _gravity(error: DeliveryError) -> tuple[bool, float]:
    wait = error.retry_after if isinstance(error, TryLater) else None
    return isinstance(error, FixConnection), wait.total_seconds() if wait else 0.0


# --- The events that a refusal of the whole names -----------------------------------------------------------------------


def _named(document: Any, sessions: Sequence[str]) -> tuple[tuple[int, ...], bool]:
    """Return the places of the events that a problem is about, and whether it names them for certain.

    Read are session ids wherever they stand, JSON pointers and paths (`/data/3/vehicle`, `data[3].vehicle`: RFC 6901 and
    9535 count from zero) and the field `index`, which is only a hint. Nothing of this is documented.
    """
    if not isinstance(document, dict):
        return (), False
    places = {session: place for place, session in enumerate(sessions)}
    surely: set[int] = set()
    pointed: set[int] = set()
    hinted: set[int] = set()
    for name, value in _values(document):
        if isinstance(value, str):
            surely.update(places[token] for token in _TOKEN.findall(value) if token in places)
            if path := _PLACE.match(value):
                pointed.add(int(path[1]))
        elif name == "index" and type(value) is int:
            hinted.add(value)
    inside = range(len(sessions))
    found = surely or pointed.intersection(inside) or hinted.intersection(inside)
    if not 0 < len(found) < len(sessions):
        return (), False  # a problem that names them all names none
    return tuple(sorted(found)), bool(surely or pointed)


def _values(document: Any) -> Iterator[tuple[str, Any]]:
    """Yield the plain values within a document with their names, up to a depth and a number."""
    waiting: list[tuple[str, Any, int]] = [("", document, 0)]
    for _count in range(_MAX_VALUES):
        if not waiting:
            return
        name, value, depth = waiting.pop()
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            waiting += [(key, item, depth + 1) for key, item in value.items()]
        elif isinstance(value, list) and depth < _MAX_DEPTH:
            waiting += [(name, item, depth + 1) for item in value]
        else:
            yield name, value
