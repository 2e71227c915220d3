"""Checks of single values, and the form of a refusal. Pure.

A check takes a field's name and its value and returns what the value means, or raises the Problem that names the
field. A refusal is RFC 7807 problem details (documented: `type` is a URN that starts with ``io.passportlabs:error:``,
custom fields are wrapped in ``additional_details``).

Documented: RFC 3339 with ``T`` in UTC, money as a decimal string with a leading zero, ISO 4217 currencies in upper
case. Observed: states as ISO 3166-2. Assumed, and on the strict side so that a client that passes here passes there:
``occurred_at`` carries exactly three decimals, amounts exactly two, a plate is at most 12 of A–Z and 0–9 (blanks,
hyphens and dots aside), and a vehicle of a country with known subdivisions names one.
"""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from sys import intern
from typing import Any

import orjson

URN_PREFIX = "io.passportlabs:error:"


class Problem(Exception):
    """One refusal. Raised inside the sandbox; rendered by :meth:`document`.

    `code` is the URN's last part, `status` the HTTP status, `extra` goes into ``additional_details``.
    """

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The problem details document, ready to be written as JSON."""
        return {
            "type": URN_PREFIX + self.code,
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            **({"additional_details": self.extra} if self.extra else {}),
        }


def invalid(field: str, detail: str, code: str = "validation_error") -> Problem:
    """A 400 that names the field that is wrong."""
    return Problem(400, code, f"{field}: {detail}", field=field)


Check = Callable[[str, Any], Any]

# ISO 3166-1 alpha-2, ISO 4217, and the subdivisions of US, CA and MX (ISO 3166-2).
_CODES = orjson.loads(Path(__file__).with_name("data").joinpath("iso_codes.json").read_bytes())
COUNTRIES = frozenset(_CODES["countries"].split())
CURRENCIES = frozenset(_CODES["currencies"].split())
SUBDIVISIONS = {country: frozenset(codes.split()) for country, codes in _CODES["subdivisions"].items()}
STATE_FORMS = ("either", "iso", "short")


def _shape(expression: str) -> Callable[[str], Any]:
    return re.compile(expression, re.ASCII).fullmatch


_UUID = _shape("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_STATE = _shape("(?:([A-Z]{2})-)?([A-Z0-9]{1,3})")
_PLATE = _shape("[A-Z0-9]{1,12}")
_PLATE_NOISE = str.maketrans("", "", " -.\u00a0")


def is_uuid(value: object) -> bool:
    """Whether `value` is a UUID with hyphens, in any case."""
    return isinstance(value, str) and _UUID(value) is not None


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds where there are any."""
    decimals = f".{moment.microsecond // 1000:03d}" if moment.microsecond else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{decimals}Z"


def plate_key(plate: str) -> str:
    """The form in which plates are compared: upper case, without blanks, hyphens and dots. Never O to 0."""
    return plate if _PLATE(plate) else plate.translate(_PLATE_NOISE).upper()


def state_key(state: str) -> str:
    """The form in which states are compared: ``US-NC`` and ``NC`` are the same state."""
    return state[3:] if len(state) > 3 and state[2] == "-" else state


def string(allows: Callable[[str], Any], wanted: str) -> Check:
    """A string that `allows` accepts; `wanted` describes it."""

    def check(field: str, value: Any) -> str:
        if type(value) is not str or not allows(value):
            raise invalid(field, f"must be {wanted}")
        return value

    return check


def text(most: int = 255) -> Check:
    """A string that is neither blank nor longer than `most` characters (assumed)."""
    return string(lambda value: value.strip() and len(value) <= most, f"a string of 1 to {most} characters")


def time(decimals: str, example: str) -> Check:
    """An RFC 3339 time in UTC, which becomes an aware datetime; `decimals` is the expression for its fraction."""
    shape = _shape(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d{decimals}(?:Z|\+00:00)")

    def check(field: str, value: Any) -> datetime:
        if type(value) is not str or not shape(value):
            raise invalid(field, f"must be a string with an RFC 3339 timestamp in UTC such as {example}")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise invalid(field, "is not a moment of the calendar") from None
        return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)

    return check


def group(checks: Mapping[str, Check], required: Collection[str] = ()) -> Check:
    """An object with these fields and no others; it becomes a dict of what they mean."""
    needed, known = frozenset(required), checks.keys()

    def check(field: str, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise invalid(field, f"must be an object with {', '.join(known)}")
        keys, prefix = value.keys(), field and f"{field}."
        if not keys >= needed:
            raise invalid(prefix + min(needed - keys), "is required")
        if not keys <= known:
            raise invalid(prefix + min(keys - known), "is not a field that is known here")
        return {name: checks[name](prefix + name, item) for name, item in value.items()}

    return check


def uuid_in_any_case(field: str, value: Any) -> str:
    """A UUID, which becomes lower case."""
    return str(uuid(field, str(value).lower()))


def anything(_field: str, value: Any) -> Any:
    """Any value; it is checked elsewhere."""
    return value


def number(field: str, value: Any) -> float:
    """A number of JSON."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise invalid(field, "must be a number")
    return value


def state(vehicle: dict[str, Any], form: str) -> str:
    """The state of a `vehicle` as it was sent, or "" where none was: not every plate has one (assumed: P15).

    `form` is one of STATE_FORMS: ``iso`` takes US-NC alone, ``short`` NC alone.
    """
    field, sent, country = "vehicle.vehicle_state", vehicle.get("vehicle_state"), vehicle["vehicle_country"]
    known = SUBDIVISIONS.get(country)
    if "vehicle_state" not in vehicle:
        return ""
    parts = _STATE(sent) if type(sent) is str else None
    if parts is None or form == ("short" if parts[1] else "iso"):
        example = {"iso": "US-NC", "short": "NC"}.get(form, "US-NC or NC")
        raise invalid(field, f"must be a code of {country} such as {example}")
    if parts[1] not in (None, country) or (known is not None and parts[2] not in known):
        raise invalid(field, f"{sent} is not a state of {country}")
    # There are few states, and many sessions that hold them.
    return intern(parts[0])


any_time = time(r"(?:\.\d{1,6})?", "2026-01-31T23:59:59Z")
time_with_milliseconds = time(r"\.\d{3}", "2026-01-31T23:59:59.123Z")
# As all known clients send them: in lower case.
uuid = string(_shape("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "given, as a UUID in lower case")
session_id = string(
    _shape(r"[\x21-\x7e]{1,128}"), "a string of 1 to 128 printable ASCII characters without blanks"
)
plate = string(lambda value: _PLATE(plate_key(value)), "a string of 1 to 12 letters A-Z and digits")
_country = string(COUNTRIES.__contains__, "an ISO 3166-1 alpha-2 code such as US")
_currency = string(CURRENCIES.__contains__, "an ISO 4217 code in upper case such as USD")
_amount = string(_shape(r"(?:0|[1-9]\d{0,9})\.\d\d"), 'a decimal string with a leading zero such as "0.05"')
_fees = {**dict.fromkeys(("parking_fee", "convenience_fee", "tax"), _amount), "currency_code": _currency}
fees = group(_fees, required=_fees)
vehicle = group(
    # What a state may be depends on the country, so `state` looks at it.
    {"vehicle_plate": plate, "vehicle_state": anything, "vehicle_country": _country},
    required=("vehicle_plate", "vehicle_country"),
)
location = group(dict.fromkeys(("latitude", "longitude", "accuracy"), number))
payment = group(dict.fromkeys(("gateway_transaction_id", "payment_type"), text()))
