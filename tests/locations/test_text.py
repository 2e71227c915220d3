"""What is typed is cleaned in one way everywhere, and what comes from elsewhere acts on no terminal and in no log."""

import json
import logging
import unicodedata
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from integrations.management.scripting import ScriptCommand
from integrations.models import Contact
from integrations.notifications.contacts import add_contact
from integrations.onboarding.services import begin_connection
from locations.models import Company, Location, Permit
from locations.plates import clean_plate, unused_letters, without_decoration
from locations.services import change_permit, save_company, save_location
from locations.text import clean_line, name_sign, tidy, twin_key, visible
from offstreet.logs import logging_config
from tests.factories import LocationFactory, PermitFactory
from tests.pages import World, reauthenticate, text_of

INVISIBLE = "\u200b\u200c\u200d\u200e\u200f\u00ad\u2060\ufeff\u202a\u202e\u2066\u2069\u061c\u180e\U000e0041"
ZONE = "America/New_York"
DECOMPOSED = "Universite\u0301"


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Lot 10", "Lot 10"),
        ("  Lot\u00a0 \u200310\t\n", "Lot 10"),
        (DECOMPOSED, "Université"),
        (f"Lo{INVISIBLE}t", "Lot"),
        (INVISIBLE, ""),
        ("\u200b", ""),
        ("\u3164\u2800", ""),
        (" \u200b ", ""),
        ("a \u200b b", "a b"),
    ],
)
def test_one_look_is_one_text(typed: str, kept: str) -> None:
    assert clean_line(typed) == kept


@given(st.text(max_size=30))
def test_cleaning_twice_is_cleaning_once_and_leaves_nothing_unseen(typed: str) -> None:
    once = tidy(typed)
    assert tidy(once) == once
    assert not any(unicodedata.category(sign) == "Cf" for sign in once)
    assert once == once.strip()
    assert "  " not in once


@pytest.mark.parametrize("sign", ["\0", "\a", "\x1b", "\x7f", "\x9b", "\t", "\n", "\ud800"])
def test_a_control_character_inside_a_text_is_refused_by_name(sign: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_line(f"a{sign}b")
    assert f"control character (U+{ord(sign):04X})" in refusal.value.messages[0]


@pytest.mark.parametrize(
    ("plate", "said"),
    [
        ("АBC1", "Cyrillic letter А (U+0410); type the Latin A"),
        ("ABС1", "Cyrillic letter С (U+0421); type the Latin C"),
        ("ВBC1", "Cyrillic letter В (U+0412); type the Latin B"),
        ("ABΟ1", "Greek letter Ο (U+039F); type the Latin O"),
        ("ABC１", "digit １ (U+FF11); type the digit 1"),
        ("ÄBC", "Latin letter Ä (U+00C4)"),
        ("🚗", "character 🚗 (U+1F697)"),
        ("A\x00B", "control character (U+0000)"),
        ("A=1", "not “=”"),
    ],
)
def test_a_plate_says_which_character_it_refuses_and_what_to_type(plate: str, said: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        clean_plate(plate)
    assert said in refusal.value.messages[0]


def test_what_nobody_sees_makes_no_other_plate() -> None:
    assert clean_plate(f"\u200bAB{INVISIBLE}C 1\ufeff23") == "ABC123"


def test_characters_are_named_as_people_find_them() -> None:
    assert name_sign("А") == "Cyrillic letter А (U+0410)"
    assert name_sign("\x1b") == "control character (U+001B)"
    assert name_sign("♥") == "character ♥ (U+2665)"


@pytest.mark.parametrize(
    ("one", "other"), [("Lot 10", "lot  10"), ("Lot 10", "LOT\u200b10"), ("Straße", "STRASSE"), (DECOMPOSED, "UNIVERSITÉ")]
)  # fmt: skip
def test_names_that_differ_only_in_case_blanks_or_what_nobody_sees_are_twins(one: str, other: str) -> None:
    assert twin_key(one) == twin_key(other)
    assert twin_key("Lot 10") != twin_key("Lot 1O")


# --- Plates: decoration and issuers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "offer"),
    [
        ("TEA&2", "TEA2"), ("I♥TEA", "ITEA"), ("I❤\ufe0fTEA", "ITEA"), ("D'ARK", "DARK"), ("D’ark", "DARK"), ("★1*", "1"),
        ("TEA2", ""), ("TEA-2", ""), ("TEА2", ""), ("ÄBC", ""), ("&", ""), ("", ""), ("A" * 13 + "&", ""), ("A\0&", ""),
    ],
)  # fmt: skip
def test_a_plate_is_offered_without_its_decoration_and_with_nothing_else_left_out(
    typed: str, offer: str
) -> None:
    assert without_decoration(typed) == offer
    if offer:
        with pytest.raises(ValidationError):
            clean_plate(typed)


def test_a_letter_that_an_issuer_never_uses_is_known() -> None:
    assert unused_letters("A0O", "CA-QC") == "O"
    assert unused_letters("A00", "CA-QC") == ""
    assert unused_letters("A0O", "US-NC") == ""


# --- Where it is applied ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_every_text_of_a_permit_is_cleaned_by_the_service() -> None:
    permit = PermitFactory(location=LocationFactory())
    names = ("unit", "type", "space_number", "external_id")
    typed: dict[str, Any] = dict.fromkeys(names, " e\u0301te\u0301\u200b  1 ")
    changed = change_permit(permit=permit, plate="ab\u200bc 1", **typed)
    assert {getattr(changed, name) for name in typed} == {"été 1"}
    assert (changed.plate, changed.plate_typed) == ("ABC1", "abc 1")
    for name in typed:
        wrong: dict[str, Any] = {name: "a\x1b[31mb"}
        with pytest.raises(ValidationError) as refusal:
            change_permit(permit=permit, **wrong)
        assert "U+001B" in refusal.value.message_dict[name][0]


@pytest.mark.django_db
def test_names_and_references_are_cleaned_by_the_services() -> None:
    company = save_company(company=Company(name=f" {DECOMPOSED}\u200b", slug="uni", offstreet_id="7\u200b"))
    assert (company.name, company.offstreet_id) == ("Université", "7")
    location = save_location(
        location=Location(company=company, name="Lot\u00a0 10\u200b", external_id=" L\u200b1 ")
    )
    assert (location.name, location.external_id) == ("Lot 10", "L1")
    contact = add_contact(
        company=company, kind="enforcement", name="Kim\u202e  Lee", email="k@example.org", actor=None
    )
    assert Contact.objects.get(pk=contact.pk).name == "Kim Lee"
    begin_connection(company=company)
    assert begin_connection(company=company, label="North\u200b  Side").label == "North Side"
    with pytest.raises(ValidationError):
        begin_connection(company=company, label="north side\u200b")


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["\u200b", " \u200b\ufeff ", "\u202e", "\u3164"])
def test_a_name_of_nothing_that_is_seen_is_no_name(name: str, world: World) -> None:
    for row in (Company(name=name, slug="x", offstreet_id="x"), Location(company=world.company, name=name)):
        with pytest.raises(ValidationError) as refusal:
            save_company(company=row) if isinstance(row, Company) else save_location(location=row)
        assert "name" in refusal.value.message_dict
    answer = world.operator.post(world.url("location_add"), {"name": name, "timezone": ZONE, "active": "on"})
    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["name"]
    reauthenticate(world.support)
    world.support.post(
        reverse("admin:locations_location_add"),
        {"company": world.company.pk, "name": name, "timezone": ZONE},
    )
    assert not Location.objects.filter(company=world.company).exists()


@pytest.mark.django_db
def test_a_location_beside_one_that_looks_the_same_is_pointed_out_on_save(world: World) -> None:
    world.location("Lot 10")
    sent = {"name": "lot  10", "external_id": "", "timezone": ZONE, "active": "on"}
    answer = world.operator.post(world.url("location_add"), sent, follow=True)
    assert "“lot 10” and “Lot 10” differ only in case or blanks" in text_of(answer)
    assert Location.objects.filter(company=world.company).count() == 2
    exact = world.operator.post(world.url("location_add"), {**sent, "name": "Lot\u200b 10"})
    assert exact.status_code == 422
    other = world.operator.post(world.url("location_add"), {**sent, "name": "Lot 11"}, follow=True)
    assert "differ only" not in text_of(other)
    reauthenticate(world.support)
    data = {**sent, "name": "LOT 10", "company": world.company.pk}
    assert "differ only" in text_of(
        world.support.post(reverse("admin:locations_location_add"), data, follow=True)
    )


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["abc\u200b 12", "\u200babc12", "ABC\u00ad12"])
def test_a_search_finds_what_was_meant(query: str, world: World) -> None:
    place = world.location("Université")
    PermitFactory(location=place, plate="ABC123", unit="Unit 7")
    assert len(Permit.objects.all().search_branches(query)[0]) == 1
    answer = world.operator.post(world.url("permits_search"), {"q": query}, follow=True)
    assert "ABC123" in text_of(answer)
    found = world.operator.get(world.url("locations"), {"q": f"\u200b{DECOMPOSED} "})
    assert [row.location.pk for row in found.context["rows"]] == [place.pk]


# --- Where it is shown ------------------------------------------------------------------------------------------------

ATTACK = "Lot\x1b[2J\x9b31m\u202eB\r\x07\x7f"


def test_what_is_shown_acts_on_no_terminal() -> None:
    assert visible(ATTACK) == "Lot\\u001b[2J\\u009b31m\\u202eB\\u000d\\u0007\\u007f"
    assert visible("Université · 大学 → 🚗\n\t1") == "Université · 大学 → 🚗\n\t1"
    assert visible("a\nb", lines=False) == "a\\u000ab"
    assert visible("a\r\nb") == "a\nb"


@given(st.text(max_size=30))
def test_nothing_acts_and_json_stays_json(text: str) -> None:
    shown = visible(json.dumps({"a": text}, ensure_ascii=False))
    assert all(sign == "\n" or unicodedata.category(sign) not in ("Cc", "Cf", "Cs") for sign in shown)
    assert json.loads(shown)["a"].encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")


class Shows(ScriptCommand):
    """Writes what a vendor said."""

    def script(self, options: dict[str, object]) -> None:
        """Write it to both outputs."""
        self.stdout.write(ATTACK)
        self.stderr.write(ATTACK)


def test_a_command_shows_what_a_vendor_wrote_without_doing_it() -> None:
    out, err = StringIO(), StringIO()
    call_command(Shows(), stdout=out, stderr=err)
    for shown in (out.getvalue(), err.getvalue()):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\\u001b[2J" in shown


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_line_is_one_line_whatever_a_vendor_wrote(as_json: bool) -> None:
    formatter = logging_config(level="INFO", as_json=as_json)["formatters"]["line"]
    made = formatter.pop("()")(**formatter)
    record = logging.LogRecord(
        "x", logging.INFO, "x", 1, {"event": "refused", "sentence": f"{ATTACK}\nforged"}, (), None
    )
    line = made.format(record)
    assert "forged" in line
    assert not any(sign in line for sign in "\x1b\x9b\u202e\r\n\x07")
