"""What a right says about what was accepted, which lists are not believed, and how drift is put right: pure decisions."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery.session_id import new_session_id, read_session_id
from integrations.reconciliation import compare
from integrations.reconciliation.compare import (
    SETTLING_TIME,
    Accepted,
    Drift,
    Finding,
    IdSet,
    Remedy,
    remedy_for,
)
from integrations.reconciliation.spool import KINDS_MAX, Spool
from integrations.vendors.protocol import RightSeen

AT = datetime(2026, 11, 22, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
ZONE = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
SPANS = st.integers(-300, 300).map(lambda seconds: timedelta(seconds=seconds))


def accepted(**changes: Any) -> Accepted:
    document = {
        "session_id": "os-KEY23456-1-1",
        "zone_id": ZONE,
        "plate": "ABC1234",
        "subdivision": "US-NC",
        "start": (AT - HOUR).isoformat(),
        "end": (AT + HOUR).isoformat(),
        "space": "",
    }
    values: dict[str, Any] = {
        "until": AT + HOUR,
        "accepted_at": AT - HOUR,
        "is_settled": True,
        "is_unseen": False,
    }
    return Accepted(1, **{"remote_state": document, **values, **changes})  # fmt: skip


def right(**changes: Any) -> RightSeen:
    values: dict[str, Any] = {
        "remote_id": "r",
        "zone_id": ZONE,
        "plate": "ABC1234",
        "subdivision": "US-NC",
        "start": AT - HOUR,
        "end": AT + HOUR,
        "space_number": "",
        "reference": "os-KEY23456-1-1",
        "raw": {},
    }
    return RightSeen(**{**values, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"plate": "abc-12 34"},
        {"zone_id": ZONE.upper()},
        {"subdivision": "NC"},
        {"subdivision": "nc", "country": "US"},
        {"subdivision": "XX"},
        {"end": AT + HOUR + timedelta(seconds=59)},
        {"start": AT - 2 * HOUR},
        {"plate": "", "zone_id": "", "subdivision": "", "start": None},
        {"space_number": "12"},
    ],
    ids=str,
)
def test_what_says_the_same_in_other_words_is_seen(changes: dict[str, Any]) -> None:
    assert compare.judge(accepted(), right(**changes), at=AT) == (Finding.SEEN, ())


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"plate": "ABC1235"}, "plate"),
        ({"zone_id": ZONE.replace("1b", "1c")}, "zone_id"),
        ({"subdivision": "US-SC"}, "subdivision"),
        ({"subdivision": "SC"}, "subdivision"),
        ({"end": AT + 2 * HOUR}, "end"),
        ({"end": AT + HOUR / 2}, "end"),
        ({"end": None}, "end"),
        ({"start": AT + MINUTE}, "start"),
    ],
    ids=str,
)
def test_each_part_that_differs_is_found(changes: dict[str, Any], name: str) -> None:
    assert compare.judge(accepted(), right(**changes), at=AT) == (Finding.DIFFERS, (name,))
    just_now = accepted(accepted_at=AT - SETTLING_TIME)
    assert compare.judge(just_now, right(**changes), at=AT)[0] is Finding.OPEN
    assert compare.judge(accepted(is_settled=False), right(**changes), at=AT)[0] is Finding.OPEN


def test_a_space_is_compared_where_both_sides_name_one() -> None:
    row = accepted()
    assert row.remote_state is not None
    row.remote_state["space"] = "a12"
    assert compare.judge(row, right(space_number="A12"), at=AT)[0] is Finding.SEEN
    assert compare.judge(row, right(space_number=""), at=AT)[0] is Finding.SEEN
    assert compare.judge(row, right(space_number="13"), at=AT) == (Finding.DIFFERS, ("space",))


@pytest.mark.parametrize(
    ("until", "end", "finding"),
    [
        (AT - HOUR, AT + HOUR, Finding.SURPLUS),
        (AT - HOUR, AT + SETTLING_TIME, Finding.OPEN),
        (AT - SETTLING_TIME / 2, AT + HOUR, Finding.OPEN),
        (AT - HOUR, None, Finding.SURPLUS),
        (AT - SETTLING_TIME / 2, None, Finding.OPEN),
    ],
)
def test_a_right_that_has_ended_here_but_not_at_passport_is_too_much(
    until: datetime, end: datetime | None, finding: Finding
) -> None:
    row = accepted(until=until, accepted_at=AT - 2 * HOUR)
    assert compare.judge(row, right(end=end), at=AT)[0] is finding


@pytest.mark.parametrize("until", [AT + HOUR, AT - HOUR])
def test_a_time_that_can_t_be_read_is_never_seen_and_never_put_right(until: datetime) -> None:
    row = accepted(until=until, accepted_at=AT - 2 * HOUR)
    no_end = right(end=None, unreadable=("end",))
    assert compare.judge(row, no_end, at=AT) == (Finding.UNREADABLE, ())
    if until > AT:
        no_start = right(start=None, unreadable=("start",))
        assert compare.judge(row, no_start, at=AT) == (Finding.UNREADABLE, ())
        other_plate = right(plate="OTHER1", end=None, unreadable=("end",))
        assert compare.judge(row, other_plate, at=AT) == (Finding.DIFFERS, ("plate",))


@given(SPANS, st.integers(1, 600), SPANS)
def test_only_what_has_begun_was_accepted_and_continues_for_a_while_must_be_listed(
    start: timedelta, seconds: int, accepted_at: timedelta
) -> None:
    until = AT + start + timedelta(seconds=seconds)
    must = compare.must_be_listed(start=AT + start, until=until, accepted_at=AT + accepted_at, at=AT)
    settled = AT + start <= AT - SETTLING_TIME and accepted_at < -SETTLING_TIME
    assert must == (settled and until > AT + SETTLING_TIME)


@pytest.mark.parametrize(
    ("expected", "wrong", "is_held"),
    [(20, 20, False), (21, 21, True), (1000, 50, False), (1000, 51, True), (0, 0, False)],
)
def test_a_list_that_is_wrong_in_many_places_is_not_believed(
    expected: int, wrong: int, is_held: bool
) -> None:
    assert compare.is_held(wrong=wrong, expected=expected) == is_held


# --- Putting it right -----------------------------------------------------------------------------------------------


def test_what_differs_is_put_right_at_once_by_the_smallest_event_then_by_a_new_session() -> None:
    done = [remedy_for(Drift(AT - HOUR, tries), is_missing=False, now=AT) for tries in range(4)]
    assert done == [Remedy.SMALLEST, Remedy.SMALLEST, Remedy.NEW_SESSION, Remedy.NEW_SESSION]
    assert remedy_for(Drift(), is_missing=False, now=AT) is Remedy.SMALLEST


def test_what_is_missing_is_sent_again_only_when_it_is_missing_twice() -> None:
    assert remedy_for(Drift(), is_missing=True, now=AT) is Remedy.NOTE
    assert remedy_for(Drift(AT - SETTLING_TIME / 2), is_missing=True, now=AT) is Remedy.NOTE
    assert remedy_for(Drift(AT - HOUR), is_missing=True, now=AT) is Remedy.NEW_SESSION
    assert remedy_for(Drift(), is_missing=True, now=AT, is_certain=True) is Remedy.NEW_SESSION


@given(st.integers(0, 60), st.booleans())
def test_what_does_not_help_is_tried_at_growing_intervals(tries: int, is_missing: bool) -> None:
    wait, following = compare.wait_after(tries), compare.wait_after(tries + 1)
    assert wait <= following <= compare.LONGEST_WAIT
    assert following > wait or following in (timedelta(0), compare.LONGEST_WAIT)
    drift = Drift(AT - HOUR, tries, AT + MINUTE)
    assert remedy_for(drift, is_missing=is_missing, now=AT) is Remedy.WAIT
    assert remedy_for(drift, is_missing=is_missing, now=AT + MINUTE) is not Remedy.WAIT


# --- Ids and what is stored aside-----------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 200_000))))
def test_a_set_of_ids_is_a_set(steps: list[tuple[bool, int]]) -> None:
    ids, plain = IdSet(), set[int]()
    for puts_in, pk in steps:
        (ids.add if puts_in else ids.discard)(pk)
        (plain.add if puts_in else plain.discard)(pk)
        assert (pk in ids) == puts_in
    assert list(ids) == sorted(plain)
    assert len(ids) == len(plain)


@pytest.mark.parametrize(
    ("reference", "own"),
    [
        ("os-KEY23456-17-3", (17, 3, "")),
        ("os-KEY23456-17-3-9f86d081", (17, 3, "9f86d081")),
        ("os-KEY23456-17-3-9F86D081", None),
        ("os-KEY23456-17-3-9f86d08", None),
        ("os-KEY23456-²-1", None),
        ("os-KEY23456-١-1", None),
        ("os-KEY23456-17", None),
        ("os-KEY23456-17-3-4", None),
        ("os-KEY23456-017-3", None),
        ("os-KEY23456-0-3", None),
        ("os-KEY23456-17-", None),
        ("os-KEY23456-17-3\n", None),
        ("os-KEY23456-" + "9" * 19 + "-1", None),
        ("os-KEY23456-1-" + "9" * 60, None),
        ("os-OTHER234-17-3", None),
        ("", None),
    ],
)
def test_a_reference_is_ours_only_as_we_write_it(reference: str, own: tuple[int, int, str] | None) -> None:
    found = read_session_id("KEY23456", reference)
    assert (None if found is None else tuple(found)) == own


@given(st.integers(1, 10**18 - 1), st.integers(1, 10**9 - 1))
def test_an_id_leads_back_to_its_registration_and_never_comes_twice(pk: int, number: int) -> None:
    one, other = (new_session_id("KEY23456", pk, number) for _ in range(2))
    assert one != other
    assert len(one) <= 60
    own = read_session_id("KEY23456", one)
    assert own is not None
    assert own[:2] == (pk, number)


@given(st.text(max_size=80))
def test_no_reference_whatever_it_says_is_an_error(text: str) -> None:
    for reference in (text, f"os-KEY23456-{text}"):
        own = read_session_id("KEY23456", reference)
        assert own is None or reference.startswith("os-KEY23456-")


TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))


@given(
    st.lists(
        st.builds(
            RightSeen, TEXTS, TEXTS, TEXTS, TEXTS, MOMENTS, MOMENTS, TEXTS,
            st.sampled_from(["", "theirs", "os-KEY23456-1-1", "os-KEY23456-\ud800"]), st.just({}), TEXTS, TEXTS,
        ),
        max_size=20,
    )
)  # fmt: skip
def test_what_is_put_aside_comes_back_as_it_was_and_foreign_rights_are_only_counted(
    rights: list[RightSeen],
) -> None:
    with Spool("KEY23456") as spool:
        for one in rights:
            spool.take(one)
        back = [one for portion in spool.portions() for one in portion]
    assert spool.count == len(rights)
    assert spool.foreign.total() == sum(one.reference == "theirs" for one in rights)
    kept = [one for one in rights if one.reference != "theirs"]
    assert [(one.start, one.end) for one in back] == [(one.start, one.end) for one in kept]
    for one, other in zip(back, kept, strict=True):
        if other.plate.isprintable():
            assert one.plate == other.plate
        one.plate.encode()


def test_kinds_without_end_are_counted_together() -> None:
    with Spool("KEY23456") as spool:
        for number in range(2 * KINDS_MAX):
            spool.take(right(reference="theirs", kind=f"kind {number}"))
    assert len(spool.foreign) == KINDS_MAX + 1
    assert spool.foreign["…"] == KINDS_MAX
