"""Operator IDs as people paste them."""

import uuid

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from passport.onboarding import clean_operator_id

ID = "072e8b73-87ba-52be-ad93-16807143d145"
BARE = ID.replace("-", "")


@pytest.mark.parametrize(
    "pasted",
    [
        ID,
        ID.upper(),
        f"  {ID}\n",
        BARE,
        f"urn:uuid:{ID}",
        f"{{{ID}}}",
        f"({ID})",
        f"“{ID}”",
        f"{ID}.",
        f"Operator ID: {ID}",
        f"Operator ID {ID}",
        f"Your operator ID is {ID}, see you soon.",
        f"\u200b{ID}\ufeff",
        ID.replace("-", "\u2011"),
        ID.replace("-", "–"),
        f"{ID[:14]}\n{ID[14:]}",
        f"{ID} ({ID.upper()})",
    ],
)
def test_the_operator_id_is_found_in_what_was_pasted(pasted: str) -> None:
    assert clean_operator_id(pasted) == ID


@pytest.mark.parametrize("nothing", ["", "  ", "\u200b\n"])
def test_nothing_is_nothing(nothing: str) -> None:
    assert clean_operator_id(nothing) == ""


@pytest.mark.parametrize(
    "wrong", ["12345", "PASSPORTUNIVERSITY", ID[:-1], f"{ID}0", f"a{ID}", "g" * 32, f"{ID}-{ID}"]
)
def test_what_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError, match="is not an operator ID"):
        clean_operator_id(wrong)


def test_two_are_asked_about() -> None:
    with pytest.raises(ValidationError, match="more than one operator ID"):
        clean_operator_id(f"{ID} or 11111111-2222-4333-8444-555555555555")


@given(st.uuids(), st.text(max_size=20), st.text(max_size=20))
def test_it_is_the_one_that_stands_there_or_none(one: uuid.UUID, before: str, after: str) -> None:
    try:
        found = clean_operator_id(f"{before} {one} {after}")
    except ValidationError:
        return
    assert found == str(one)
