"""When two descriptions of a right mean the same: plates, regions and zones, wherever they are compared."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.permits.validity_snapshots import PushThen, ZoneThen, is_in
from integrations.vendors import right_keys
from integrations.vendors.protocol import Account, Desired, RightSeen
from locations.regions import SUBDIVISIONS
from passport import plan

ZONE = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
NOW = datetime(2026, 11, 22, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("code", "country", "key"),
    [
        ("US-NC", "", "US-NC"),
        ("us-nc", "", "US-NC"),
        ("NC", "", "US-NC"),
        (" nc ", "US", "US-NC"),
        ("AL", "", "US-AL"),
        ("JAL", "", "MX-JAL"),
        ("JAL", "MX", "MX-JAL"),
        ("CA", "", "US-CA"),
        ("ON", "CA", "CA-ON"),
        ("ON", "USA", "CA-ON"),
        ("ON", "US", ""),
        ("US-NC", "CA", ""),
        ("XX", "", ""),
        ("US-XX", "", ""),
        ("", "", ""),
    ],
)
def test_a_region_is_known_by_the_table_of_codes(code: str, country: str, key: str) -> None:
    assert right_keys.region_key(code, country) == key


@given(st.sampled_from(sorted(SUBDIVISIONS)), st.sampled_from(sorted(SUBDIVISIONS)))
def test_two_regions_are_the_same_only_if_they_are_in_either_form(one: str, other: str) -> None:
    short, country = other.partition("-")[2], other[:2]
    assert right_keys.may_be_same_region(one, other) == (one == other)
    assert right_keys.may_be_same_region(one, short, country=country) == (one == other)


def test_a_region_that_is_not_known_contradicts_nothing() -> None:
    assert right_keys.may_be_same_region("US-NC", "??")
    assert right_keys.may_be_same_region("", "US-NC")


@pytest.mark.parametrize(
    ("text", "form"), [("US-NC", "iso"), ("NC", "short"), ("nc", "short"), ("??", ""), ("", "")]
)
def test_the_form_of_a_region_is_recognised(text: str, form: str) -> None:
    assert right_keys.region_form(text) == form


def test_a_uuid_is_the_same_zone_in_any_case_and_other_ids_are_not() -> None:
    assert right_keys.same_zone(ZONE, ZONE.upper())
    assert not right_keys.same_zone("LotB", "lotb")
    assert is_in(PushThen(NOW, "started", "s", "accepted", zone=ZONE.upper()), ZoneThen("1", "N", NOW, ZONE))


@pytest.mark.parametrize(
    ("zone_id", "kinds"),
    [(ZONE.upper(), []), (ZONE.replace("1b", "1c"), ["started", "stopped"])],
)
def test_a_zone_that_is_listed_in_another_case_changes_no_session(zone_id: str, kinds: list[str]) -> None:
    account = Account(1, "operator", "KEY23456")
    wish: dict[str, Any] = {"plate": "ABC1234", "country": "US", "subdivision": "US-NC"}
    wish |= {"start": NOW, "end": NOW + timedelta(days=1)}
    [started] = plan.plan(account, None, Desired(zone_id=ZONE, **wish), now=NOW, session_id="os-KEY23456-1-1")
    state = plan.apply(None, started)
    steps = plan.plan(account, state, Desired(zone_id=zone_id, **wish), now=NOW, session_id="os-KEY23456-1-2")
    assert [step["kind"] for step in steps] == kinds


def test_what_a_stop_does_not_know_of_its_vehicle_it_leaves_out() -> None:
    account = Account(1, "operator", "KEY23456")
    wish = Desired(ZONE, "ABC1234", "US", "US-NC", NOW, NOW + timedelta(days=1))
    [started] = plan.plan(account, None, wish, now=NOW, session_id="os-KEY23456-1-1")
    state = plan.apply(None, started)
    assert state is not None
    vehicles = []
    for unknown in ({}, {"subdivision": "", "country": ""}, {"plate": "", "subdivision": "", "country": ""}):
        [stopped] = plan.plan(account, state | unknown, None, now=NOW, session_id="?")
        vehicles.append(stopped["event"].get("vehicle"))
    assert vehicles == [
        {"vehicle_plate": "ABC1234", "vehicle_state": "US-NC", "vehicle_country": "US"},
        {"vehicle_plate": "ABC1234"},
        None,
    ]


@pytest.mark.parametrize(
    ("country", "seen", "contradicts"),
    [
        ("DE", {"subdivision": "", "country": ""}, False),
        ("DE", {"subdivision": "", "country": "DE"}, False),
        ("DE", {"subdivision": "BE", "country": "DE"}, False),
        ("DE", {"subdivision": "", "country": "FR"}, True),
        ("DE", {"subdivision": "US-NC", "country": ""}, True),
        ("US", {"subdivision": "NC", "country": ""}, False),
        ("US", {"subdivision": "CA-ON", "country": ""}, True),
    ],
)
def test_of_a_plate_that_no_state_issued_the_country_is_compared(
    country: str, seen: dict[str, Any], contradicts: bool
) -> None:
    known = {"zone_id": ZONE, "plate": "BXY12", "country": country, "subdivision": ""}
    right = RightSeen("1", ZONE, "BXY12", start=None, end=None, space_number="", reference="", raw={}, **seen)
    assert right_keys.differences(known, right, at=NOW) == (("subdivision",) if contradicts else ())
