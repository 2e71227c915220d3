"""What tests of validity share: a question, and permits, zones and pushes as they were then."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from integrations.permits.validity import ValidityAnswer, decide
from integrations.permits.validity_snapshots import PermitThen, PushThen, Question, ZoneThen
from locations.regions import Region
from passport.onboarding import NAMES

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ZONE = ZoneThen("Z123", "North", NOW - 30 * HOUR, "z-123")


def question(at: datetime = NOW - HOUR, **values: Any) -> Question:
    columns = {
        "plate": "ABC1234",
        "region": None,
        "location_id": 1,
        "location_name": "North Campus Garage",
        "at": at,
        "tz": NEW_YORK,
        "names": NAMES,
    }
    return Question(**{**columns, **values})


def pushed(
    hours_ago: float, kind: str = "started", result: str = "accepted", session: str = "s1", **rest: Any
) -> PushThen:
    return PushThen(NOW - hours_ago * HOUR, kind, session, result, trace_id=f"t{hours_ago}", **rest)


def told(hours_ago: float, kind: str = "started", session: str = "s1", **values: Any) -> PushThen:
    """An acceptance that says what it was about; by default it is about `permit()`."""
    columns = {
        "plate": "ABC1234",
        "subdivision": "US-NC",
        "zone": "z-123",
        "zone_number": "Z123",
        "since": NOW - 10 * HOUR,
        "until": NOW + 10 * HOUR,
    }
    return pushed(hours_ago, kind, "accepted", session, **{**columns, **values})


def permit(**values: Any) -> PermitThen:
    columns = {
        "pk": 7,
        "plate": "ABC1234",
        "plate_typed": "ABC 1234",
        "region": Region("US", "US-NC"),
        "location_id": 1,
        "location_name": "North Campus Garage",
        "start": NOW - 10 * HOUR,
        "end": NOW + 10 * HOUR,
        "active": True,
        "saved_at": NOW - 12 * HOUR,
        "revision": 1,
        "pushes": [pushed(11)],
    }
    return PermitThen(**{**columns, **values})


def answer(
    *permits: PermitThen, zone: ZoneThen | None = ZONE, asked: Question | None = None
) -> ValidityAnswer:
    return decide(asked or question(), permits, zone, NOW)


def why(verdict: ValidityAnswer) -> str:
    return " | ".join(f"{reason.about}: {reason.text}" for reason in verdict.reasons)
