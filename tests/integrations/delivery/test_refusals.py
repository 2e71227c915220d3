"""A refusal that is not about the record is never final, and a plate that is not wanted is never refused its end."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from integrations.delivery import outbox, refusals, status
from integrations.delivery.record_results import row_result
from integrations.delivery.row_outcome import ClaimedRow, RowOutcome
from integrations.models import Breaker, PermitSync
from integrations.vendors.errors import DeliveryError, FixRecord, Unexpected
from integrations.vendors.protocol import Account, Sent, get_vendor
from integrations.zones import mapping
from integrations.zones import refresh as zone_refresh
from locations import services
from locations.models import Permit
from passport.plan import timestamp
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, audit_all, passport_in_memory

HOUR = timedelta(hours=1)
GONE = json.dumps(
    {"type": "io.passportlabs:error:zone_not_found", "title": "Zone", "detail": "There is no such zone."}
)
INVALID = json.dumps({"type": "io.passportlabs:error:validation_error", "detail": "vehicle_plate: no."})
REFUSED, DUE, DONE = PermitSync.State.REFUSED, PermitSync.State.DUE, PermitSync.State.DONE


@pytest.fixture
def world() -> Iterator[World]:
    transport = SandboxTransport()
    with passport_in_memory(transport):
        world = World(transport)
        yield world
        world.engine.close()


def refuse(world: World, body: str = GONE, status: int = 404, **rest: Any) -> None:
    """Let Passport refuse all events with this problem."""
    world.fault("5xx", status=status, body=body, path="events", **rest)


def whole(world: World) -> list[tuple[str, ...]]:
    """What enforcement sees, whole: plate, state, zone, start, end."""
    return sorted(
        (right["vehicle"]["vehicle_plate"], right["vehicle"]["vehicle_state"], right["zone_id"],
         right["start_time"], right["end_time"])
        for right in world._rights()
    )  # fmt: skip


def wanted(world: World) -> list[tuple[str, ...]]:
    """What enforcement should see, by the database."""
    permits = Permit.objects.not_ended(timezone.now()).filter(location__zone_mapping__isnull=False)
    return sorted(
        (permit.plate, permit.subdivision, permit.location.zone_mapping.zone.remote_id,
         timestamp(permit.start), timestamp(permit.end))
        for permit in permits.select_related("location__zone_mapping__zone")
    )  # fmt: skip


def later(seconds: float, world: World) -> None:
    """Do what the workers do after so long: only what is due by then is tried again."""
    PermitSync.objects.filter(retry_at__lte=timezone.now() + timedelta(seconds=seconds)).update(
        retry_at=timezone.now()
    )
    refusals.retry_due(timezone.now())
    past = timezone.now() - timedelta(seconds=1)
    PermitSync.objects.filter(state=DUE).update(next_attempt_at=past, leased_until=None, lease=None)
    Breaker.objects.filter(open_until__isnull=False).update(open_until=past, probe_until=None)
    world.deliver()


# --- Decisions ----------------------------------------------------------------------------------------------------


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


# --- What passes by itself ----------------------------------------------------------------------------------------


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
    # Nobody is hammered meanwhile: what is due waits behind its breaker.
    assert len(world.events()) - before <= 12
    assert {world.permit_sync(permit).state for permit in [old, *new]} == {DUE}
    world.heal()
    world.deliver(turns=3)
    assert whole(world) == wanted(world)
    assert len(wanted(world)) == 8


@pytest.mark.django_db
def test_what_a_zone_refused_that_was_gone_for_a_moment_is_tried_again_by_itself(world: World) -> None:
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
    # Nobody presses anything, no zone is pulled, no audit runs.
    later(30, world)
    assert world.permit_sync(new).state == REFUSED
    later(60, world)
    assert whole(world) == wanted(world)
    assert sorted(world.plates()) == ["AFTER", "NEW"]
    row = world.permit_sync(new)
    assert (row.state, row.refusals, row.retry_at, row.error) == (DONE, 0, None, "")


@pytest.mark.django_db
def test_what_stays_refused_is_asked_for_ever_more_rarely_and_says_when(world: World) -> None:
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
def test_an_edit_begins_the_waits_anew(world: World) -> None:
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


# --- Stops --------------------------------------------------------------------------------------------------------


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


# --- Rounds -------------------------------------------------------------------------------------------------------


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


# --- A zone that returns, or changes -------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_zone_that_returns_sets_going_all_that_it_refused_wherever_the_location_is_by_now(
    world: World,
) -> None:
    sim, zone = world.transport.simulator, world.here.zone_mapping.zone
    away = {"do": "zone_gone", "operator_id": world.operator["operator_id"], "zone_id": zone.remote_id}
    back = {"do": "zone", "operator_id": world.operator["operator_id"], "zone": zone.raw}
    stays, moves = world.permit("STAYS"), world.permit("MOVES")
    world.deliver()
    sim.change_directory(away)
    zone_refresh.refresh_zones(connection=world.connection)
    refuse(world)
    # Both stops are refused, one of a cancelled permit and one of a permit that has moved on.
    services.cancel_permit(permit=stays)
    services.change_permit(permit=moves, location=world.there)
    world.deliver(turns=2)
    mapping.map_location(location=world.here, zone=None)
    world.deliver()
    assert {world.permit_sync(permit).state for permit in (stays, moves)} == {REFUSED}
    world.heal()
    sim.change_directory(back)
    assert zone_refresh.refresh_zones(connection=world.connection).outcome == "done"
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.plates() == ["MOVES"]


# --- The audit ----------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_refused_permit_that_was_mended_behind_the_services_back_is_found(world: World) -> None:
    zone = next(
        zone
        for zone in world.operator["zones"]
        if zone["session_type"] == "space" and zone["number"] in world.zones
    )
    permit = world.permit("BADONE", location=world.location("Spaces", zone["number"]))
    world.deliver()
    row = world.permit_sync(permit)
    assert (row.state, row.error_code, row.retry_at) == (REFUSED, "space_number_required", None)
    assert audit_all() == 0
    Permit.objects.filter(pk=permit.pk).update(space_number=str(zone["spaces"][0]))
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.plates() == ["BADONE"]


@pytest.mark.django_db
@pytest.mark.parametrize("body", [GONE, INVALID], ids=["may pass", "for good"])
def test_a_permit_that_was_cancelled_behind_the_services_back_is_found_though_it_is_refused(
    world: World, body: str
) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    services.change_permit(permit=permit, end=permit.end + HOUR)
    refuse(world, body, 400, times=1)
    world.deliver()
    assert world.permit_sync(permit).state == REFUSED
    assert audit_all() == 0
    assert world.plates() == ["REVOKED"]
    Permit.objects.filter(pk=permit.pk).update(status=Permit.Status.CANCELLED, cancelled_at=timezone.now())
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world) == []


@pytest.mark.django_db
def test_the_audit_finds_a_refused_row_once_and_not_again(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world, INVALID, 400)
    world.deliver()
    Permit.objects.filter(pk=permit.pk).update(plate="SQL1")
    assert audit_all() == 1
    world.deliver()
    assert [audit_all() for _ in range(3)] == [0, 0, 0]


@pytest.mark.django_db
def test_what_a_worker_of_before_has_refused_is_found(world: World) -> None:
    permit = world.permit("NEW")
    # It knows neither of a key nor of a time.
    PermitSync.objects.update(state=REFUSED, error="No.", refused_key="", retry_at=None)
    assert audit_all() == 1
    world.deliver()
    assert whole(world) == wanted(world)
    assert world.permit_sync(permit).state == DONE


@pytest.mark.django_db
def test_a_refused_stop_whose_permit_has_ended_is_left_to_its_own_time(world: World) -> None:
    permit = world.permit("REVOKED")
    world.deliver()
    services.cancel_permit(permit=permit)
    refuse(world)
    world.deliver()
    assert world.permit_sync(permit).state == REFUSED
    assert audit_all() == 0


# --- Something on the way -----------------------------------------------------------------------------------------


def bar(world: World, *plates: str) -> None:
    """Let a firewall answer each request that holds one of these plates, with a page."""
    vendor = get_vendor("passport")
    send, one_by_one = vendor.send, threading.Lock()

    def barred(account: Account, steps: Any) -> Any:
        # The fault must meet this very request, and not one that is sent beside it.
        with one_by_one:
            if any(step["event"]["vehicle"]["vehicle_plate"] in plates for step in steps):
                world.fault("html", status=404, path="events", times=1)
            return send(account, steps)

    vendor.send = barred  # type: ignore[method-assign]


@pytest.mark.django_db
def test_a_plate_that_a_firewall_bars_holds_up_nobody_and_opens_no_breaker_for_long(world: World) -> None:
    bar(world, "SELECT1")
    odd = world.permit("SELECT1")
    world.deliver(turns=3)
    for number in range(3):
        world.permit(f"GOOD{number}")
        world.deliver()
        assert whole(world) == [right for right in wanted(world) if right[0] != "SELECT1"]
    row = world.permit_sync(odd)
    assert row.state != DONE
    assert row.error == "Something between Offstreet and Passport answered 404 instead of Passport."
    assert not Breaker.objects.filter(open_until__gt=timezone.now()).exists()


@pytest.mark.django_db
def test_a_breaker_that_barred_plates_have_opened_is_probed_with_another(world: World) -> None:
    plates = [f"SELECT{number}" for number in range(4)]
    bar(world, *plates)
    barred = []
    for plate in plates:
        barred.append(world.permit(plate))
        world.deliver()
    assert Breaker.objects.filter(open_until__isnull=False).exists()
    # Later than all of them, so last in their order.
    world.permit("GOOD")
    world.deliver(turns=4)
    assert world.plates() == ["GOOD"]
    world.deliver()
    # And from then on they are tried again slowly, and open nothing any more.
    assert {row.state for row in map(world.permit_sync, barred)} == {REFUSED}
    assert not Breaker.objects.filter(open_until__isnull=False).exists()


@pytest.mark.django_db
def test_a_retry_by_hand_goes_at_once(world: World) -> None:
    permit = world.permit("NEW")
    refuse(world)
    world.deliver()
    world.heal()
    outbox.retry(permit_sync_ids=[world.permit_sync(permit).pk])
    world.deliver()
    assert whole(world) == wanted(world)


# --- Told one by one to wait --------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_retry_after_on_an_answer_to_single_events_is_obeyed(world: World) -> None:
    """99 of 100 events are throttled one by one, with a `Retry-After` on the answer as a whole."""
    inner, seen = world.transport.handle_request, []

    def handle(request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            return inner(request)
        events = json.loads(request.read())["data"]
        seen.append(len(events))
        throttled = {"status": 429, "type": "io.passportlabs:error:too_many_requests"}
        parts = [{"status": 202}] + [throttled] * (len(events) - 1)
        return httpx.Response(207, json={"data": parts}, headers={"Retry-After": "120"})

    world.transport.handle_request = handle  # type: ignore[method-assign]
    for number in range(60):
        world.permit(f"THR{number}")
    for _ in range(5):
        world.engine.drain([world.connection.pk])
    assert seen == [60]
    breaker = Breaker.objects.get(connection=world.connection)
    assert breaker.open_until is not None
    assert breaker.open_until > timezone.now() + timedelta(seconds=100)
    assert PermitSync.objects.due().count() == 59


# --- Many that are bad --------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_hundred_of_which_thirty_are_bad_cost_the_thirty_twice_and_the_others_next_to_nothing(
    world: World,
) -> None:
    zone = next(
        zone
        for zone in world.operator["zones"]
        if zone["session_type"] == "space" and zone["number"] in world.zones
    )
    place, bad = world.location("Spaces", zone["number"]), set(range(0, 100, 3)) - {99, 96, 93, 90}
    for number in range(100):
        space = "no such space" if number in bad else zone["spaces"][number % len(zone["spaces"])]
        world.permit(f"P{number:02d}", location=place, space_number=str(space))
    world.deliver()
    assert len(bad) == 30
    # The sandbox names the first bad one by a number: a request that names it, and one of its own.
    assert len(world.events()) <= 2 * len(bad) + 2
    assert whole(world) == [right for right in wanted(world) if int(right[0][1:]) not in bad]
    refused = PermitSync.objects.refused().values_list("permit__plate", flat=True)
    assert {int(plate[1:]) for plate in refused} == bad
    # And they never travel with others again.
    before = len(world.events())
    world.permit("LATER")
    later(HOUR.total_seconds(), world)
    sizes = [len(request["data"]) for request in world.events()[before:]]
    assert sorted(sizes) == [1] * 31
