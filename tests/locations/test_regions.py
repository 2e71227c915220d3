"""Countries and subdivisions: read from what people write, never guessed."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from locations.regions import _ABBREVIATED, SUBDIVISIONS, check_region, parse_region, region_label


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
        ("PQ", "CA-QC"),
        ("Que.", "CA-QC"),
        ("QC", "CA-QC"),
        ("NF", "CA-NL"),
        ("NWT", "CA-NT"),
        ("PEI", "CA-PE"),
        ("P.E.I.", "CA-PE"),
        ("D.C.", "US-DC"),
        ("N.C.", "US-NC"),
        ("n. c.", "US-NC"),
        ("W.Va.", "US-WV"),
        ("W. Va.", "US-WV"),
        ("Ont.", "CA-ON"),
        ("Calif.", "US-CA"),
        ("Mexico", "MX-MEX"),
        ("Nuevo Leon", "MX-NLE"),
        ("NUEVO LEÓN", "MX-NLE"),
        ("Nuevo Leo\u0301n", "MX-NLE"),
        ("CDMX", "MX-CMX"),
        ("Ciudad de Mexico", "MX-CMX"),
        ("Queretaro", "MX-QUE"),
        ("MX-QUE", "MX-QUE"),
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


@pytest.mark.parametrize("written", ["QUE", "que", " Que "])
def test_what_could_be_two_is_asked(written: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_region(written)
    assert caught.value.messages == [
        "“QUE” could be Quebec or Querétaro. Enter CA-QC or MX-QUE.",
    ]


def test_no_spelling_of_one_region_means_another() -> None:
    """An abbreviation that is another region's code or name would send a plate to the wrong state."""
    for country, text in _ABBREVIATED.items():
        for entry in text.replace("\n", "").split("|"):
            name, code = entry.strip().rsplit(" ", 1)
            assert parse_region(name).subdivision == f"{country}-{code}", name


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
