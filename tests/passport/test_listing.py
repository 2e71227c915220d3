"""A list that is read as it arrives gives the same result as one that is read as a whole, no matter how it is split."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passport.listing import ListParser

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
rest = st.dictionaries(st.text(max_size=5).filter(lambda name: name != "data"), json_values, max_size=3)


def parse(body: bytes, *, cuts: list[int]) -> tuple[list[Any], dict[str, Any]]:
    taken: list[Any] = []
    parser = ListParser(taken.append)
    places = sorted({cut % (len(body) + 1) for cut in cuts})
    for begin, end in zip([0, *places], [*places, len(body)], strict=True):
        parser.feed(body[begin:end])
    parser.close()
    return taken, parser.rest


cuts = st.lists(st.integers(0, 10_000), max_size=6)


@given(st.lists(json_values, max_size=5), rest, rest, st.booleans(), cuts)
def test_every_entry_is_handed_over_in_order_wherever_the_body_is_cut(
    entries: list[Any], before: dict[str, Any], after: dict[str, Any], is_ascii: bool, places: list[int]
) -> None:
    document = {**before, "data": entries, **after}
    body = json.dumps(document, ensure_ascii=is_ascii, indent=1).encode("utf-8", "surrogatepass")
    try:
        body.decode()
    except UnicodeDecodeError:
        return
    taken, more = parse(body, cuts=places)
    assert taken == entries
    assert more == {name: value for name, value in document.items() if name != "data"}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"{}", b'{"data": {}}', b'{"data": [{}', b'{"data": [{}]', b'{"data": [{} {}]}',
        b'{"data": []} x', b'{"data": [,]}', b'{"data": [], "data": []}x', b'{1: []}', b'{"data": ["\xff"]}',
        b'{"next": 1}', b'{"data": ' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_whole_list_is_an_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(body, cuts=[3, 9])


def test_an_entry_without_an_end_is_given_up() -> None:
    parser = ListParser(lambda entry: None)
    parser.feed(b'{"data": ["' + b"x" * 500_000)
    with pytest.raises(ValueError, match="no JSON"):
        parser.feed(b"x" * 600_000)
