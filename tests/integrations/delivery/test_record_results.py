"""Settling: what a row becomes, how long it waits, and that only the holder of its lease may change it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery.batch import Batch, batches
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest, claim
from integrations.delivery.record_results import BACKOFF_FIRST, BACKOFF_MAX, backoff, record, row_result
from integrations.delivery.row_outcome import ClaimedRow, RowOutcome
from integrations.models import PermitSync, Push, PushEvent
from integrations.vendors.errors import FixRecord, TryLater, Unexpected
from integrations.vendors.protocol import Account, get_vendor
from locations import services
from tests.world import World

NOW = datetime(2026, 11, 22, 17, 0, tzinfo=UTC)
STOP: Any = {"kind": "stopped", "session": "os-K-1-1", "event": {}, "ends": True}


def outcome(
    *,
    retry: TryLater | None = None,
    refusal: FixRecord | None = None,
    replan: bool = False,
    was_sent: bool = True,
    **values: Any,
) -> RowOutcome:
    """Return the outcome of a row that has only `steps` left to send."""
    plain: dict[str, Any] = {
        "id": 1, "connection_id": 1, "priority": 0, "version": 1, "attempts": 0, "session_count": 1, "due_since": NOW,
        "revision": 1, "lease": "lease", "remote_state": None, "steps": [],
    }  # fmt: skip
    made = RowOutcome(ClaimedRow(**plain | values))
    made.was_sent = was_sent
    if refusal is not None:
        made.refuse(refusal)
    if replan:
        made.replan()
    if retry is not None:
        made.retry(retry)
    return made


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
    ("values", "state", "pending_steps"),
    [
        ({}, "done", None),
        ({"refusal": FixRecord("No.")}, "refused", None),
        ({"refusal": FixRecord("No."), "retained_steps": [STOP]}, "refused", [STOP]),
        ({"retry": TryLater("Later."), "steps": [STOP]}, "due", [STOP]),
        ({"retry": TryLater("Later."), "steps": [STOP], "is_replay": True}, "due", [STOP]),
        ({"is_replay": True}, "due", None),
        ({"is_replay": True, "refusal": FixRecord("No.")}, "due", None),
        ({"replan": True}, "due", None),
        ({"is_replay": True, "refusal": FixRecord("No."), "retained_steps": [STOP]}, "due", [STOP]),
        ({"replan": True, "retry": TryLater("Later."), "steps": [STOP]}, "due", [STOP]),
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
        "replay and its stop refused",
        "was wrong, then trouble",
    ],
)
def test_a_row_becomes_what_its_last_answer_says(
    values: dict[str, Any], state: str, pending_steps: Any
) -> None:
    found = row_result(outcome(**values), now=NOW)
    assert (found.state, found.pending_steps) == (state, pending_steps)
    assert not found.accepted  # no event of this row was accepted
    assert found.next_attempt_at >= NOW


@pytest.mark.parametrize("is_replay", [False, True], ids=["first attempt", "sent before"])
def test_a_row_that_is_set_aside_is_shown_as_refused_with_its_steps_whether_it_was_sent_before_or_not(
    is_replay: bool,
) -> None:
    error = Unexpected("Sending failed: KeyError.")
    made = outcome(steps=[STOP], is_replay=is_replay)
    made.set_aside(error)
    found = row_result(made, now=NOW)
    assert (found.state, found.pending_steps, found.error) == ("refused", [STOP], error)
    assert found.retry_at is not None


def test_a_plan_of_which_nothing_was_sent_is_dropped_and_what_was_refused_before_stays() -> None:
    refused, later = {**STOP, "refused": True}, TryLater("Later.")
    fresh = outcome(steps=[refused, STOP], retry=later, was_sent=False)
    assert row_result(fresh, now=NOW).pending_steps == [refused]
    # What an earlier attempt may have sent is sent again unchanged.
    replay = outcome(steps=[STOP], retry=later, was_sent=False, is_replay=True)
    assert row_result(replay, now=NOW).pending_steps == [STOP]


EVENT: Any = (0, "started", "os-K-1-1", None, {})
REFUSED: Any = (0, "started", "os-K-1-1", FixRecord("No."), {})
STOPPED: Any = (1, "stopped", "os-K-1-1", None, {})


@pytest.mark.parametrize(
    ("evidence", "has_right", "values", "is_accepted"),
    [
        ([], False, {}, False),
        ([EVENT], True, {}, True),
        ([STOPPED], False, {}, True),
        ([EVENT], True, {"is_replay": True}, True),
        ([EVENT], True, {"retry": TryLater("Later.")}, True),
        ([REFUSED], False, {"refusal": FixRecord("No.")}, False),
        ([REFUSED, STOPPED], False, {"refusal": FixRecord("No."), "is_replay": True}, False),
    ],
    ids=["nothing to do", "begun", "ended", "replayed", "a part", "refused", "refused and taken back"],
)
def test_accepted_is_what_an_accepted_event_says(
    evidence: list[Any], has_right: bool, values: dict[str, Any], is_accepted: bool
) -> None:
    made = outcome(**values)
    made.evidence, made.has_right = evidence, has_right
    assert row_result(made, now=NOW).accepted is is_accepted


def test_the_first_refusal_is_shown_and_a_failure_overrides_it() -> None:
    first, later = FixRecord("First."), TryLater("Later.")
    made = outcome(refusal=first)
    made.refuse(FixRecord("Second."))
    assert row_result(made, now=NOW).error is first
    made.retry(later)
    made.retry(TryLater("Later still."))
    assert row_result(made, now=NOW).error is later


def test_a_failure_counts_an_attempt_and_a_shutdown_counts_none() -> None:
    assert row_result(outcome(attempts=3, retry=TryLater("Later.")), now=NOW).attempts == 4
    assert row_result(outcome(attempts=3), now=NOW).attempts == 0


# --- Writing ------------------------------------------------------------------------------------------------------


def delivered(world: World) -> list[Batch]:
    """Units that were sent but not settled yet."""
    vendor = get_vendor("passport")
    account = Account(world.connection.pk, world.connection.operator_id, world.connection.key)
    works = claim([ClaimRequest(account, vendor, 1000, SendPermission(True), tests_only=False)])
    made = batches(works, account, vendor, now=timezone.now(), probing=False)
    for unit in made:
        unit.deliver()
    return made


@pytest.mark.django_db
def test_a_row_whose_lease_has_passed_on_is_left_alone(world: World) -> None:
    permit = world.permit()
    made = delivered(world)
    PermitSync.objects.update(lease="another")
    record(made)
    row = world.permit_sync(permit)
    assert (row.state, row.lease, row.remote_state) == (PermitSync.State.DUE, "another", None)


@pytest.mark.django_db
def test_an_edit_during_delivery_keeps_the_row_due_and_what_was_accepted_is_kept(world: World) -> None:
    permit = world.permit()
    made = delivered(world)
    services.change_permit(permit=permit, plate="NEWER1")
    assert world.connection.pk in record(made).due_again
    row = world.permit_sync(permit)
    assert (row.state, row.lease, row.attempts) == (PermitSync.State.DUE, None, 0)
    assert row.remote_state is not None
    assert row.remote_state["plate"] == "ABC1234"


def register(world: World, count: int) -> None:
    now = timezone.now()
    drafts = [
        services.PermitDraft(world.here, f"M{count}N{n}", "US-NC", now, now + timedelta(days=1))
        for n in range(count)
    ]
    services.register_permits(drafts=drafts)


@pytest.mark.django_db
def test_a_thousand_rows_are_recorded_at_once(world: World) -> None:
    register(world, 1000)
    record(delivered(world))
    assert PermitSync.objects.filter(state=PermitSync.State.DONE).count() == 1000
    assert (Push.objects.count(), PushEvent.objects.count()) == (10, 1000)


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite takes the rows one by one")
def test_a_thousand_rows_take_no_more_statements_than_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[object] = []
    execute = psycopg.Cursor.execute

    def counted(cursor: Any, query: Any, *rest: Any, **options: Any) -> Any:
        statements.append(query)
        return execute(cursor, query, *rest, **options)

    # Counted below Django, since the bulk statements bypass it.
    monkeypatch.setattr(psycopg.Cursor, "execute", counted)
    took = []
    for count in (2, 1000):
        register(world, count)
        sent = delivered(world)
        assert sum(len(batch.outcomes) for batch in sent) == count
        statements.clear()
        record(sent)
        took.append(len(statements))
    assert 0 < took[0] == took[1]


@pytest.mark.django_db
def test_since_when_something_is_wrong_is_kept_until_it_is_right(world: World) -> None:
    permit = world.permit()
    world.fault("5xx", status=503, path="events", times=2)
    record(delivered(world))
    since = world.permit_sync(permit).error_since
    assert since is not None
    world.let_time_pass()
    record(delivered(world))
    assert world.permit_sync(permit).error_since == since
    world.let_time_pass()
    world.deliver()
    row = world.permit_sync(permit)
    assert (row.state, row.error_since, row.error) == (PermitSync.State.DONE, None, "")


@pytest.mark.django_db
def test_settling_nothing_is_fine() -> None:
    assert record([]).due_again == frozenset()
