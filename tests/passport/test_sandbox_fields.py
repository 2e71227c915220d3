"""What an event may contain: the envelope, and the rule for each field."""

from datetime import timedelta
from typing import Any

import pytest

from passport.sandbox.api import EVENTS_PATH
from tests.passport.sandbox_partner import (
    FREE,
    LAKESHORE,
    LOT_B,
    NOON,
    UNIVERSITY,
    VEHICLE,
    Partner,
    code,
    field,
    stamp,
)

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
def test_an_unknown_field_is_refused(partner: Partner, kind: str) -> None:
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


@pytest.mark.parametrize("country", ["DE", "US", "CA", "MX"])
def test_a_plate_that_no_state_issued_needs_none_but_an_empty_one_is_refused(
    partner: Partner, country: str
) -> None:
    vehicle = {"vehicle_plate": "B-XY 12", "vehicle_country": country}
    assert partner.start(vehicle=vehicle).status == 202
    for state in ("", None):
        assert (
            field(partner.start("s-2", vehicle={**vehicle, "vehicle_state": state}))
            == "vehicle.vehicle_state"
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
    (by_space,) = [zone["id"] for zone in operator.zones.values() if zone.get("session_type") == "space"]
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
