"""What Passport may do although it has accepted an event, and lists that don't show what it has."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.passport.sandbox_partner import NOON, NORTH_CAMPUS, UNIVERSITY, Partner, stamp

NIGHT = stamp(NOON + timedelta(hours=20))


@pytest.fixture
def partner() -> Partner:
    return Partner().log_in()


def zones(partner: Partner) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(partner.zones().body)
    return found


def test_a_start_that_is_forgotten_never_shows_and_can_be_sent_again(partner: Partner) -> None:
    partner.fault("forget", times=1)
    assert partner.start().status == 202
    assert partner.rights() == []
    partner.start()
    assert [right["reference_id"] for right in partner.rights()] == ["s-1"]


@pytest.mark.parametrize("hours", [2, 20])
def test_a_change_of_the_end_that_is_forgotten_leaves_the_old_end(partner: Partner, hours: int) -> None:
    partner.fault("forget", event_type="extended")
    partner.start()
    [before] = partner.rights()
    partner.advance(1)
    assert partner.extend(end_time=stamp(NOON + timedelta(hours=hours))).status == 202
    assert partner.rights() == [before]
    partner.stop()
    assert partner.rights() == [], "a stop is of another type"


@pytest.mark.parametrize(("kind", "part"), [("wrong_plate", "vehicle"), ("wrong_zone", "zone_id")])
def test_another_plate_or_zone_shows_under_our_id(partner: Partner, kind: str, part: str) -> None:
    partner.fault(kind, times=1)
    partner.start("wrong")
    partner.start("right")
    wrong, right = partner.rights()
    assert wrong["reference_id"] == "wrong"
    assert {name for name in right if wrong[name] != right[name]} == {"id", "reference_id", part}


def test_a_part_of_the_events_is_taken_and_the_rest_is_asked_for_later(partner: Partner) -> None:
    partner.fault("partial", times=1, status=429, retry_after_s=7)
    events = [partner.event(session_id=f"s-{number}") for number in range(4)]
    response = partner.send("started", *events)
    assert (response.status, response.headers["Retry-After"]) == (207, "7")
    assert [result["status"] for result in json.loads(response.body)["data"]] == [202, 429, 202, 429]
    assert {right["reference_id"] for right in partner.rights()} == {"s-0", "s-2"}


def test_a_proxy_refuses_requests_with_too_many_events(partner: Partner) -> None:
    partner.fault("html", status=413, above_events=2)
    events = [partner.event(session_id=f"s-{number}") for number in range(3)]
    response = partner.send("started", *events)
    assert response.status == 413
    assert b"<h1>Request Entity Too Large</h1>" in response.body
    assert partner.send("started", *events[:2]).status == 202


@pytest.mark.parametrize("as_null", [False, True])
def test_zones_are_listed_without_some_of_their_fields(partner: Partner, as_null: bool) -> None:
    partner.fault("missing_fields", path="zones", fields="session_type,spaces", as_null=as_null, times=1)
    for zone in zones(partner)["data"]:
        assert zone.get("session_type") is None
        assert ("session_type" in zone) is as_null
        assert zone["number"]
    assert zones(partner)["data"][0]["session_type"]


def test_a_list_ends_early_without_an_error(partner: Partner) -> None:
    partner.fault("short_list", times=1)
    found = zones(partner)
    assert len(found["data"]) == 5
    assert "next" not in found


def test_a_list_has_always_another_page(partner: Partner) -> None:
    partner.fault("endless_list")
    assert len({zones(partner)["next"] for _ in range(10)}) == 10


def test_plates_states_and_zone_ids_are_listed_in_another_form(partner: Partner) -> None:
    partner.start()
    partner.fault("other_forms")
    [right] = partner.rights()
    assert right["vehicle"] == {"vehicle_plate": "abc-123", "vehicle_state": "NC"}
    assert right["zone_id"] == NORTH_CAMPUS.upper()


def test_many_rights_that_are_not_ours_are_added_with_a_type_and_a_reference(partner: Partner) -> None:
    right = {
        "operator_id": UNIVERSITY,
        "zone_id": NORTH_CAMPUS,
        "start_time": stamp(NOON),
        "end_time": NIGHT,
        "vehicle": {"vehicle_plate": "RES", "vehicle_state": "NC"},
        "type": "residential_permit",
    }
    assert partner.control("POST", "rights", {**right, "count": 300}, expect=201) == {"added": 300}
    partner.control("POST", "rights", {**right, "reference_id": "theirs"}, expect=201)
    found = partner.rights()
    assert len(found) == 301
    assert {each["type"] for each in found} == {"residential_permit"}
    assert [each["reference_id"] for each in found if "reference_id" in each] == ["theirs"]


def test_a_session_gets_another_plate_and_is_found_by_it(partner: Partner) -> None:
    partner.start()
    partner.control("PATCH", "sessions/s-1", {"vehicle_plate": "OTHER1", "space_number": "9"})
    [right] = partner.rights("vehicle_plate=other-1")
    assert right["space_number"] == "9"
    assert partner.rights("vehicle_plate=ABC123") == []
