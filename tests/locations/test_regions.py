"""Countries and subdivisions: read from what people write, never guessed."""

import contextlib

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from locations.regions import (
    _ABBREVIATED,
    COUNTRIES,
    SUBDIVISIONS,
    check_region,
    find_key,
    parse_region,
    region_choices,
    region_label,
    region_of_key,
)


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
        ("Edo. Méx.", "MX-MEX"),
        ("Estado de Mexico", "MX-MEX"),
        ("Washington, D.C.", "US-DC"),
        ("Ind.", "US-IN"),
        ("Georgia", "US-GA"),
        ("DE", "US-DE"),
        ("Puerto Rico", "US-PR"),
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


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("Germany", "DE"),
        ("DEU", "DE"),
        ("deutschland", "DE"),
        ("Côte d'Ivoire", "CI"),
        ("cote d'ivoire", "CI"),
        ("Viet Nam", "VN"),
        ("Vietnam", "VN"),
        ("U.K.", "GB"),
        ("Russia", "RU"),
        ("Mexico", "MX"),
        ("México", "MX"),
        ("US federal", "US"),
        ("U.S. Government", "US"),
        ("US tribal", "US"),
        ("USA diplomatic", "US"),
        ("Canada federal", "CA"),
    ],
)
def test_a_plate_that_no_state_issued_has_a_country_alone(written: str, country: str) -> None:
    assert parse_region(written) == (country, "")


@pytest.mark.parametrize("written", ["USA", "U.S.A.", "United States", "Canada"])
def test_a_country_whose_plates_have_a_state_asks_for_it(written: str) -> None:
    with pytest.raises(ValidationError, match="which state or province") as caught:
        parse_region(written)
    assert caught.value.code == "no_state"
    assert "federal" in caught.value.messages[0]


def test_two_letters_of_a_country_say_what_to_enter_instead() -> None:
    with pytest.raises(ValidationError) as caught:
        parse_region("FR")
    assert caught.value.messages == [
        "“FR” is not a state or province. For a vehicle from France, enter “France” or “FRA”."
    ]


@pytest.mark.parametrize(
    "written", ["", "Narnia", "XX", "US", "US-XX", "NC-US", "N C", "Wakanda, federal", "federal"]
)
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


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("COL", "“COL” could be Colorado, Colima or the country Colombia. Enter US-CO, MX-COL or Colombia."),
        ("MEX", "“MEX” could be México or the country Mexico. Enter MX-MEX or Mexico."),
        ("ind", "“IND” could be Indiana or the country India. Enter US-IN or India."),
    ],
)
def test_three_letters_of_a_country_and_of_a_state_are_asked(written: str, sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        parse_region(written)
    assert (caught.value.messages, caught.value.code) == ([sentence], "ambiguous")


def test_no_spelling_of_one_region_means_another() -> None:
    """An abbreviation that is another region's code or name would send a plate to the wrong state."""
    for country, text in _ABBREVIATED.items():
        for entry in text.replace("\n", "").split("|"):
            name, code = entry.strip().rsplit(" ", 1)
            if name == "Ind":
                continue  # may be India's code without its full stop
            assert parse_region(name).subdivision == f"{country}-{code}", name


@given(st.text(max_size=12))
def test_reading_never_fails_in_any_other_way(written: str) -> None:
    with contextlib.suppress(ValidationError):
        region = parse_region(written)
        assert check_region(*region) == region


@given(st.sampled_from(sorted(SUBDIVISIONS)))
def test_every_code_is_read_as_itself_and_has_a_name(code: str) -> None:
    assert parse_region(code).subdivision == code
    assert check_region(code[:2], code).country == code[:2]
    assert region_label(code[:2], code).startswith(SUBDIVISIONS[code])


@given(st.sampled_from(sorted(COUNTRIES)))
def test_every_country_is_read_by_its_name_or_says_why_not(country: str) -> None:
    name = COUNTRIES[country]
    if country in ("US", "CA"):
        with pytest.raises(ValidationError, match="federal"):
            parse_region(name)
    elif country == "GE":
        assert parse_region(name).subdivision == "US-GA"
    else:
        assert parse_region(name) == (country, "")
    assert name in region_label(country, "")


def test_each_choice_is_one_region_and_no_region_is_left_out() -> None:
    keys = [key for _group, choices in region_choices() for key, _label in choices]
    assert len(keys) == len(set(keys)) == len(SUBDIVISIONS) + len(COUNTRIES)
    assert [region_of_key(key).key for key in keys] == keys
    assert find_key("DE") is None


@pytest.mark.parametrize("key", ["", "DE", "US", "us-nc", "PRI", "US-XX"])
def test_another_text_than_a_key_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        region_of_key(key)


@pytest.mark.parametrize(
    ("country", "subdivision"), [("US", "CA-ON"), ("PR", ""), ("DE", "DE-BE"), ("", "US-NC"), ("", "")]
)
def test_a_subdivision_belongs_to_its_country(country: str, subdivision: str) -> None:
    with pytest.raises(ValidationError):
        check_region(country, subdivision)
