"""Reading lists: strict about identity, tolerant elsewhere, and never an exception except our own."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.errors import DeliveryError, TryLater
from passport import plan, reading
from passport.vendor import Passport
from tests.world import UNIVERSITY

OPERATOR = UNIVERSITY["operator_id"]
ZONE: dict[str, Any] = {"id": "1b4e28ba", "number": "Z123", "name": "North", "operator_id": OPERATOR}
RIGHT: dict[str, Any] = {
    "id": "r-1",
    "zone_id": "z-1",
    "start_time": "2026-11-22T17:00:00Z",
    "end_time": "2026-11-23T17:00:00.000Z",
    "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": "US-NC"},
    "reference_id": "os-K-1-1",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
times = st.sampled_from(
    [
        "2026-11-22T17:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-22",
        "now",
        "",
    ]
)


def documents(names: list[str], special: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(names), json_values | special, max_size=8)


hostile_zones = st.lists(json_values | documents([*ZONE, "session_type"], st.just(OPERATOR)), max_size=4)
hostile_rights = st.lists(
    json_values
    | documents(
        [*RIGHT, "space_number"],
        times | st.dictionaries(st.sampled_from(["vehicle_plate", "vehicle_state"]), json_values),
    ),
    max_size=4,
)


def test_a_zone_needs_no_more_than_its_identity() -> None:
    [zone] = reading.zones([ZONE], operator_id=OPERATOR)
    assert (zone.remote_id, zone.number, zone.name, zone.session_type) == ("1b4e28ba", "Z123", "North", "")
    assert zone.raw == ZONE


def test_a_number_in_digits_is_read_and_leading_zeros_are_kept() -> None:
    found = reading.zones(
        [{**ZONE, "number": 303}, {**ZONE, "id": "2", "number": "0303"}], operator_id=OPERATOR
    )
    assert [zone.number for zone in found] == ["303", "0303"]


def test_numbers_that_differ_in_case_alone_are_two_zones() -> None:
    found = reading.zones([ZONE, {**ZONE, "id": "2", "number": "z123"}], operator_id=OPERATOR)
    assert [zone.number for zone in found] == ["Z123", "z123"]


@pytest.mark.parametrize("name", ["id", "number"])
@pytest.mark.parametrize("value", [None, "", [], {}, True, 1.5])
def test_half_a_list_never_passes_for_a_list(name: str, value: Any) -> None:
    with pytest.raises(TryLater):
        reading.zones([ZONE, {**ZONE, name: value}], operator_id=OPERATOR)


def test_zones_of_another_operator_are_left_out() -> None:
    other = {**ZONE, "id": "2", "operator_id": "ffffffff-0000-4000-8000-000000000000"}
    assert len(reading.zones([ZONE, other], operator_id=OPERATOR.upper())) == 1


def test_a_right_is_read() -> None:
    [right] = reading.rights([RIGHT])
    assert (right.plate, right.subdivision, right.zone_id, right.reference) == (
        "ABC1234",
        "US-NC",
        "z-1",
        "os-K-1-1",
    )
    assert right.start == datetime(2026, 11, 22, 17, tzinfo=UTC)
    assert right.end == datetime(2026, 11, 23, 17, tzinfo=UTC)


def test_a_right_without_anything_is_read_as_one_without_anything() -> None:
    [right] = reading.rights([{}])
    assert (right.plate, right.start, right.reference) == ("", None, "")
    assert Passport.observe(None, right) is None  # type: ignore[arg-type]  # it needs nothing of the instance


@given(hostile_zones)
def test_whatever_a_list_of_zones_holds_only_our_own_errors_come_of_it(entries: list[Any]) -> None:
    try:
        found = reading.zones(entries, operator_id=OPERATOR)
    except DeliveryError:
        return
    assert all(zone.remote_id and zone.number for zone in found)
    assert not any("\x00" in zone.number + zone.name + zone.remote_id for zone in found)


@given(hostile_rights)
def test_whatever_a_list_of_rights_holds_only_our_own_errors_come_of_it(entries: list[Any]) -> None:
    try:
        found = reading.rights(entries)
    except DeliveryError:
        return
    assert len(found) == len(entries)
    for right in found:
        session = Passport.observe(None, right)  # type: ignore[arg-type]
        assert session is None or plan.parse_timestamp(session["end"]) == right.end.replace(  # type: ignore[union-attr]
            microsecond=right.end.microsecond // 1000 * 1000  # type: ignore[union-attr]
        )


@pytest.mark.parametrize(
    ("changes", "unreadable"),
    [
        ({}, ()),
        ({"start_time": None, "end_time": None}, ()),
        ({"end_time": "2026-11-23T17:00:00"}, ("end",)),
        ({"start_time": "yesterday", "end_time": ""}, ("start", "end")),
        ({"end_time": 1_764_000_000}, ("end",)),
    ],
    ids=str,
)
def test_a_time_that_is_there_and_can_t_be_read_is_named(
    changes: dict[str, object], unreadable: tuple[str, ...]
) -> None:
    assert reading.right({**RIGHT, **changes}).unreadable == unreadable
