"""Settling: what a row becomes, how long it waits, and that only the holder of its lease may say so."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.breakers import Gate
from integrations.claims import Ask, Work, claim
from integrations.errors import FixRecord, TryLater
from integrations.models import Push, PushEvent, Registration
from integrations.sending import Unit, units
from integrations.settling import BACKOFF_FIRST, BACKOFF_MAX, backoff, settle, settlement
from integrations.vendors import Account, get_vendor
from locations import services
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
STOP: Any = {"kind": "stopped", "session": "os-K-1-1", "event": {}, "ends": True}


def work(**values: Any) -> Work:
    plain = Work(
        id=1, connection_id=1, priority=0, generation=1, attempts=0, sessions=1, marked_at=NOW, revision=1,
        lease="lease", observed=None, steps=[],
    )  # fmt: skip
    for name, value in values.items():
        setattr(plain, name, value)
    return plain


# --- Decisions ----------------------------------------------------------------------------------------------------


@given(attempts=st.integers(0, 10**9), draw=st.floats(0, 1))
def test_backoff_has_full_jitter_and_an_upper_bound(attempts: int, draw: float) -> None:
    span = backoff(attempts, draw=lambda: 1)
    assert BACKOFF_FIRST <= span <= BACKOFF_MAX
    assert timedelta(0) <= backoff(attempts, draw=lambda: draw) <= span


def test_a_herd_does_not_come_back_in_step() -> None:
    waits = [backoff(5) for _ in range(200)]
    assert len(set(waits)) > 190
    assert max(waits) - min(waits) > timedelta(seconds=8)


@pytest.mark.parametrize(
    ("values", "state", "intent"),
    [
        ({}, "done", None),
        ({"refusal": FixRecord("No.")}, "refused", None),
        ({"refusal": FixRecord("No."), "kept": [STOP]}, "refused", [STOP]),
        ({"later": TryLater("Later."), "steps": [STOP]}, "due", [STOP]),
        ({"later": TryLater("Later."), "steps": [STOP], "replay": True}, "due", [STOP]),
        ({"replay": True}, "due", None),
        ({"replay": True, "refusal": FixRecord("No.")}, "due", None),
        ({"again": True}, "due", None),
    ],
    ids=[
        "accepted",
        "refused",
        "stop refused",
        "trouble",
        "trouble again",
        "replayed",
        "replay refused",
        "was wrong",
    ],
)
def test_what_a_row_becomes(values: dict[str, Any], state: str, intent: Any) -> None:
    found = settlement(work(**values), now=NOW)
    assert (found.state, found.intent) == (state, intent)
    assert found.accepted == (state == "done")
    assert found.next_attempt_at >= NOW


def test_trouble_counts_an_attempt_and_an_end_counts_none() -> None:
    assert settlement(work(attempts=3, later=TryLater("Later.")), now=NOW).attempts == 4
    assert settlement(work(attempts=3), now=NOW).attempts == 0


# --- Writing ------------------------------------------------------------------------------------------------------


@pytest.fixture
def world() -> Iterator[World]:
    transport = SandboxTransport()
    with passport_in_memory(transport):
        world = World(transport)
        yield world
        world.engine.close()


def delivered(world: World) -> list[Unit]:
    """Units that were sent and not settled yet."""
    vendor = get_vendor("passport")
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    works = claim([Ask(account, vendor, 100, Gate(True), tests_only=False)])
    made = units(works, account, vendor, now=timezone.now(), probing=False)
    for unit in made:
        unit.deliver()
    return made


@pytest.mark.django_db
def test_a_row_whose_lease_has_passed_on_is_left_alone(world: World) -> None:
    permit = world.permit()
    made = delivered(world)
    Registration.objects.update(lease="another")
    settle(made)
    row = world.registration(permit)
    assert (row.state, row.lease, row.observed) == (Registration.State.DUE, "another", None)


@pytest.mark.django_db
def test_an_edit_meanwhile_keeps_the_row_due_and_what_was_accepted_is_kept(world: World) -> None:
    permit = world.permit()
    made = delivered(world)
    services.change_permit(permit=permit, plate="NEWER1")
    assert world.connection.pk in settle(made).due_again
    row = world.registration(permit)
    assert (row.state, row.lease, row.attempts) == (Registration.State.DUE, None, 0)
    assert row.observed is not None
    assert row.observed["plate"] == "ABC1234"


@pytest.mark.django_db
def test_a_thousand_rows_take_no_more_statements_than_one(
    world: World, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now()
    services.register_permits(
        drafts=[
            services.PermitDraft(world.here, f"M{n}", "US-NC", now, now + timedelta(days=1))
            for n in range(90)
        ]
    )
    made = delivered(world)
    with django_assert_max_num_queries(
        100
    ):  # SQLite writes row by row in one go; PostgreSQL in one statement
        settle(made)
    assert Registration.objects.filter(state=Registration.State.DONE).count() == 90
    assert (Push.objects.count(), PushEvent.objects.count()) == (1, 90)


@pytest.mark.django_db
def test_since_when_something_is_wrong_is_kept_until_it_is_right(world: World) -> None:
    permit = world.permit()
    world.fault("5xx", status=503, path="events", times=2)
    settle(delivered(world))
    since = world.registration(permit).error_since
    assert since is not None
    world.let_time_pass()
    settle(delivered(world))
    assert world.registration(permit).error_since == since
    world.let_time_pass()
    world.deliver()
    row = world.registration(permit)
    assert (row.state, row.error_since, row.error) == (Registration.State.DONE, None, "")


@pytest.mark.django_db
def test_settling_nothing_is_fine() -> None:
    assert settle([]).due_again == frozenset()
