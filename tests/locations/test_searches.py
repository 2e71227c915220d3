"""A search id hides its text, works for one person, and expires."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import override_settings

from locations.models import User
from locations.searches import LIFE_S, SearchEnded, from_id, is_id, to_id

KIM, SAM = User(pk=1), User(pk=2)


@pytest.mark.parametrize("text", ["ABC 1234", "~odd", "größer & +/=?#", "a\0b", "x" * 80, ""])
def test_a_text_comes_back_and_is_not_to_be_read_before(text: str) -> None:
    search_id = to_id(text, KIM)
    assert from_id(search_id, KIM) == text
    assert is_id(search_id) is bool(text)
    assert not text or text not in search_id
    # Nothing in it needs escaping in an address.
    assert search_id == "".join(one for one in search_id if one.isalnum() or one in "~-_")


def test_the_same_search_is_another_id_each_time() -> None:
    assert to_id("ABC1234", KIM) != to_id("ABC1234", KIM)


@pytest.mark.parametrize("wrong", ["ABC1234", "~", "~ABC1234", "~" + "A" * 120, "~\0", "~ü"])
def test_what_is_no_id_finds_nothing(wrong: str) -> None:
    with pytest.raises(SearchEnded):
        from_id(wrong, KIM)


def test_another_persons_id_finds_nothing_and_one_without_its_mark_is_none() -> None:
    for wrong in (to_id("ABC1234", SAM), to_id("ABC1234", KIM).removeprefix("~")):
        with pytest.raises(SearchEnded):
            from_id(wrong, KIM)


def test_an_id_ends_after_a_working_day() -> None:
    now = datetime(2026, 12, 5, 8, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        search_id = to_id("ABC1234", KIM)
    with time_machine.travel(now + timedelta(seconds=LIFE_S), tick=False):
        assert from_id(search_id, KIM) == "ABC1234"
    with time_machine.travel(now + timedelta(seconds=LIFE_S + 2), tick=False), pytest.raises(SearchEnded):
        from_id(search_id, KIM)


def test_an_id_outlives_the_rotation_of_the_secret_key() -> None:
    with override_settings(SECRET_KEY="old", SECRET_KEY_FALLBACKS=[]):
        search_id = to_id("ABC1234", KIM)
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["old"]):
        assert from_id(search_id, KIM) == "ABC1234"
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=[]), pytest.raises(SearchEnded):
        from_id(search_id, KIM)
