"""The access token: read from any answer, renewed in time, fetched once for all, encrypted at rest."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery.circuit_breaker import OBEY_MAX
from integrations.vendors.errors import DeliveryError, FixConnection, TryLater
from passport import tokens
from passport.models import AccessToken
from passport.tokens import DatabaseTokenStore, FetchedToken, MemoryTokenStore, renewal_time
from tests.passport.test_reading import json_values

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
MAX_S = 30 * 24 * 3600


def read(**document: Any) -> FetchedToken | None:
    return FetchedToken.read({"access_token": "secret-1", **document}, now=NOW)


def store(secret: str = "s") -> DatabaseTokenStore:
    return DatabaseTokenStore(base_url="http://passport.test", client_id="me", client_secret=secret)


class Passport:
    """Issues numbered tokens, or fails."""

    def __init__(self, *, life_s: float = 3600) -> None:
        self.asked = 0
        self.life_s = life_s
        self.error: DeliveryError | None = None

    def __call__(self) -> FetchedToken:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return FetchedToken(f"secret-{self.asked}", timezone.now() + timedelta(seconds=self.life_s))


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the database's clock follow this process's own, unless a test separates the two."""
    monkeypatch.setattr(tokens, "database_now", timezone.now)


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
        ({"expires_in": 10**8}, MAX_S),
        ({"expires_in": "9" * 5000}, MAX_S),
        ({"expires_at": "9999-12-31T23:59:59-14:00"}, MAX_S),
        ({"expires_in": 10**12, "expires_at": "9999-12-31T23:59:59Z"}, MAX_S),
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
            "expires_at": json_values
            | st.datetimes().map(str)
            | st.sampled_from(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]),
        }
    )
)
def test_whatever_the_answer_holds_it_is_a_token_or_none(document: Any) -> None:
    token = FetchedToken.read(document, now=NOW)
    assert token is None or NOW < token.expires_at <= NOW + timedelta(seconds=MAX_S)


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
def test_a_worker_that_may_fetch_just_after_a_token_was_fetched_takes_that_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passport, late = Passport(), store()
    take_the_word = late._take_the_word

    def after_another(now: datetime) -> bool:
        store().get(passport)  # between looking and getting permission
        return take_the_word(now)

    monkeypatch.setattr(late, "_take_the_word", after_another)
    assert late.get(passport).secret == "secret-1"
    assert passport.asked == 1
    row = AccessToken.objects.get()
    assert row.fetching_until is None


@pytest.mark.django_db
def test_a_token_that_was_refused_is_fetched_again_once_for_all_workers() -> None:
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
def test_a_token_that_no_key_decrypts_any_more_is_fetched_again() -> None:
    passport = Passport()
    store().get(passport)
    AccessToken.objects.update(secret=b"garbage")
    assert store().get(passport).secret == "secret-2"


@pytest.mark.django_db
@pytest.mark.usefixtures("quick")
def test_a_worker_that_finds_another_fetching_waits_and_then_says_so() -> None:
    AccessToken.objects.create(key=store().key, fetching_until=timezone.now() + timedelta(seconds=60))
    passport = Passport()
    with pytest.raises(TryLater):
        store().get(passport)
    assert passport.asked == 0


@pytest.mark.django_db
def test_a_worker_that_died_during_a_fetch_blocks_no_one_for_longer_than_a_lease() -> None:
    AccessToken.objects.create(key=store().key, fetching_until=timezone.now() - timedelta(seconds=0.01))
    assert store().get(Passport()).secret == "secret-1"
    assert tokens.FETCH_LEASE_S < 12 <= tokens.WAIT_S


@pytest.mark.django_db
def test_after_a_failure_no_one_asks_again_for_a_moment() -> None:
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


# --- The end of its life ------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_an_absurd_life_time_is_kept_without_harm() -> None:
    token = FetchedToken.read(
        {"access_token": "secret-1", "expires_at": "9999-12-31T23:59:59-14:00"}, now=timezone.now()
    )
    assert token is not None
    assert store().get(lambda: token).secret == "secret-1"
    assert store().get(Passport()).secret == "secret-1"


@pytest.mark.django_db
@pytest.mark.parametrize("error", [TryLater("Down."), FixConnection("No.", scope="host")])
def test_a_renewal_that_fails_leaves_the_old_token_in_use_as_long_as_it_lasts(error: DeliveryError) -> None:
    passport, worker = Passport(life_s=3600), store()
    with time_machine.travel(NOW, tick=False) as clock:
        worker.get(passport)
        passport.error = error
        clock.shift(3600 - 110)
        assert worker.get(passport).secret == "secret-1"
        assert store().get(passport).secret == "secret-1"  # another process as well
        clock.shift(111)
        with pytest.raises(type(error)):
            worker.get(passport)


@pytest.mark.django_db
def test_a_renewal_that_fails_is_tried_once_a_second_by_one_of_the_fleet() -> None:
    passport, fleet = Passport(life_s=3600), [store() for _ in range(10)]
    with time_machine.travel(NOW, tick=False) as clock:
        for worker in fleet:
            worker.get(passport)
        passport.error = TryLater("Down.")
        clock.shift(3600 - 110)
        passport.asked = 0
        for _ in range(5):
            for worker in fleet:
                worker.get(passport)
        assert passport.asked == 1
        clock.shift(tokens.FAILURE_REST_S + 0.01)
        for worker in fleet:
            worker._content_until = 0  # a second of this process's own has passed too
            worker.get(passport)
        assert passport.asked == 2


@pytest.mark.django_db
def test_while_one_worker_renews_the_others_use_what_they_have() -> None:
    passport, worker = Passport(life_s=3600), store()
    with time_machine.travel(NOW, tick=False) as clock:
        worker.get(passport)
        clock.shift(3600 - 110)
        AccessToken.objects.update(fetching_until=timezone.now() + timedelta(seconds=10))
        assert worker.get(passport).secret == "secret-1"
        worker._content_until = 0
        with worker._lock:  # a thread of this process is doing it
            assert worker.get(passport).secret == "secret-1"
    assert passport.asked == 1


@pytest.mark.django_db
def test_a_renewal_is_put_off_for_as_long_as_passport_asks_but_not_beyond_the_end() -> None:
    passport, worker = Passport(life_s=3600), store()
    with time_machine.travel(NOW, tick=False) as clock:
        worker.get(passport)
        clock.shift(3600 - 110)
        for asked_s, rest_s in ((30, 30), (100_000, 79)):
            passport.error = TryLater("Slow down.", retry_after=timedelta(seconds=asked_s))
            worker._content_until = 0
            worker.get(passport)
            row = AccessToken.objects.get()
            assert row.fetching_until == timezone.now() + timedelta(seconds=rest_s)
            clock.shift(31)


@pytest.mark.django_db
def test_a_token_that_was_refused_is_no_fallback() -> None:
    passport, worker = Passport(), store()
    worker.drop(worker.get(passport))
    passport.error = TryLater("Down.")
    with pytest.raises(TryLater):
        worker.get(passport)


@pytest.mark.django_db
def test_a_token_that_a_worker_of_an_earlier_version_brought_is_used_until_its_renewal() -> None:
    passport, old = Passport(), store()
    with time_machine.travel(NOW, tick=False) as clock:
        old.get(passport)
        # It doesn't know `ends_at`, and leaves the previous token's value.
        AccessToken.objects.update(
            expires_at=NOW + timedelta(hours=5), ends_at=NOW + timedelta(hours=1), version=2
        )
        clock.shift(2 * 3600)
        assert store().get(passport).secret == "secret-1"
        clock.shift(3 * 3600)
        assert store().get(passport).secret == "secret-2"


# --- Clocks -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("ahead_s", [-900, 900], ids=["behind", "ahead"])
def test_the_row_goes_by_the_databases_clock_whatever_a_workers_own_says(
    ahead_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    passport = Passport(life_s=600)
    with time_machine.travel(NOW, tick=False):
        shared = NOW - timedelta(seconds=ahead_s)
        monkeypatch.setattr(tokens, "database_now", lambda: shared)
        token = store().get(passport)
        assert token.renew_at == NOW + timedelta(seconds=540)
        row = AccessToken.objects.get()
        assert row.expires_at == shared + timedelta(seconds=540)
        assert row.ends_at == shared + timedelta(seconds=600)
        assert store().get(passport) == token  # read back, in this worker's own time
    assert passport.asked == 1


@pytest.mark.django_db
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("left_s", "free"), [(5, False), (-5, True)])
def test_a_permission_to_fetch_expires_by_the_databases_clock(
    left_s: float, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    passport = Passport()
    shared = timezone.now() - timedelta(seconds=900)
    monkeypatch.setattr(tokens, "database_now", lambda: shared)
    AccessToken.objects.create(key=store().key, fetching_until=shared + timedelta(seconds=left_s))
    if free:
        assert store().get(passport).secret == "secret-1"
        return
    with pytest.raises(TryLater):
        store().get(passport)


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


# --- Told to wait -------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("asked_s", "at_most_s"), [(60, 60), (86_400, 300)])
def test_a_worker_told_to_wait_for_a_token_asks_no_sooner_and_neither_does_another_process(
    asked_s: int, at_most_s: int
) -> None:
    passport, mine, anothers = Passport(), store(), store()
    passport.error = TryLater("Slow down.", retry_after=timedelta(seconds=asked_s))
    for one in (mine, mine, anothers):
        with pytest.raises(TryLater) as raised:
            one.get(passport)
        assert raised.value.retry_after is not None
        assert timedelta(seconds=at_most_s - 5) < min(raised.value.retry_after, OBEY_MAX)
    assert passport.asked == 1
