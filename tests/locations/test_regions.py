"""Countries and subdivisions: read from what people write, never guessed."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from locations.regions import SUBDIVISIONS, check_region, parse_region, region_label


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("US-NC", "US-NC"),
        ("us-nc", "US-NC"),
        ("NC", "US-NC"),
        (" nc ", "US-NC"),
        ("North  Carolina", "US-NC"),
        ("CA", "US-CA"),
        ("CA-ON", "CA-ON"),
        ("ON", "CA-ON"),
        ("Québec", "CA-QC"),
        ("quebec", "CA-QC"),
        ("MX-JAL", "MX-JAL"),
    ],
)
def test_codes_and_names_are_read(written: str, code: str) -> None:
    region = parse_region(written)
    assert region.subdivision == code
    assert region.country == code[:2]


@pytest.mark.parametrize("written", ["", "Narnia", "XX", "US", "US-XX", "NC-US", "N C"])
def test_what_is_not_known_is_refused(written: str) -> None:
    with pytest.raises(ValidationError):
        parse_region(written)


@given(st.text(max_size=12))
def test_reading_never_fails_in_any_other_way(written: str) -> None:
    with contextlib.suppress(ValidationError):
        assert parse_region(written).subdivision in SUBDIVISIONS


@given(st.sampled_from(sorted(SUBDIVISIONS)))
def test_every_code_is_read_as_itself_and_has_a_name(code: str) -> None:
    assert parse_region(code).subdivision == code
    assert check_region(code[:2], code).country == code[:2]
    assert region_label(code).startswith(SUBDIVISIONS[code])


@pytest.mark.parametrize(
    ("country", "subdivision"), [("US", "CA-ON"), ("US", ""), ("DE", "DE-BE"), ("", "US-NC")]
)
def test_a_subdivision_belongs_to_its_country(country: str, subdivision: str) -> None:
    with pytest.raises(ValidationError):
        check_region(country, subdivision)
