"""Every rule for events: the table of fields, then what events do to a session."""

import json
from datetime import timedelta
from typing import Any

import pytest

from passport.sandbox.api import EVENTS_PATH
from passport.sandbox.options import Options
from passport.sandbox.simulator import Simulator
from tests.passport.sandbox_partner import (
    FREE,
    LAKESHORE,
    LOT_B,
    NOON,
    UNIVERSITY,
    Partner,
    code,
    field,
    problem,
    stamp,
    stamp_ms,
)

VEHICLE = {"vehicle_plate": "ABC123", "vehicle_state": "US-NC", "vehicle_country": "US"}


@pytest.fixture
def partner() -> Partner:
    return Partner().log_in()


# -- the envelope ------------------------------------------------------------------------------------------------


def test_a_good_event_is_accepted_and_enforcement_sees_it(partner: Partner) -> None:
    assert partner.start().status == 202
    (right,) = partner.rights()
    assert right["reference_id"] == "s-1"
    assert right["vehicle"] == {"vehicle_plate": "ABC123", "vehicle_state": "US-NC"}
    assert (right["start_time"], right["end_time"]) == (stamp(NOON), stamp(NOON + timedelta(hours=8)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "parking_session_paused"}, "unsupported_event_type"),
        ({"type": None}, "unsupported_event_type"),
        ({"type": ["parking_session_started"]}, "unsupported_event_type"),
        ({"version": "2.0.0"}, "unsupported_event_version"),
        ({"version": 3}, "unsupported_event_version"),
        ({"data": []}, "validation_error"),
        ({"data": {}}, "validation_error"),
        ({"data": None}, "validation_error"),
        ({"extra": 1}, "validation_error"),
    ],
)
def test_an_envelope_that_is_wrong_is_refused(
    partner: Partner, changes: dict[str, Any], expected: str
) -> None:
    envelope = {"type": "parking_session_started", "version": "3.0.0", "data": [partner.event()]}
    response = partner.call("POST", EVENTS_PATH, document={**envelope, **changes})
    assert (response.status, code(response)) == (400, expected)
    assert partner.rights() == []


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff", b"[" * 200_000])
def test_a_body_that_is_no_object_is_refused(partner: Partner, body: bytes) -> None:
    response = partner.call("POST", EVENTS_PATH, body=body, headers={"content-type": "application/json"})
    assert (response.status, code(response)) == (400, "malformed_body")


def test_events_must_be_sent_as_json(partner: Partner) -> None:
    response = partner.call("POST", EVENTS_PATH, body=b"{}", headers={"content-type": "text/plain"})
    assert code(response) == "malformed_body"


def test_more_events_than_allowed_are_refused_and_noted(partner: Partner) -> None:
    partner.control("PATCH", "settings", {"max_events": 2})
    three = [partner.event(session_id=f"s-{n}") for n in range(3)]
    response = partner.send("started", *three)
    assert (response.status, code(response)) == (400, "too_many_events")
    assert partner.send("started", *three[:2]).status == 202
    assert partner.control("GET", "state")["breaches"]["too_many_events"] == 1


# -- the fields --------------------------------------------------------------------------------------------------

_ALWAYS = ["occurred_at", "session_id", "operator_id", "start_time", "end_time", "event_fees"]


@pytest.mark.parametrize("name", [*_ALWAYS, "vehicle", "passport_zone_id"])
def test_a_start_needs_each_of_its_fields(partner: Partner, name: str) -> None:
    response = partner.start(**{name: ...})
    assert (response.status, field(response)) == (400, name)


@pytest.mark.parametrize("kind", ["extended", "stopped"])
@pytest.mark.parametrize("name", [*_ALWAYS, "total_session_fees", "passport_zone_id"])
def test_a_later_event_needs_each_of_its_fields(partner: Partner, kind: str, name: str) -> None:
    partner.start()
    response = partner.send(kind, partner.event(kind, **{name: ...}))
    assert (response.status, field(response)) == (400, name)


def test_a_start_must_not_carry_total_fees(partner: Partner) -> None:
    assert field(partner.start(total_session_fees=FREE)) == "total_session_fees"


@pytest.mark.parametrize("kind", ["started", "extended", "stopped"])
def test_a_field_that_nobody_knows_is_refused(partner: Partner, kind: str) -> None:
    if kind != "started":
        partner.start()
    assert field(partner.send(kind, partner.event(kind, driver_name="Ann"))) == "driver_name"


@pytest.mark.parametrize("kind", ["extended", "stopped"])
def test_a_later_event_may_carry_its_vehicle(partner: Partner, kind: str) -> None:
    partner.start()
    assert partner.send(kind, partner.event(kind, vehicle=VEHICLE)).status == 202


@pytest.mark.parametrize("name", ["occurred_at", "start_time", "end_time"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        1_795_000_000,
        "",
        "tomorrow",
        "2026-11-22",
        "2026-11-22 12:00:00.000Z",
        "2026-11-22t12:00:00.000z",
        "2026-11-22T12:00:00.000",
        "2026-11-22T12:00:00.000+01:00",
        "2026-11-22T12:00:00.000-00:00",
        "2026-02-30T12:00:00.000Z",
        "2026-11-22T24:00:00.000Z",
        "2026-11-22T12:00:60.000Z",
        "2026-11-22T12:00:00,000Z",
        "٢٠٢٦-11-22T12:00:00.000Z",
        "2026-11-22T12:00:00.000Z\n",
    ],
)
def test_a_time_must_be_rfc_3339_in_utc(partner: Partner, name: str, value: Any) -> None:
    response = partner.start(**{name: value})
    assert (response.status, field(response)) == (400, name)


def test_a_time_may_say_utc_as_an_offset(partner: Partner) -> None:
    assert partner.start(start_time="2026-11-22T12:00:00+00:00").status == 202


@pytest.mark.parametrize(
    "value", ["2026-11-22T12:00:00Z", "2026-11-22T12:00:00.1Z", "2026-11-22T12:00:00.123456Z"]
)
def test_occurred_at_carries_milliseconds(partner: Partner, value: str) -> None:
    assert field(partner.start(occurred_at=value)) == "occurred_at"


@pytest.mark.parametrize("kind", ["started", "extended"])
def test_an_end_must_be_after_its_start(partner: Partner, kind: str) -> None:
    if kind == "extended":
        partner.start()
    for end in (NOON, NOON - timedelta(hours=1)):
        assert field(partner.send(kind, partner.event(kind, end_time=stamp(end)))) == "end_time"


def test_a_stop_may_end_where_the_session_starts_but_not_before(partner: Partner) -> None:
    partner.start()
    assert field(partner.stop(end_time=stamp(NOON - timedelta(seconds=1)))) == "end_time"
    assert partner.stop(end_time=stamp(NOON)).status == 202


def test_a_stop_says_when_the_session_really_ended(partner: Partner) -> None:
    partner.start()
    partner.advance(3600)
    assert field(partner.stop(end_time=stamp(NOON + timedelta(hours=2)))) == "end_time"
    assert partner.stop(end_time=stamp(NOON + timedelta(hours=1))).status == 202


@pytest.mark.parametrize("value", [None, 7, "", "a b", "x" * 129, "ä", "tab\t"])
def test_a_session_id_must_be_plain(partner: Partner, value: Any) -> None:
    assert field(partner.start(session_id=value)) == "session_id"


@pytest.mark.parametrize("value", [None, 7, "", "Z123", "072e8b73"])
def test_an_operator_id_must_be_a_uuid(partner: Partner, value: Any) -> None:
    assert field(partner.start(operator_id=value)) == "operator_id"


def test_two_zone_ids_are_refused(partner: Partner) -> None:
    assert field(partner.start(external_zone_id="x")) == "external_zone_id"


def test_a_zone_must_exist_and_belong_to_the_operator(partner: Partner) -> None:
    unknown = partner.start(passport_zone_id="00000000-0000-4000-8000-000000000000")
    foreign = partner.start(operator_id=LAKESHORE)
    for response in (unknown, foreign):
        assert (response.status, code(response)) == (400, "zone_not_found")


@pytest.mark.parametrize("value", ["Z123", "", None, 7])
def test_a_zones_number_is_not_its_id(partner: Partner, value: Any) -> None:
    response = partner.start(passport_zone_id=value)
    assert (code(response), field(response)) == ("validation_error", "passport_zone_id")


def test_a_zone_can_be_named_by_its_external_id(partner: Partner) -> None:
    partner.control("PATCH", f"operators/{UNIVERSITY}/zones/{LOT_B}", {"external_id": "lot-b"})
    by_external = {"passport_zone_id": ..., "external_zone_id": "lot-b"}
    assert partner.start(**by_external).status == 202
    assert partner.rights()[0]["zone_id"] == LOT_B
    assert code(partner.start("s-2", **{**by_external, "external_zone_id": "no"})) == "zone_not_found"


@pytest.mark.parametrize("group", ["event_fees", "total_session_fees"])
@pytest.mark.parametrize("name", ["parking_fee", "convenience_fee", "tax"])
@pytest.mark.parametrize(
    "value", [0, 0.0, None, "", ".05", "0", "0.5", "00.05", "-0.05", "1,00", "0.000", "free"]
)
def test_money_is_a_decimal_string_with_a_leading_zero(
    partner: Partner, group: str, name: str, value: Any
) -> None:
    partner.start()
    response = partner.extend(**{group: {**FREE, name: value}})
    assert (response.status, field(response)) == (400, f"{group}.{name}")


@pytest.mark.parametrize("value", ["usd", "US$", "", None, "XXX", 840])
def test_a_currency_is_an_iso_4217_code(partner: Partner, value: Any) -> None:
    assert field(partner.start(event_fees={**FREE, "currency_code": value})) == "event_fees.currency_code"


@pytest.mark.parametrize("value", [None, "0.00", [], {}, {"parking_fee": "0.00"}])
def test_fees_come_as_a_whole_group(partner: Partner, value: Any) -> None:
    assert field(partner.start(event_fees=value)).startswith("event_fees")


def test_a_group_of_fees_takes_no_other_field(partner: Partner) -> None:
    assert field(partner.start(event_fees={**FREE, "tip": "1.00"})) == "event_fees.tip"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"vehicle_plate": ""}, "vehicle_plate"),
        ({"vehicle_plate": " - "}, "vehicle_plate"),
        ({"vehicle_plate": "ABCDEFGHIJKLM"}, "vehicle_plate"),
        ({"vehicle_plate": "ÄB 123"}, "vehicle_plate"),
        ({"vehicle_plate": "=1+1"}, "vehicle_plate"),
        ({"vehicle_plate": 123}, "vehicle_plate"),
        ({"vehicle_country": "USA"}, "vehicle_country"),
        ({"vehicle_country": "us"}, "vehicle_country"),
        ({"vehicle_country": "XX"}, "vehicle_country"),
        ({"vehicle_state": "North Carolina"}, "vehicle_state"),
        ({"vehicle_state": "US-ZZ"}, "vehicle_state"),
        ({"vehicle_state": "CA-ON"}, "vehicle_state"),
        ({"vehicle_state": "us-nc"}, "vehicle_state"),
        ({"vehicle_state": ""}, "vehicle_state"),
        ({"vehicle_state": None}, "vehicle_state"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_vehicle_that_is_wrong_is_refused(partner: Partner, changes: dict[str, Any], name: str) -> None:
    assert field(partner.start(vehicle={**VEHICLE, **changes})) == f"vehicle.{name}"


def test_a_vehicle_of_a_country_without_known_states_needs_none(partner: Partner) -> None:
    german = {"vehicle_plate": "B-XY 12", "vehicle_country": "DE"}
    assert partner.start(vehicle=german).status == 202
    assert field(partner.start("s-2", vehicle={"vehicle_plate": "A1", "vehicle_country": "US"})) == (
        "vehicle.vehicle_state"
    )


@pytest.mark.parametrize(
    ("form", "accepted", "refused"),
    [("iso", ["US-NC"], ["NC"]), ("short", ["NC"], ["US-NC"]), ("either", ["NC", "US-NC"], [])],
)
def test_the_form_of_a_state_is_a_setting(
    partner: Partner, form: str, accepted: list[str], refused: list[str]
) -> None:
    partner.control("PATCH", "settings", {"state_form": form})
    for state in accepted:
        assert partner.start(f"ok-{state}", vehicle={**VEHICLE, "vehicle_state": state}).status == 202
    for state in refused:
        assert field(partner.start(f"no-{state}", vehicle={**VEHICLE, "vehicle_state": state})) == (
            "vehicle.vehicle_state"
        )


@pytest.mark.parametrize("kind", ["started", "extended", "stopped"])
def test_a_zone_by_space_needs_one_of_its_spaces(partner: Partner, kind: str) -> None:
    operator = partner.simulator.directory.operators[UNIVERSITY]
    (by_space,) = [zone.id for zone in operator.zones.values() if zone.is_space]
    zone = {"passport_zone_id": by_space}
    if kind != "started":
        assert partner.start(**zone, space_number="1").status == 202
    assert field(partner.send(kind, partner.event(kind, **zone))) == "space_number"
    for wrong in ("99", 1, "", None):
        assert field(partner.send(kind, partner.event(kind, **zone, space_number=wrong))) == "space_number"
    assert partner.send(kind, partner.event(kind, **zone, space_number="1")).status == 202


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"rate_name": 7}, "rate_name"),
        ({"account_id": ""}, "account_id"),
        ({"location_details": {"latitude": "35.2"}}, "location_details.latitude"),
        ({"location_details": {"height": 3}}, "location_details.height"),
        ({"location_details": []}, "location_details"),
        ({"payment": {"card": "4111"}}, "payment.card"),
        ({"payment": {"payment_type": None}}, "payment.payment_type"),
    ],
)
def test_optional_fields_are_checked_too(partner: Partner, changes: dict[str, Any], name: str) -> None:
    assert field(partner.start(**changes)) == name


def test_every_optional_field_is_accepted(partner: Partner) -> None:
    response = partner.start(
        rate_name="Resident",
        account_id="acc-1",
        space_number="A-12",
        location_details={"latitude": 35.2, "longitude": -80, "accuracy": 5},
        payment={"gateway_transaction_id": "t-1", "payment_type": "none"},
    )
    assert response.status == 202


@pytest.mark.parametrize("item", [None, 7, "x", [], True])
def test_an_event_must_be_an_object(partner: Partner, item: Any) -> None:
    assert partner.send("started", item).status == 400


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


def test_the_same_plate_and_state_may_be_written_otherwise(partner: Partner) -> None:
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
