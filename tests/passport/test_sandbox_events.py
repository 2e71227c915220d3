"""What events do to a session, one by one and several in a request."""

import json
from datetime import timedelta
from typing import Any

import pytest

from passport.sandbox.api import EVENTS_PATH
from passport.sandbox.options import Options
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_partner import (
    LAKESHORE,
    LOT_B,
    NOON,
    UNIVERSITY,
    VEHICLE,
    Partner,
    code,
    problem,
    stamp,
    stamp_ms,
)

# -- what events do ----------------------------------------------------------------------------------------------


def test_the_same_start_again_changes_nothing(partner: Partner) -> None:
    event = partner.event()
    assert partner.send("started", event).status == 202
    partner.advance(5)
    assert partner.send("started", dict(reversed(event.items()))).status == 202
    assert len(partner.rights()) == 1
    assert partner.control("GET", "state")["outcomes"] == {"created": 1, "repeated": 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"end_time": stamp(NOON + timedelta(hours=9))},
        {"start_time": stamp(NOON + timedelta(hours=1))},
        {"vehicle": {**VEHICLE, "vehicle_plate": "ABC124"}},
        {"passport_zone_id": LOT_B},
        {"occurred_at": stamp_ms(NOON + timedelta(milliseconds=1))},
        {"rate_name": "Visitor"},
    ],
)
def test_another_start_under_the_same_session_id_is_a_conflict(
    partner: Partner, changes: dict[str, Any]
) -> None:
    partner.start()
    before = partner.rights()
    response = partner.start(**changes)
    assert (response.status, code(response)) == (409, "session_conflict")
    assert partner.rights() == before


@pytest.mark.parametrize("hours", [4, 24])
def test_an_extension_moves_the_end_either_way(partner: Partner, hours: int) -> None:
    partner.start()
    partner.advance(1)
    end = stamp(NOON + timedelta(hours=hours))
    assert partner.extend(end_time=end).status == 202
    assert partner.rights()[0]["end_time"] == end


def test_an_extension_brings_an_ended_session_back(partner: Partner) -> None:
    partner.start()
    partner.advance(9 * 3600)
    assert partner.rights() == []
    partner.extend(end_time=stamp(NOON + timedelta(hours=12)))
    assert len(partner.rights()) == 1


def test_a_stop_ends_the_session(partner: Partner) -> None:
    partner.start()
    partner.advance(60)
    assert partner.stop().status == 202
    assert partner.rights() == []


def test_a_session_that_has_not_begun_can_be_stopped(partner: Partner) -> None:
    later = {"start_time": stamp(NOON + timedelta(days=2)), "end_time": stamp(NOON + timedelta(days=3))}
    partner.start(**later)
    assert len(partner.rights()) == 1
    partner.advance(1)
    assert partner.stop(start_time=later["start_time"], end_time=later["start_time"]).status == 202
    assert partner.rights() == []


@pytest.mark.parametrize("kind", ["extended", "stopped"])
def test_a_session_must_be_known_to_be_changed(partner: Partner, kind: str) -> None:
    response = partner.send(kind, partner.event(kind))
    assert (response.status, code(response)) == (404, "session_not_found")


def test_a_session_of_another_operator_is_not_known(partner: Partner) -> None:
    partner.start()
    zone = next(iter(partner.simulator.directory.operators[LAKESHORE].zones))
    foreign = {"operator_id": LAKESHORE, "passport_zone_id": zone}
    assert code(partner.stop(**foreign)) == "session_not_found"
    assert code(partner.start(**foreign)) == "session_conflict"
    assert len(partner.rights()) == 1


@pytest.mark.parametrize("again", ["started", "extended", "stopped"])
def test_a_stopped_session_stays_stopped(partner: Partner, again: str) -> None:
    partner.start()
    partner.advance(60)
    partner.stop()
    partner.advance(60)
    response = partner.send(again, partner.event(again))
    assert (response.status, code(response)) == (409, "session_already_stopped")
    assert partner.rights() == []


def test_the_same_start_after_a_stop_is_refused_too(partner: Partner) -> None:
    event = partner.event()
    partner.send("started", event)
    partner.advance(60)
    partner.stop()
    assert code(partner.send("started", event)) == "session_already_stopped"


def test_the_same_stop_again_changes_nothing(partner: Partner) -> None:
    partner.start()
    partner.advance(60)
    event = partner.event("stopped", end_time=stamp(partner.now))
    assert partner.send("stopped", event).status == 202
    partner.advance(60)
    assert partner.send("stopped", event).status == 202


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"vehicle": {**VEHICLE, "vehicle_plate": "XYZ1"}}, "vehicle.vehicle_plate"),
        ({"vehicle": {**VEHICLE, "vehicle_state": "US-SC"}}, "vehicle.vehicle_state"),
        ({"passport_zone_id": LOT_B}, "passport_zone_id"),
        ({"start_time": stamp(NOON + timedelta(hours=1))}, "start_time"),
        ({"space_number": "7"}, "space_number"),
    ],
)
def test_a_started_session_keeps_its_plate_zone_start_and_space(
    partner: Partner, changes: dict[str, Any], name: str
) -> None:
    partner.start()
    response = partner.extend(**changes)
    assert (response.status, code(response)) == (409, "session_conflict")
    assert problem(response)["additional_details"]["fields"] == [name]


def test_the_same_plate_and_state_may_be_written_differently(partner: Partner) -> None:
    partner.start()
    written = {"vehicle_plate": "abc-123", "vehicle_state": "NC", "vehicle_country": "US"}
    assert partner.extend(vehicle=written).status == 202


def test_an_older_event_that_comes_late_changes_nothing(partner: Partner) -> None:
    partner.start()
    partner.advance(10)
    old = partner.event("extended", end_time=stamp(NOON + timedelta(hours=1)))
    partner.advance(10)
    new_end = stamp(NOON + timedelta(hours=10))
    partner.extend(end_time=new_end)
    assert partner.send("extended", old).status == 202
    assert partner.rights()[0]["end_time"] == new_end
    assert partner.control("GET", "state")["breaches"]["outdated_event"] == 1


def test_an_extension_older_than_the_stop_does_not_bring_the_session_back(partner: Partner) -> None:
    partner.start()
    partner.advance(10)
    old = partner.event("extended", end_time=stamp(NOON + timedelta(hours=10)))
    partner.advance(10)
    partner.stop()
    assert partner.send("extended", old).status == 202
    assert partner.rights() == []


def test_two_events_of_one_instant_count_in_order_of_arrival_and_are_noted(partner: Partner) -> None:
    partner.start()
    assert partner.stop().status == 202
    assert partner.rights() == []
    assert partner.control("GET", "state")["breaches"]["same_occurred_at"] == 1


def test_the_same_extension_again_is_no_breach_and_another_of_its_instant_is(partner: Partner) -> None:
    partner.start()
    partner.advance(1)
    event = partner.event("extended", end_time=stamp(NOON + timedelta(hours=9)))
    for _ in range(2):
        assert partner.send("extended", event).status == 202
    assert partner.control("GET", "state")["breaches"] == {}
    partner.send("extended", {**event, "end_time": stamp(NOON + timedelta(hours=10))})
    assert partner.control("GET", "state")["breaches"] == {"same_occurred_at": 1}


def test_a_second_session_for_plate_zone_and_start_is_noted_but_accepted(partner: Partner) -> None:
    partner.start("s-1")
    assert partner.start("s-2").status == 202
    state = partner.control("GET", "state")
    assert state["breaches"]["doubled_session"] == 1
    assert state["doubled_rights"] == 1
    partner.advance(1)
    partner.stop("s-1")
    assert partner.control("GET", "state")["doubled_rights"] == 0


def test_an_event_from_the_future_is_noted(partner: Partner) -> None:
    partner.start(occurred_at=stamp_ms(NOON + timedelta(seconds=61)))
    assert partner.control("GET", "state")["breaches"]["occurred_in_future"] == 1


def test_a_session_in_a_zone_that_is_gone_can_be_stopped_but_none_started(partner: Partner) -> None:
    partner.start()
    zone = partner.event()["passport_zone_id"]
    partner.control("DELETE", f"operators/{UNIVERSITY}/zones/{zone}")
    assert code(partner.start("s-2")) == "zone_not_found"
    partner.advance(1)
    assert partner.stop().status == 202
    assert partner.rights() == []


# -- many events in one request ----------------------------------------------------------------------------------
def test_one_bad_event_refuses_the_whole_request_and_is_named(partner: Partner) -> None:
    events = [partner.event(session_id=f"s-{n}") for n in range(5)]
    events[3]["vehicle"] = {**VEHICLE, "vehicle_plate": "ÄÖÜ"}
    response = partner.send("started", *events)
    assert response.status == 400
    assert problem(response)["additional_details"] == {"index": 3, "field": "vehicle.vehicle_plate"}
    assert "Event 3 of 5" in problem(response)["detail"]
    assert partner.rights() == []
    assert len(partner.simulator.sessions) == 0


@pytest.mark.parametrize("total", [1, 2])
def test_a_conflict_keeps_its_status_only_when_alone(partner: Partner, total: int) -> None:
    partner.start()
    events = [partner.event(end_time=stamp(NOON + timedelta(hours=9))), partner.event(session_id="s-2")]
    response = partner.send("started", *events[:total])
    assert response.status == (409 if total == 1 else 400)
    assert code(response) == "session_conflict"
    assert "s-2" not in partner.simulator.sessions.by_id


def test_an_unauthorised_operator_refuses_a_batch_with_403(partner: Partner) -> None:
    partner.control("PATCH", f"operators/{UNIVERSITY}", {"authorised": False})
    response = partner.send("started", partner.event(session_id="a"), partner.event(session_id="b"))
    assert (response.status, code(response)) == (403, "operator_not_authorized")


def test_one_session_twice_in_a_request_must_be_the_same_event(partner: Partner) -> None:
    event = partner.event()
    assert partner.send("started", event, event).status == 202
    other = partner.event(session_id="s-2")
    different = {**other, "end_time": stamp(NOON + timedelta(hours=1))}
    assert partner.send("started", other, different).status == 400
    assert len(partner.rights()) == 1


def test_two_stops_of_one_session_in_a_request_leave_the_first(partner: Partner) -> None:
    partner.start()
    partner.advance(60)
    first = partner.event("stopped", end_time=stamp(partner.now))
    second = {**first, "occurred_at": stamp_ms(partner.now + timedelta(seconds=1)), "end_time": stamp(NOON)}
    assert partner.send("stopped", first, second).status == 202
    (session,) = partner.control("GET", "sessions?session_id=s-1")["data"]
    assert session["end_time"] == first["end_time"]
    assert [entry["outcome"] for entry in session["events"]] == ["created", "stopped", "outdated"]


def test_multi_status_answers_each_event_in_order() -> None:
    partner = Partner(Simulator(options=Options(answer_mode="multi_status"))).log_in()
    bad = partner.event(session_id="s-2", end_time=stamp(NOON))
    response = partner.send("started", partner.event(session_id="s-1"), bad, partner.event(session_id="s-3"))
    assert response.status == 207
    results = json.loads(response.body)["data"]
    assert [result["status"] for result in results] == [202, 400, 202]
    assert results[1]["type"] == "io.passportlabs:error:validation_error"
    assert results[1]["additional_details"] == {"index": 1, "field": "end_time"}
    assert {right["reference_id"] for right in partner.rights()} == {"s-1", "s-3"}


def test_multi_status_judges_each_event_by_what_came_before_it() -> None:
    partner = Partner(Simulator(options=Options(answer_mode="multi_status"))).log_in()
    other = partner.event(end_time=stamp(NOON + timedelta(hours=1)))
    statuses = [
        result["status"]
        for result in json.loads(partner.send("started", partner.event(), other, partner.event()).body)[
            "data"
        ]
    ]
    assert statuses == [202, 409, 202]
    unknown = json.loads(partner.stop("nobody").body)["data"]
    assert unknown[0]["status"] == 404


def test_multi_status_still_refuses_a_bad_envelope_as_a_whole() -> None:
    partner = Partner(Simulator(options=Options(answer_mode="multi_status"))).log_in()
    assert partner.call("POST", EVENTS_PATH, document={"type": "x"}).status == 400
