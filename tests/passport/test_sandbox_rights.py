"""What enforcement sees, and when."""

from datetime import timedelta

import pytest

from passport.sandbox.api import RIGHTS_PATH
from tests.passport.sandbox_partner import LOT_B, NOON, NORTH_CAMPUS, UNIVERSITY, Partner, field, stamp


@pytest.fixture
def partner() -> Partner:
    partner = Partner().log_in()
    partner.start(
        "here", vehicle={"vehicle_plate": "ABC-123", "vehicle_state": "NC", "vehicle_country": "US"}
    )
    partner.start(
        "there",
        passport_zone_id=LOT_B,
        space_number="7",
        vehicle={"vehicle_plate": "XYZ9", "vehicle_state": "CA-ON", "vehicle_country": "CA"},
    )
    return partner


def references(partner: Partner, query: str = "") -> set[str]:
    return {right["reference_id"] for right in partner.rights(query)}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"here", "there"}),
        (f"zone_id={NORTH_CAMPUS}", {"here"}),
        (f"zone_id={LOT_B}&space_number=7", {"there"}),
        (f"zone_id={LOT_B}&space_number=8", set()),
        ("vehicle_plate=abc123", {"here"}),
        ("vehicle_plate=A%20B-C.123", {"here"}),
        ("vehicle_plate=ABC123&vehicle_state=US-NC", {"here"}),
        ("vehicle_plate=ABC123&vehicle_state=nc", {"here"}),
        ("vehicle_plate=ABC123&vehicle_state=SC", set()),
        ("vehicle_state=ON", {"there"}),
        (f"vehicle_plate=XYZ9&zone_id={NORTH_CAMPUS}", set()),
        ("vehicle_plate=0BC123", set()),
    ],
)
def test_rights_are_filtered_as_asked(partner: Partner, query: str, expected: set[str]) -> None:
    assert references(partner, query) == expected


def test_a_right_has_the_observed_fields(partner: Partner) -> None:
    (right,) = partner.rights("vehicle_plate=XYZ9")
    assert right.keys() == {
        "id",
        "operator_id",
        "zone_id",
        "type",
        "start_time",
        "end_time",
        "vehicle",
        "reference_id",
        "space_number",
    }
    assert right["space_number"] == "7"
    assert partner.rights("vehicle_plate=XYZ9")[0]["id"] == right["id"]


def test_a_space_needs_its_zone(partner: Partner) -> None:
    response = partner.call("GET", RIGHTS_PATH, f"operator_id={UNIVERSITY}&space_number=7")
    assert (response.status, field(response)) == (400, "space_number")


@pytest.mark.parametrize("query", ["zone_id=Z123", "vehicle_plate=", "vehicle_state=%20"])
def test_a_filter_that_makes_no_sense_is_refused(partner: Partner, query: str) -> None:
    assert partner.call("GET", RIGHTS_PATH, f"operator_id={UNIVERSITY}&{query}").status == 400


def test_only_rights_that_have_not_ended_are_listed(partner: Partner) -> None:
    partner.advance(8 * 3600 - 1)
    assert references(partner) == {"here", "there"}
    partner.advance(1)
    assert references(partner) == set()
    assert references(partner, "vehicle_plate=ABC123") == set()


def test_a_right_that_begins_later_is_listed(partner: Partner) -> None:
    day = timedelta(days=1)
    partner.start("later", start_time=stamp(NOON + day), end_time=stamp(NOON + 2 * day))
    assert "later" in references(partner)


def test_reference_ids_can_be_left_out(partner: Partner) -> None:
    partner.control("PATCH", "settings", {"reference_ids": False})
    assert all("reference_id" not in right for right in partner.rights())


def test_a_right_processed_late_shows_after_its_delay(partner: Partner) -> None:
    partner.fault("late", delay_s=5, times=1)
    assert partner.start("slow").status == 202
    assert "slow" not in references(partner)
    partner.advance(4)
    assert "slow" not in references(partner)
    partner.advance(1)
    assert "slow" in references(partner)


def test_a_stop_processed_late_leaves_the_right_for_a_while(partner: Partner) -> None:
    partner.fault("late", delay_s=5, times=1)
    partner.advance(1)
    assert partner.stop("here").status == 202
    assert "here" in references(partner)
    partner.advance(5)
    assert "here" not in references(partner)


def test_a_start_that_shows_late_does_not_undo_a_stop(partner: Partner) -> None:
    partner.fault("late", delay_s=60, times=1)
    partner.start("gone")
    partner.advance(1)
    assert partner.stop("gone").status == 202
    partner.advance(120)
    assert "gone" not in references(partner)


def test_late_steps_show_in_the_order_in_which_they_were_applied(partner: Partner) -> None:
    partner.fault("late", delay_s=30, times=1)
    partner.advance(1)
    partner.extend("here", end_time=stamp(NOON + timedelta(hours=1)))
    partner.fault("late", delay_s=5, times=1)
    partner.advance(1)
    newest = stamp(NOON + timedelta(hours=2))
    partner.extend("here", end_time=newest)
    for _ in range(8):
        partner.advance(5)
        assert partner.rights("vehicle_plate=ABC123")[0]["end_time"] == newest


def test_an_operator_sees_only_its_own_rights(partner: Partner) -> None:
    assert partner.rights(operator_id="fd69c211-318f-56a5-836b-8e03dc8897ae") == []


def test_a_drivers_own_right_carries_no_reference(partner: Partner) -> None:
    document = {
        "operator_id": UNIVERSITY,
        "zone_id": NORTH_CAMPUS,
        "start_time": stamp(NOON),
        "end_time": stamp(NOON + timedelta(hours=1)),
        "vehicle": {"vehicle_plate": "DRIVER1", "vehicle_state": "NC"},
    }
    partner.control("POST", "rights", document, expect=201)
    (right,) = partner.rights("vehicle_plate=driver1")
    assert "reference_id" not in right
