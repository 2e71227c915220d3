"""What single values may look like. Pure functions; each raises a Problem that names the field.

Documented: RFC 3339 with ``T`` in UTC, money as a decimal string with a leading zero, ISO 4217 currencies in upper
case. Observed: states as ISO 3166-2. Assumed, and on the strict side so that a client that passes here passes there:
``occurred_at`` carries exactly three decimals, amounts exactly two, a plate is at most 12 of A–Z and 0–9 (blanks,
hyphens and dots aside), and a vehicle of a country with known subdivisions names one.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from sys import intern
from typing import Any

import orjson

from .problems import invalid

# ISO 3166-1 alpha-2, ISO 4217, and the subdivisions of US, CA and MX (ISO 3166-2).
_CODES = orjson.loads(Path(__file__).with_name("data").joinpath("iso_codes.json").read_bytes())
COUNTRIES = frozenset(_CODES["countries"].split())
CURRENCIES = frozenset(_CODES["currencies"].split())
SUBDIVISIONS = {country: frozenset(codes.split()) for country, codes in _CODES["subdivisions"].items()}

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)", re.ASCII).fullmatch
_TIME_MS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(?:Z|\+00:00)", re.ASCII).fullmatch
_MONEY = re.compile(r"(?:0|[1-9]\d{0,9})\.\d\d", re.ASCII).fullmatch
_PLATE = re.compile(r"[A-Z0-9]{1,12}").fullmatch
_SUBDIVISION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}").fullmatch
_SESSION_ID = re.compile(r"[\x21-\x7e]{1,128}").fullmatch
_PLATE_NOISE = str.maketrans("", "", " -.\u00a0")

STATE_FORMS = ("either", "iso", "short")


def is_uuid(value: object) -> bool:
    """Whether `value` is a UUID with hyphens, in any case."""
    return isinstance(value, str) and _UUID(value) is not None


def check_id(field: str, value: Any) -> str:
    """A UUID as all known clients send it: with hyphens, in lower case."""
    if not is_uuid(value) or value != value.lower():
        raise invalid(field, "is required and must be a UUID in lower case")
    return str(value)


def parse_time(field: str, value: Any, *, milliseconds: bool = False) -> datetime:
    """An aware UTC datetime from an RFC 3339 string; `milliseconds` asks for exactly three decimals."""
    if type(value) is not str:
        raise invalid(field, "must be a string with an RFC 3339 timestamp")
    if not (_TIME_MS if milliseconds else _TIME)(value):
        wanted = "2026-01-31T23:59:59.123Z" if milliseconds else "2026-01-31T23:59:59Z"
        raise invalid(field, f"must be an RFC 3339 timestamp in UTC such as {wanted}")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise invalid(field, "is not a moment of the calendar") from None
    return moment if moment.tzinfo is UTC else moment.replace(tzinfo=UTC)


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC, without decimals where there are none."""
    if moment.microsecond:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def plate_key(plate: str) -> str:
    """The form in which plates are compared: upper case, without blanks, hyphens and dots. Never O to 0."""
    if _PLATE(plate):
        return plate
    return plate.translate(_PLATE_NOISE).upper()


def state_key(state: str) -> str:
    """The form in which states are compared: ``US-NC`` and ``NC`` are the same state."""
    return state[3:] if len(state) > 3 and state[2] == "-" else state


def check_session_id(value: Any) -> str:
    """A session id: 1 to 128 printable ASCII characters (assumed)."""
    if type(value) is not str or not _SESSION_ID(value):
        raise invalid("session_id", "must be a string of 1 to 128 printable ASCII characters without blanks")
    return value


def check_text(field: str, value: Any, *, at_most: int = 255) -> str:
    """A string that is neither blank nor longer than `at_most` characters (assumed)."""
    if type(value) is not str or not value.strip() or len(value) > at_most:
        raise invalid(field, f"must be a string of 1 to {at_most} characters")
    return value


def check_fees(field: str, value: Any) -> None:
    """A group of amounts with one currency; all four fields are required."""
    if type(value) is not dict:
        raise invalid(field, "must be an object with parking_fee, convenience_fee, tax and currency_code")
    if value.keys() != _FEE_FIELDS:
        for name in sorted(_FEE_FIELDS - value.keys()):
            raise invalid(f"{field}.{name}", "is required")
        for name in sorted(value.keys() - _FEE_FIELDS):
            raise invalid(f"{field}.{name}", "is not a field of this group")
    for name in _AMOUNTS:
        amount = value[name]
        if type(amount) is not str or not _MONEY(amount):
            raise invalid(f"{field}.{name}", 'must be a decimal string with a leading zero such as "0.05"')
    currency = value["currency_code"]
    if type(currency) is not str or currency not in CURRENCIES:
        raise invalid(f"{field}.currency_code", "must be an ISO 4217 code in upper case such as USD")


_AMOUNTS = ("parking_fee", "convenience_fee", "tax")
_FEE_FIELDS = frozenset((*_AMOUNTS, "currency_code"))
_VEHICLE_FIELDS = frozenset(("vehicle_plate", "vehicle_state", "vehicle_country"))


def check_vehicle(value: Any, *, state_form: str) -> tuple[str, str, str, str]:
    """(plate as sent, its key, state as sent or "", country) of a `vehicle` object.

    `state_form` is one of STATE_FORMS: ``iso`` takes US-NC alone, ``short`` NC alone.
    """
    if type(value) is not dict:
        raise invalid("vehicle", "must be an object with vehicle_plate, vehicle_state and vehicle_country")
    if not value.keys() <= _VEHICLE_FIELDS:
        raise invalid(f"vehicle.{min(value.keys() - _VEHICLE_FIELDS)}", "is not a field of a vehicle")
    plate: Any = value.get("vehicle_plate")
    key = plate_key(plate) if type(plate) is str else ""
    if not _PLATE(key):
        raise invalid("vehicle.vehicle_plate", "must be a string of 1 to 12 letters A-Z and digits")
    country = value.get("vehicle_country")
    if type(country) is not str or country not in COUNTRIES:
        raise invalid("vehicle.vehicle_country", "must be an ISO 3166-1 alpha-2 code such as US")
    state = value.get("vehicle_state")
    if state is None and "vehicle_state" not in value and country not in SUBDIVISIONS:
        return plate, key, "", intern(country)
    # There are few states and countries, and many sessions that hold them.
    return plate, key, intern(_check_state(state, country, state_form)), intern(country)


def _check_state(state: Any, country: str, state_form: str) -> str:
    field = "vehicle.vehicle_state"
    if type(state) is not str:
        raise invalid(field, f"is required for a vehicle of {country}")
    if "-" in state:
        if state_form == "short":
            raise invalid(field, "must be given without its country, such as NC")
        if not _SUBDIVISION(state):
            raise invalid(field, "must be an ISO 3166-2 code such as US-NC")
        prefix, code = state.split("-", 1)
        if prefix != country:
            raise invalid(field, f"{state} is not a state of {country}")
    else:
        if state_form == "iso":
            raise invalid(field, "must be an ISO 3166-2 code such as US-NC")
        code = state
        if not _SUBDIVISION(f"{country}-{code}"):
            raise invalid(field, "must be the code of a state such as NC")
    known = SUBDIVISIONS.get(country)
    if known is not None and code not in known:
        raise invalid(field, f"{state} is not a state of {country}")
    return state
