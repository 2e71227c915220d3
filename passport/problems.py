"""What a status and a body of Passport mean: an error that says what to do next. Pure.

Documented (docs/passport-api.md, E1 and E2): standard HTTP codes; a failure's body may be RFC 7807 problem details whose
`type` begins with `io.passportlabs:error:`; it may also be absent, or HTML from a proxy. Our decision: always try again for
408, 429 (`Retry-After`, both forms), 5xx and whatever can't be read; and

| what came | error | why |
|---|---|---|
| 4xx with a problem of Passport's | `FixRecord` | Passport has looked at the record and refuses it |
| any other 4xx; 403 with a page | `Intercepted` | Passport names its problems; a proxy, a firewall or a gateway does not |
| 413, or the problem `too_many_events` | `TooLarge` | it is the request that is refused, not a record |
| 401, 403, the problem `operator_not_found` | `FixConnection` | nothing of this operator can be sent |

A refusal is permanent (`_FOR_GOOD`) only if the same record would be refused whenever it is sent; problems that we don't
know are tried again slowly.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

import orjson
from django.utils.translation import gettext as _

from integrations.vendors.errors import (
    DeliveryError,
    FixConnection,
    FixRecord,
    Intercepted,
    TooLarge,
    TryLater,
)

URN_PREFIX = "io.passportlabs:error:"
UNREADABLE = "unreadable"
MAX_DETAIL_CHARS = 300
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
# Problems that are permanently about the record, and why. All others may pass: a zone comes back (`zone_not_found`), the next
# session has another number (`session_conflict`), a new version of ours is deployed (`malformed_body`, …).
_FOR_GOOD = {
    # The record's content is not what Passport wants. Only a change of the permit helps …
    "validation_error": "a plate or a state in a form that Passport does not take",
}
# … if that is what the problem is about, and not something that changes on Passport's side: its zones, their spaces, the
# operator; or on its own: what is in the past or too far ahead by one clock or one limit is not by another, and our times
# are in order and in the form that Passport documents. A problem that does not say what it is about may be about those.
_OF_THE_RECORD = ("plate", "vehicle", "state", "country")
_MAY_CHANGE = ("zone", "space", "operator", "session", "time", "date", "past", "future", "clock", "occurred")
# Problems that say that what should be ended does not exist: the goal is reached. Assumed names (E5).
_GONE = frozenset({"session_not_found", "unknown_session", "session_already_stopped", "session_stopped"})
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
_FIELD_NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+(?=: )")


class Problem(NamedTuple):
    """Problem details as far as they could be read; empty strings for what is missing."""

    code: str
    detail: str
    # Everything it says about its subject, in lower case: title, detail, and the texts of `additional_details`.
    subject: str = ""

    @property
    def is_for_good(self) -> bool:
        """Whether the same record would be refused whenever it is sent."""
        return (
            self.code in _FOR_GOOD
            and any(word in self.subject for word in _OF_THE_RECORD)
            and not any(word in self.subject for word in _MAY_CHANGE)
        )


def read_json(body: bytes) -> Any:
    """Return the JSON document of a body, without NULs (PostgreSQL stores none), or None if it holds none."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return _without_nul(document) if b"\\u0000" in body else document


def _without_nul(document: Any) -> Any:
    """Return a document without NULs, however deeply nested; with an explicit stack, since recursion would overflow."""
    whole = [document]
    waiting: list[tuple[Any, Iterable[Any]]] = [(whole, range(1))]
    while waiting:
        held, places = waiting.pop()
        for place in places:
            value = held[place]
            if isinstance(value, str):
                held[place] = value.replace("\x00", "")
            elif isinstance(value, list):
                waiting.append((value, range(len(value))))
            elif isinstance(value, dict):
                held[place] = named = {name.replace("\x00", ""): item for name, item in value.items()}
                waiting.append((named, list(named)))
    return whole[0]


def read_problem(document: Any) -> Problem:
    """Return the problem that a document describes; tolerant of every wrong type."""
    if not isinstance(document, Mapping):
        return Problem("", "")
    urn = document.get("type")
    code = urn.rpartition(":")[2] if isinstance(urn, str) and urn.startswith(URN_PREFIX) else ""
    texts = [
        text
        for text in (document.get("detail"), document.get("title"))
        if isinstance(text, str) and text.strip()
    ]
    # Unprintable characters are left out: PostgreSQL would not even store a NUL.
    more = document.get("additional_details")
    said = [text for text in more.values() if isinstance(text, str)] if isinstance(more, Mapping) else []
    seen = "".join(sign if sign.isprintable() else " " for sign in texts[0]) if texts else ""
    detail = " ".join(seen.split())[:MAX_DETAIL_CHARS]
    return Problem(
        "".join(sign for sign in code if (sign.isascii() and sign.isalnum()) or sign == "_")[:80],
        _for_people(detail),
        " ".join([*texts, *said]).lower(),
    )


def _for_people(detail: str) -> str:
    """Return a problem's detail with the fields that it names in words: “space_number: …” → “Space number: …”.

    A zone's or an operator's UUID says nothing to people, and would make one reason look like many; it is left out.
    Assumed (E6), since Passport documents no form; a detail that names no field before a colon is unchanged.
    """
    told = _FIELD_NAME.sub(lambda name: name.group().replace("_", " "), detail)
    told = " ".join(_UUID.sub("", told).split())
    return told if told == detail else told[0].upper() + told[1:]


def retry_after(headers: Mapping[str, str], *, now: datetime) -> timedelta | None:
    """Return what a `Retry-After` header asks for, in seconds or as an HTTP date; None if it can't be read.

    A date is by the server's clock, which the answer's own `Date` gives; ours (`now`) may differ. Both are
    in whole seconds, so that only their difference says how long it was meant to be. The names of headers are in lower case.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:12]), 10**9))
    at = _http_date(text)
    if at is None:
        return None
    return max(at - (_http_date(headers.get("date", "")) or now), timedelta(0))


def _http_date(text: str) -> datetime | None:
    """Return the time of an HTTP date; None if it can't be read."""
    try:
        at = parsedate_to_datetime(text)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        # Not only ValueError: a zone of many digits overflows, and the parser indexes past the end.
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def remedy_for(problem: Problem) -> str:
    """Return what a person can do about a refusal, if its code or detail says what it is about.

    Only `zone_not_found` is documented as a code (E4); so this looks for the word that a code or a detail must contain.
    """
    about = f"{problem.code} {problem.detail}".lower()
    remedies = {
        "space": _("Enter a space number that exists in the zone."),
        "zone": _("Refresh the zones and map the location again."),
        "operator": _("Check the operator ID with your Passport contact."),
        "state": _("Fix the state or province of the plate."),
        "plate": _("Fix the plate."),
        "time": _("Fix the permit's start and end."),
    }
    return next((remedy for word, remedy in remedies.items() if word in about), "")


def error_for(
    status: int,
    document: Any,
    *,
    headers: Mapping[str, str],
    now: datetime,
    trace_id: str,
    is_markup: bool = False,
    is_part: bool = False,
) -> DeliveryError | None:
    """Return the error that an answer means, or None for an acceptance (any 2xx).

    `is_markup`: the body was an HTML page; `is_part`: this is one result within an answer, so from Passport itself.
    """
    if 200 <= status < 300:
        return None
    problem = read_problem(document)
    known: dict[str, Any] = {"code": problem.code or f"http_{status}", "status": status, "trace_id": trace_id}
    wait = retry_after(headers, now=now)
    if status in _AGAIN or not 400 <= status < 500:
        if status == 429:
            sentence = _("Passport asked Offstreet to slow down.")
        else:
            sentence = _("Passport answered %(status)d.") % {"status": status}
        return TryLater(sentence, retry_after=wait, **known)
    if status == 413 or problem.code == "too_many_events":
        return TooLarge(_("The request was too large."), retry_after=wait, **known)
    if not (problem.code or is_part) and (is_markup or status not in (401, 403)):
        sentence = _("Something between Offstreet and Passport answered %(status)d instead of Passport.")
        return Intercepted(sentence % {"status": status}, retry_after=wait, **known)
    if status == 401:
        # The token was fetched just before, so the credentials are valid: it is this operator that is barred.
        return FixConnection(
            _("Passport doesn't accept Offstreet's access token for this operator."),
            remedy=_("Ask your Passport contact to authorise Offstreet for this operator ID."),
            **known,
        )
    if status == 403:
        return FixConnection(
            problem.detail or _("Passport says that this operator hasn't authorised Offstreet."),
            remedy=_("Ask your Passport contact to authorise Offstreet for this operator ID."),
            **known,
        )
    if problem.code == "operator_not_found":
        return FixConnection(
            _("Passport does not know this operator ID."),
            remedy=remedy_for(problem),
            **known,
        )
    return FixRecord(
        problem.detail or _("Passport refused this permit (%(status)d).") % {"status": status},
        remedy=remedy_for(problem),
        gone=problem.code in _GONE,
        for_good=problem.is_for_good,
        **known,
    )


def unreadable(sentence: str, *, status: int | None, trace_id: str) -> TryLater:
    """Return the error for an answer that can't be read."""
    return TryLater(sentence, code=UNREADABLE, status=status, trace_id=trace_id)
