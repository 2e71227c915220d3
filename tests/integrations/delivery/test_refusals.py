"""A refusal that is not about the record is never final, and the stop of an unwanted plate is always tried again."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery import refusals, status
from integrations.delivery.record_results import row_result
from integrations.delivery.row_outcome import ClaimedRow, RowOutcome
from integrations.models import PermitSync
from integrations.vendors.errors import DeliveryError, FixRecord, Unexpected
from integrations.vendors.protocol import Account, Sent, get_vendor
from locations import services
from passport.plan import timestamp
from tests.integrations.delivery.refusing import (
    DONE,
    DUE,
    GONE,
    HOUR,
    INVALID,
    REFUSED,
    later,
    refuse,
    wanted,
    whole,
)
from tests.world import World

# --- Decisions -------------------------------------------------------------------------------------------


@given(st.integers(1, 10**6), st.floats(0, 1))
def test_a_refused_row_waits_ever_longer_from_a_minute_to_an_hour(refused: int, draw: float) -> None:
    wait = refusals.wait(refused, draw=lambda: draw)
    assert timedelta(seconds=45) <= wait <= HOUR
    assert (
        refusals.wait(refused + 1, draw=lambda: 0) <= 2 * refusals.wait(refused, draw=lambda: 0) <= 2 * HOUR
    )
    assert refusals.wait(7, draw=lambda: 1) == HOUR


def refused(error: DeliveryError, *, stop_refused: bool = False, **values: Any) -> RowOutcome:
    """Return the outcome of a row that the vendor refused."""
    plain: dict[str, Any] = {
        "id": 1, "connection_id": 1, "priority": 0, "version": 1, "attempts": 0, "session_count": 1,
        "due_since": timezone.now(), "revision": 1, "lease": "lease", "remote_state": None, "steps": [],
    }  # fmt: skip
    made = RowOutcome(ClaimedRow(**plain | values))
    made.refuse(error)
    made.stop_refused = stop_refused
    return made


STOP: Any = {"kind": "stopped", "session": "os-K-1-1", "event": {}, "ends": True, "refused": True}


@pytest.mark.parametrize(
    ("values", "again"),
    [
        ({"error": FixRecord("No zone.")}, True),
        ({"error": FixRecord("No.", for_good=True)}, False),
        ({"error": FixRecord("No.", for_good=True), "retained_steps": [STOP]}, True),
        ({"error": FixRecord("No.", for_good=True), "stop_refused": True}, True),
        ({"error": Unexpected("Planning failed.")}, True),
    ],
    ids=["may pass", "for good", "a stop is left", "its own stop", "a fault of ours"],
)
def test_only_a_record_that_is_wrong_for_good_and_ends_nothing_is_not_tried_again(
    values: dict[str, Any], again: bool
) -> None:
    found = row_result(refused(**values), now=timezone.now())
    assert found.state == "refused"
    assert (found.retry_at is not None) is again


# --- Refusals that pass -------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 410, 413, 422, 451])
def test_a_proxys_page_refuses_nothing_for_good(world: World, status: int) -> None:
    old = world.permit("REVOKED")
    world.deliver()
    world.fault("html", status=status, path="events")
    services.cancel_permit(permit=old)
    new = [world.permit(f"NEW{number}") for number in range(8)]
    before = len(world.events())
    for _ in range(3):
        world.engine.drain([world.connection.pk])
    # Passport isn't hammered: what is due waits behind its breaker.
    assert len(world.events()) - before <= 12
    assert {world.permit_sync(permit).state for permit in [old, *new]} == {DUE}
    world.heal()
    world.deliver(turns=3)
    assert whole(world) == wanted(world)
    assert len(wanted(world)) == 8


@pytest.mark.django_db
def test_what_was_refused_while_its_zone_was_missing_is_tried_again_automatically(world: World) -> None:
    old, changed = world.permit("REVOKED"), world.permit("BEFORE")
    world.deliver()
    refuse(world)
    services.cancel_permit(permit=old)
    services.change_permit(permit=changed, plate="AFTER")
    new = world.permit("NEW")
    world.deliver()
    assert {world.permit_sync(permit).state for permit in (old, changed, new)} == {REFUSED}
    assert "REVOKED" in world.plates()
    world.heal()
    # No one presses anything, no zones are refreshed, and no audit runs.
    later(30, world)
    assert world.permit_sync(new).state == REFUSED
    later(60, world)
    assert whole(world) == wanted(world)
    assert sorted(world.plates()) == ["AFTER", "NEW"]
    row = world.permit_sync(new)
    assert (row.state, row.refusals, row.retry_at, row.error) == (DONE, 0, None, "")


@pytest.mark.django_db
def test_what_stays_refused_is_tried_at_growing_intervals_and_says_when(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world)
    world.deliver()
    waits = []
    for _ in range(9):
        row = world.permit_sync(permit)
        assert (row.state, row.error) == (REFUSED, "There is no such zone.")
        assert row.retry_at is not None
        waits.append((row.retry_at - timezone.now()).total_seconds())
        later(HOUR.total_seconds(), world)
    assert 40 < waits[0] < 61
    assert all(first * 1.4 < second for first, second in pairwise(waits[:6]))
    assert 40 * 60 < waits[-1] < 61 * 60
    assert len(world.events()) == 10
    row = world.permit_sync(permit)
    said = status.push_state(permit, row, None, world.connection, timezone.now())
    assert said.key == "refused"
    assert "It will be retried automatically at" in said.remedy


@pytest.mark.django_db
def test_an_edit_resets_the_waits(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world)
    world.deliver()
    for _ in range(5):
        later(HOUR.total_seconds(), world)
    assert world.permit_sync(permit).refusals == 6
    services.change_permit(permit=permit, plate="OTHER")
    world.deliver()
    assert world.permit_sync(permit).refusals == 1


@pytest.mark.django_db
def test_what_is_wrong_for_good_waits_for_a_change(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world, INVALID, 400)
    world.deliver()
    world.heal()
    later(10**6, world)
    row = world.permit_sync(permit)
    assert (row.state, row.retry_at) == (REFUSED, None)
    assert len(world.events()) == 1
    services.change_permit(permit=permit, plate="BETTER")
    world.deliver()
    assert whole(world) == wanted(world)


# --- Stops -----------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize("body", [GONE, INVALID], ids=["zone", "validation"])
def test_a_stop_is_tried_again_whatever_it_was_refused_for(world: World, body: str) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    services.cancel_permit(permit=permit)
    refuse(world, body, 400)
    world.deliver()
    assert world.permit_sync(permit).state == REFUSED
    world.heal()
    later(61, world)
    assert whole(world) == wanted(world) == []
    assert world.permit_sync(permit).state == DONE


@pytest.mark.django_db
def test_the_stop_of_a_session_that_was_replaced_is_tried_again_beside_its_successor(world: World) -> None:
    permit = world.permit("BEFORE")
    world.deliver()
    services.change_permit(permit=permit, plate="AFTER")
    vendor = get_vendor("passport")
    send, now = vendor.send, timezone.now()

    def refusing(account: Account, steps: Any) -> Sent:
        if steps[0]["kind"] == "started":
            return send(account, steps)
        error = FixRecord("There is no such zone.", status=404)
        return Sent([error] * len(steps), trace_id="t", sent_at=now, answered_at=now, status=404, error=error)

    vendor.send = refusing  # type: ignore[method-assign]
    world.deliver()
    assert sorted(world.plates()) == ["AFTER", "BEFORE"]
    row = world.permit_sync(permit)
    assert (row.state, row.pending_steps and row.pending_steps[0]["until"]) == (
        REFUSED,
        timestamp(permit.end),
    )
    vendor.send = send  # type: ignore[method-assign]
    later(61, world)
    assert whole(world) == wanted(world)


@pytest.mark.django_db
def test_a_stop_ends_to_matter_when_its_session_does(world: World) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    row = world.permit_sync(permit)
    assert row.remote_state is not None
    past = timestamp(timezone.now() - HOUR)
    kept = {
        "kind": "stopped",
        "session": "os-K-9-1",
        "event": {},
        "ends": True,
        "refused": True,
        "until": past,
    }
    PermitSync.objects.update(
        state=REFUSED, retry_at=timezone.now(), pending_steps=[kept], refusals=3, error="No."
    )
    before = len(world.events())
    later(1, world)
    assert len(world.events()) == before
    assert (world.permit_sync(permit).state, world.permit_sync(permit).pending_steps) == (DONE, None)


# --- Rounds ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_round_takes_a_few_of_each_connection_behind_peoples_own_edits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "ROWS_EACH", 3)
    for number in range(5):
        world.permit(f"P{number}")
    PermitSync.objects.update(state=REFUSED, retry_at=timezone.now())
    assert refusals.retry_due(timezone.now()) == 3
    assert set(PermitSync.objects.due().values_list("priority", flat=True)) == {2}
    assert refusals.retry_due(timezone.now()) == 2
    assert refusals.retry_due(timezone.now()) == 0


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["paused", "ended"])
def test_nothing_is_tried_again_on_a_connection_that_sends_nothing(world: World, status: str) -> None:
    world.permit()
    PermitSync.objects.update(state=REFUSED, retry_at=timezone.now())
    type(world.connection).objects.update(status=status)
    assert refusals.retry_due(timezone.now()) == 0
