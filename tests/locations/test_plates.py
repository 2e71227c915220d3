"""Plates: normalising changes case and removes spaces, hyphens and dots; anything else is refused, never rewritten."""

import string

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from locations.plates import (
    MAX_PLATE_CHARS,
    MOST_LOOK_ALIKES,
    clean_plate,
    look_alikes,
    looks_like,
    normalise_plate,
)

plates = st.text(alphabet=string.ascii_uppercase + string.digits, min_size=1, max_size=MAX_PLATE_CHARS)
noise = st.text(alphabet=" -.\t\u00a0\u2010\u2013\u2014\u00ad", max_size=3)


@pytest.mark.parametrize(
    ("typed", "plate"),
    [
        ("abc 123", "ABC123"),
        (" ABC-123 ", "ABC123"),
        ("a.b.c–1 2 3", "ABC123"),
        ("ABC\u00a0123", "ABC123"),
        ("4E5", "4E5"),
        ("0OO0", "0OO0"),
    ],
)
def test_what_people_type_becomes_one_form(typed: str, plate: str) -> None:
    assert clean_plate(typed) == plate


@given(st.lists(st.tuples(plates.map(lambda text: text[0]), noise), min_size=1, max_size=MAX_PLATE_CHARS))
def test_case_and_noise_make_no_difference_and_no_sign_becomes_another(signs: list[tuple[str, str]]) -> None:
    plate = "".join(sign for sign, _ in signs)
    assert clean_plate("".join(f"{sign}{between}" for sign, between in signs)) == plate
    assert clean_plate("".join(f"{between}{sign.lower()}" for sign, between in signs)) == plate


@given(st.text(max_size=20))
def test_normalising_twice_is_normalising_once(typed: str) -> None:
    assert normalise_plate(normalise_plate(typed)) == normalise_plate(typed)


@given(st.text(max_size=20))
def test_whatever_is_accepted_was_typed_character_by_character(typed: str) -> None:
    try:
        plate = clean_plate(typed)
    except ValidationError:
        return
    assert 1 <= len(plate) <= MAX_PLATE_CHARS
    left = [sign.upper() for sign in typed if sign.isascii() and sign.isalnum()]
    assert "".join(left) in (plate, plate.replace("K", ""))  # U+212A is the same letter as K


@pytest.mark.parametrize(
    "typed", ["", " ", "-.-", "A" * 13, "ÄBC", "ABC_1", "=1+1", "ß1", "ſ1", "ı1", "ＡＢＣ", "A\x00B", "🚗"]
)
def test_anything_else_is_refused_with_one_sentence(typed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_plate(typed)
    assert len(refusal.value.messages) == 1


def test_plates_that_people_mistake_for_one_another_look_alike() -> None:
    assert looks_like("B0S1", "8O5I")
    assert not looks_like("ABC", "ABC")
    assert not looks_like("ABC", "ABD")


@given(plates)
def test_look_alikes_look_alike(plate: str) -> None:
    assert all(looks_like(plate, other) for other in look_alikes(plate))


@pytest.mark.parametrize(
    ("one", "other"),
    [("TEA0", "TEAD"), ("TEAO", "TEAQ"), ("ZE8", "2EB"), ("GO6", "6QG"), ("ILL1", "1111"), ("S5", "5S")],
)
def test_each_class_of_signs_is_known(one: str, other: str) -> None:
    assert looks_like(one, other)
    assert other in look_alikes(one)


@given(plates)
def test_no_question_is_too_long_for_one_query(plate: str) -> None:
    found = look_alikes(plate)
    assert len(found) < MOST_LOOK_ALIKES
    assert len(set(found)) == len(found)
