"""The access token: read from any answer, renewed in time, fetched once for all, encrypted at rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.errors import DeliveryError, FixConnection, TryLater
from passport import tokens
from passport.models import AccessToken
from passport.tokens import DatabaseTokenStore, FetchedToken, MemoryTokenStore, renewal_time
from tests.passport.test_reading import json_values

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)


def read(**document: Any) -> FetchedToken | None:
    return FetchedToken.read({"access_token": "secret-1", **document}, now=NOW)


def store(secret: str = "s") -> DatabaseTokenStore:
    return DatabaseTokenStore(base_url="http://passport.test", client_id="me", client_secret=secret)


class Passport:
    """Gives out numbered tokens, or fails."""

    def __init__(self, *, life_s: float = 3600) -> None:
        self.asked = 0
        self.life_s = life_s
        self.error: DeliveryError | None = None

    def __call__(self) -> FetchedToken:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return FetchedToken(f"secret-{self.asked}", timezone.now() + timedelta(seconds=self.life_s))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "WAIT_S", 0.2)
    monkeypatch.setattr(tokens, "POLL_S", 0.01)


# --- Reading the answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "life_s"),
    [
        ({"expires_in": 86400}, 86400),
        ({"expires_in": "600"}, 600),
        ({"expires_in": 0.5}, 0.5),
        ({"expires_at": "2026-11-22T18:30:00Z"}, 5400),
        ({"expires_at": "2026-11-22T18:30:00+01:00"}, 1800),
        ({"expires_in": 900, "expires_at": "2026-11-22T18:30:00Z"}, 900),
        ({}, 3600),
        ({"expires_in": None, "expires_at": "soon"}, 3600),
        ({"expires_in": "²"}, 3600),
        ({"expires_in": True}, 3600),
        ({"expires_at": "2026-11-22T18:30:00"}, 3600),
    ],
)
def test_the_life_time_is_read_in_either_form(document: dict[str, Any], life_s: float) -> None:
    token = read(**document)
    assert token is not None
    assert token.expires_at == NOW + timedelta(seconds=life_s)


@pytest.mark.parametrize("secret", [None, "", 7, "a\nb", "naïve", [], "x\x00"])
def test_a_token_that_no_header_can_carry_is_none(secret: Any) -> None:
    assert read(access_token=secret) is None


def test_a_token_that_has_ended_already_is_none() -> None:
    assert read(expires_at="2026-11-22T16:59:59Z") is None


@given(
    json_values
    | st.fixed_dictionaries(
        {
            "access_token": json_values | st.just("a"),
            "expires_in": json_values | st.integers().map(str) | st.just("9" * 5000),
            "expires_at": json_values | st.datetimes().map(str) | st.just("0001-01-01T00:00:00+14:00"),
        }
    )
)
def test_whatever_the_answer_holds_it_is_a_token_or_none(document: Any) -> None:
    token = FetchedToken.read(document, now=NOW)
    assert token is None or token.expires_at > NOW


@pytest.mark.parametrize(("life_s", "margin_s"), [(86400, 120), (1200, 120), (600, 60), (10, 1)])
def test_a_token_is_renewed_before_it_ends(life_s: float, margin_s: float) -> None:
    end = NOW + timedelta(seconds=life_s)
    assert end - renewal_time(end, now=NOW) == timedelta(seconds=margin_s)


# --- One token for all --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_whole_fleet_asks_once_per_life_time() -> None:
    passport = Passport(life_s=3600)
    with time_machine.travel(NOW, tick=False) as clock:
        fleet = [store() for _ in range(100)]
        assert {worker.get(passport).secret for worker in fleet} == {"secret-1"}
        clock.shift(3600)
        assert {worker.get(passport).secret for worker in fleet} == {"secret-2"}
    assert passport.asked == 2


@pytest.mark.django_db
def test_who_gets_the_word_just_after_a_token_was_brought_takes_that_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passport, late = Passport(), store()
    take_the_word = late._take_the_word

    def after_another(now: datetime) -> bool:
        store().get(passport)  # between the look and the word
        return take_the_word(now)

    monkeypatch.setattr(late, "_take_the_word", after_another)
    assert late.get(passport).secret == "secret-1"
    assert passport.asked == 1
    row = AccessToken.objects.get()
    assert row.fetching_until is None


@pytest.mark.django_db
def test_a_token_that_was_refused_is_fetched_anew_once_for_all() -> None:
    passport = Passport()
    fleet = [store() for _ in range(5)]
    refused = [worker.get(passport) for worker in fleet]
    for worker, token in zip(fleet, refused, strict=True):
        worker.drop(token)
        assert worker.get(passport).secret == "secret-2"
    assert passport.asked == 2


@pytest.mark.django_db
def test_the_token_is_not_readable_in_the_database() -> None:
    store().get(Passport())
    assert b"secret-1" not in bytes(AccessToken.objects.get().secret)


@pytest.mark.django_db
def test_new_credentials_never_use_an_old_token() -> None:
    passport = Passport()
    assert store("old").get(passport).secret == "secret-1"
    assert store("new").get(passport).secret == "secret-2"


@pytest.mark.django_db
def test_a_token_that_no_key_decrypts_any_more_is_fetched_anew() -> None:
    passport = Passport()
    store().get(passport)
    AccessToken.objects.update(secret=b"garbage")
    assert store().get(passport).secret == "secret-2"


@pytest.mark.django_db
@pytest.mark.usefixtures("quick")
def test_who_finds_another_fetching_waits_and_then_says_so() -> None:
    AccessToken.objects.create(key=store().key, fetching_until=timezone.now() + timedelta(seconds=60))
    passport = Passport()
    with pytest.raises(TryLater):
        store().get(passport)
    assert passport.asked == 0


@pytest.mark.django_db
def test_a_worker_that_died_over_a_fetch_blocks_nobody_for_longer_than_a_row_is_leased() -> None:
    AccessToken.objects.create(key=store().key, fetching_until=timezone.now() - timedelta(seconds=0.01))
    assert store().get(Passport()).secret == "secret-1"
    assert tokens.FETCH_LEASE_S < 12 <= tokens.WAIT_S


@pytest.mark.django_db
def test_after_a_failure_nobody_asks_again_for_a_moment() -> None:
    passport = Passport()
    passport.error = FixConnection("Wrong credentials.", scope="host")
    with time_machine.travel(NOW, tick=False) as clock:
        with pytest.raises(FixConnection):
            store().get(passport)
        row = AccessToken.objects.get()
        assert row.fetching_until is not None
        assert row.fetching_until > timezone.now()
        passport.error = None
        clock.shift(tokens.FAILURE_REST_S + 0.01)
        assert store().get(passport).secret == "secret-2"


def test_a_store_in_memory_renews_and_drops_too() -> None:
    passport, memory = Passport(life_s=100), MemoryTokenStore()
    with time_machine.travel(NOW, tick=False) as clock:
        first = memory.get(passport)
        assert memory.get(passport) == first
        clock.shift(91)
        second = memory.get(passport)
        memory.drop(first)
        assert memory.get(passport) == second
        memory.drop(second)
        assert memory.get(passport).secret == "secret-3"
