"""What a comparison comes to: what may be missing, when a list is not believed, and which references are ours."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery.session_id import read_session_id, session_id
from integrations.reconciliation import compare
from integrations.reconciliation.compare import SETTLING_TIME, Believed, ListedRights
from integrations.vendors.protocol import RightSeen

AT = datetime(2026, 11, 22, 17, tzinfo=UTC)
SPANS = st.integers(-300, 300).map(lambda seconds: timedelta(seconds=seconds))


@st.composite
def believed(draw: st.DrawFn) -> Believed:
    start = AT + draw(SPANS)
    until = start + timedelta(seconds=draw(st.integers(1, 600)))
    return Believed(draw(st.integers(1, 10**18)), start, until, AT + draw(SPANS), draw(st.booleans()))


@given(st.lists(believed(), max_size=120, unique_by=lambda right: right.pk), st.booleans())
def test_only_what_must_be_listed_now_is_missing_and_never_too_much_of_it(
    rights: list[Believed], is_certain: bool
) -> None:
    verdict = compare.judge(rights, at=AT, is_certain=is_certain)
    by_id = {right.pk: right for right in rights if not right.is_listed}
    assert list(verdict.seen) == [right.pk for right in rights if right.is_listed]
    for pk in verdict.missing:
        right = by_id[pk]
        assert right.start <= AT - SETTLING_TIME < AT + SETTLING_TIME < right.until
        assert right.accepted_at < AT - SETTLING_TIME
    open_ones = len(rights) - len(verdict.seen) - len(verdict.missing)
    assert verdict.expected <= len(rights) - open_ones
    too_many = len(verdict.missing) > max(20, verdict.expected / 20)
    assert verdict.is_held == (too_many and not is_certain)


def running(count: int, *, listed: int) -> list[Believed]:
    hour = timedelta(hours=1)
    return [Believed(pk, AT - hour, AT + hour, AT - hour, pk < listed) for pk in range(count)]


@pytest.mark.parametrize(
    ("count", "listed", "is_held"),
    [(20, 0, False), (21, 0, True), (1000, 950, False), (1000, 949, True), (0, 0, False)],
)
def test_an_empty_or_short_list_is_not_believed_beyond_a_few(count: int, listed: int, is_held: bool) -> None:
    assert compare.judge(running(count, listed=listed), at=AT).is_held == is_held


@pytest.mark.parametrize(
    ("reference", "own"),
    [
        ("os-KEY23456-17-3", (17, 3)),
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
def test_a_reference_is_ours_only_as_we_write_it(reference: str, own: tuple[int, int] | None) -> None:
    assert read_session_id("KEY23456", reference) == own


@given(st.text(max_size=80))
def test_no_reference_whatever_it_says_is_an_error(text: str) -> None:
    for reference in (text, f"os-KEY23456-{text}"):
        own = read_session_id("KEY23456", reference)
        assert own is None or reference == session_id("KEY23456", *own)


def seen(reference: str, plate: str = "ABC1234") -> RightSeen:
    return RightSeen("r", "zone", plate, "US-NC", AT, AT, "", reference, {})


def test_what_is_as_believed_is_not_kept_and_of_the_rest_only_so_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compare, "OTHERS_MAX", 2)
    listing = ListedRights("KEY23456", {1: 1, 2: 2})
    for reference in (
        "os-KEY23456-1-1",
        "os-KEY23456-2-1",
        "os-KEY23456-9-1",
        "os-KEY23456-9-2",
        "theirs",
        "",
    ):
        listing.take(seen(reference))
    assert listing.has(1, 1)
    assert not listing.has(2, 2)
    assert sorted(listing.others) == [2, 9]
    assert listing.count_of_others == 3
    assert listing.vehicles == {("ABC1234", "NC", "zone")}
