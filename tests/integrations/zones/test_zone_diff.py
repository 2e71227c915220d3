"""What a new list of zones changes: the pure difference from the known zones, and what is ignored in a list."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.vendors.protocol import ZoneSeen
from integrations.zones.diff import KINDS, Known, clean_listing, diff, loses_too_many
from tests.factories import OPERATOR_ID
from tests.fakes import zone_seen


def known(seen: ZoneSeen, *, pk: int = 1, missing: bool = False) -> Known:
    return Known(pk, seen.remote_id, seen.number, seen.name, seen.session_type, seen.raw, missing)


def test_a_zone_that_was_not_known_is_new() -> None:
    found = diff([], [zone_seen("a", "Z123")])
    assert [change.seen.number for change in found.added if change.seen] == ["Z123"]


def test_numbers_that_differ_in_case_or_zeros_are_different_zones() -> None:
    table = [known(zone_seen("a", "Z123"), pk=1), known(zone_seen("b", "0303"), pk=2)]
    found = diff(table, [zone_seen("c", "z123"), zone_seen("d", "303")])
    assert len(found.added) == 2
    assert len(found.gone) == 2
    assert not found.renamed
    assert not found.case_changed


def test_the_same_id_with_another_number_or_name_is_renamed() -> None:
    table = [known(zone_seen("a", "Z123", "North"), pk=1), known(zone_seen("b", "Z124", "South"), pk=2)]
    found = diff(table, [zone_seen("a", "Z999", "North"), zone_seen("b", "Z124", "Deep South")])
    assert len(found.renamed) == 2


def test_a_change_of_case_alone_is_reported_as_such() -> None:
    found = diff([known(zone_seen("a", "LotB", "Lot B"))], [zone_seen("a", "LOTB", "Lot B")])
    assert len(found.case_changed) == 1
    assert not found.renamed


def test_another_session_type_is_a_change_and_another_update_time_is_not_worth_telling() -> None:
    table = [known(zone_seen("a", "1", updated_at="x"), pk=1), known(zone_seen("b", "2"), pk=2)]
    found = diff(table, [zone_seen("a", "1", updated_at="y"), zone_seen("b", "2", session_type="space")])
    assert len(found.silent) == 1
    assert [change.fields for change in found.changed] == [("session_type",)]


def test_a_missing_zone_that_is_listed_is_back_and_one_that_is_still_missing_is_nothing() -> None:
    table = [known(zone_seen("a", "1"), missing=True), known(zone_seen("b", "2"), missing=True)]
    found = diff(table, [zone_seen("a", "1")])
    assert len(found.back) == 1
    assert not found.gone
    assert found.listed_before == 0


def test_a_list_equal_to_the_table_is_quiet() -> None:
    assert diff([known(zone_seen("a", "1"))], [zone_seen("a", "1")]).is_quiet


@pytest.mark.parametrize(
    ("before", "left", "held"), [(10, 5, False), (10, 4, True), (1, 0, True), (0, 0, False)]
)
def test_losing_more_than_half_is_too_much(before: int, left: int, held: bool) -> None:
    seen = [zone_seen(str(number), str(number)) for number in range(before)]
    found = diff([known(zone, pk=pk) for pk, zone in enumerate(seen)], seen[:left])
    assert loses_too_many(found) is held
    assert not loses_too_many(found, {zone.remote_id for zone in seen})


_ids = st.sampled_from("abcdef")
_lists = st.dictionaries(_ids, st.tuples(st.sampled_from(["1", "01", "A", "a"]), st.sampled_from(["x", "X"])))


@given(_lists, _lists, st.sets(_ids))
def test_every_zone_is_in_one_list_at_most_and_following_the_diff_gives_the_list(
    before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]], missing: set[str]
) -> None:
    table = [
        known(zone_seen(remote_id, *texts), pk=pk, missing=remote_id in missing)
        for pk, (remote_id, texts) in enumerate(before.items())
    ]
    listed = [zone_seen(remote_id, *texts) for remote_id, texts in after.items()]
    found = diff(table, listed)
    changes = [change for kind in (*KINDS, "silent") for change in found.of(kind)]
    ids = [(change.seen or change.known).remote_id for change in changes]  # type: ignore[union-attr]
    assert len(ids) == len(set(ids))
    result = {zone.remote_id: (zone.number, zone.name) for zone in table if not zone.missing}
    for change in changes:
        if change.seen:
            result[change.seen.remote_id] = (change.seen.number, change.seen.name)
        elif change.known:
            del result[change.known.remote_id]
    assert result == after


def test_zones_of_another_operator_duplicates_and_those_without_an_id_are_left_out_and_counted() -> None:
    listed = [
        zone_seen("a", "1", operator_id=OPERATOR_ID.upper()),
        zone_seen("a", "2"),
        zone_seen("b", "3", operator_id="11111111-2222-3333-4444-555555555555"),
        zone_seen("", "4"),
        zone_seen("x" * 65, "5"),
    ]
    listing = clean_listing(listed, OPERATOR_ID)
    assert [zone.number for zone in listing.zones] == ["1"]
    assert listing.ignored == {"duplicate": 1, "foreign": 1, "unusable": 2}


def test_an_id_is_the_same_in_any_case() -> None:
    listing = clean_listing([zone_seen(OPERATOR_ID.upper(), "1"), zone_seen(OPERATOR_ID, "1")], OPERATOR_ID)
    assert [zone.remote_id for zone in listing.zones] == [OPERATOR_ID]


def test_what_a_database_cannot_keep_is_replaced_and_the_rest_is_kept_letter_for_letter() -> None:
    deep: Any = "deep"
    for _ in range(100):
        deep = [deep]
    seen = zone_seen("a", " Lot\x00 B ", "N" * 300, note="half \ud800 a pair", rate=float("nan"), deep=deep)
    zone = clean_listing([seen], OPERATOR_ID).zones[0]
    assert zone.number == " Lot\ufffd B "
    assert len(zone.name) == 250
    assert zone.raw["name"] == "N" * 300
    assert zone.raw["note"] == "half ? a pair"
    assert zone.raw["rate"] is None
