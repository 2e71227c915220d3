"""Comparing every part of a right, on the sandbox: what enforcement shows differently is found, reported and put right.

First by the smallest event, then, if that doesn't help, by a new session. Rights of others are never touched.
"""

import copy
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.db import connection as db
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations.delivery.status import push_state
from integrations.held_changes import services as held_changes
from integrations.models import HeldChange, Notice, PermitSync
from integrations.models.delivery import DIFFERS, NOT_APPLIED, STILL_LISTED
from integrations.reconciliation.comparison import reconcile
from locations import services
from locations.models import Permit
from passport.sandbox.sessions import Session, foreign_session
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
Damage = Callable[[World, Session], dict[str, Any]]


def sessions(world: World) -> Iterator[Session]:
    return iter(list(world.transport.simulator.sessions.by_id.values()))


def spoil(world: World, session: Session, **changes: Any) -> None:
    """Let Passport have, and list, something other than what was accepted."""
    spoiled = copy.copy(session)
    for name, value in changes.items():
        setattr(spoiled, name, value)
    if "end_time" in changes:
        spoiled.seen_end = changes["end_time"]
    world.transport.simulator.keep_session(spoiled)


def put_right(world: World, rounds: int = 4) -> None:
    for _round in range(rounds):
        long_ago()
        reconcile(world.connection)
        world.deliver()


def kinds_since(world: World, count: int) -> list[str]:
    return [request["type"].rpartition("_")[2] for request in world.events()[count:]]


def whole(world: World) -> set[tuple[Any, ...]]:
    """What enforcement sees, in every part."""
    return {
        (
            right["vehicle"]["vehicle_plate"],
            right["vehicle"]["vehicle_state"],
            right["zone_id"],
            right["start_time"][:19],
            right["end_time"][:19],
            right["space_number"] or "",
        )
        for right in world._rights()
    }


def wished(world: World) -> set[tuple[Any, ...]]:
    """What the database says that enforcement should see, in every part."""
    permits = Permit.objects.not_ended(timezone.now()).select_related("location__zone_mapping__zone")
    return {
        (
            permit.plate,
            permit.subdivision,
            permit.location.zone_mapping.zone.remote_id,
            f"{permit.start:%Y-%m-%dT%H:%M:%S}",
            f"{permit.end:%Y-%m-%dT%H:%M:%S}",
            "",
        )
        for permit in permits
    }


def days(number: float) -> datetime:
    return timezone.now() + timedelta(days=number)


# --- Each part --------------------------------------------------------------------------------------------------------


def other_zone(world: World, session: Session) -> dict[str, Any]:
    return {
        "zone_id": next(zone.remote_id for zone in world.zones.values() if zone.remote_id != session.zone_id)
    }


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        (lambda _w, session: {"end_time": session.end_time + HOUR}, ["extended"]),
        (lambda _w, session: {"end_time": session.end_time - HOUR}, ["extended"]),
        (lambda _w, _s: {"vehicle_plate": "OTHER1"}, ["started", "stopped"]),
        (lambda _w, _s: {"vehicle_state": "US-SC"}, ["started", "stopped"]),
        (other_zone, ["started", "stopped"]),
        (lambda _w, _s: {"start_time": days(1).replace(microsecond=0)}, ["started", "stopped"]),
    ],
    ids=["later end", "earlier end", "plate", "state", "zone", "start"],
)
def test_whichever_part_differs_is_reported_and_put_right_by_the_smallest_event(
    world: World, damage: Damage, kinds: list[str]
) -> None:
    permit = world.permit(end=days(30))
    world.deliver()
    before = len(world.events())
    [session] = sessions(world)
    spoil(world, session, **damage(world, session))
    long_ago()
    assert reconcile(world.connection)["differing"] == 1
    row = world.permit_sync(permit)
    assert row.error_code == DIFFERS
    assert "lists it with another" in row.error
    assert row.seen_at is None
    world.deliver()
    assert kinds_since(world, before) == kinds
    assert whole(world) == wished(world)
    # Green only once that was seen.
    row = world.permit_sync(permit)
    assert row.is_drifting
    mapping, now = permit.location.zone_mapping, timezone.now()
    assert push_state(permit, row, mapping, world.connection, now).key == "drift"
    long_ago()
    assert reconcile(world.connection)["seen"] == 1
    row = world.permit_sync(permit)
    assert not row.is_drifting
    assert row.error_code == ""
    assert push_state(permit, row, mapping, world.connection, now).key == "accepted"


def test_what_says_the_same_in_other_words_is_seen(world: World) -> None:
    world.transport.simulator.change_options({"reference_ids": True})
    permit = world.permit("ABC1234")
    world.deliver()
    [session] = sessions(world)
    spoil(world, session, vehicle_plate="abc-1234", vehicle_state="NC", zone_id=session.zone_id.upper())
    long_ago()
    assert reconcile(world.connection) | {"seen": 0} == dict.fromkeys(
        ("seen", "missing", "differing", "surplus", "unreadable", "unknown", "held"), 0
    )
    assert world.permit_sync(permit).is_seen


def test_a_shortened_end_that_was_accepted_and_not_applied_is_ended_when_it_is_over_here(
    world: World,
) -> None:
    permit = world.permit("SHORT1", end=days(30))
    world.deliver()
    [session] = sessions(world)
    services.change_permit(permit=permit, end=timezone.now() + timedelta(seconds=90))
    world.deliver()
    spoil(world, session, end_time=days(30))
    # Two minutes later it is over here, but at Passport the vehicle may park for a month.
    past = timezone.now() - timedelta(minutes=2)
    Permit.objects.update(end=past)
    row = PermitSync.objects.get()
    assert row.remote_state is not None
    PermitSync.objects.update(remote_until=past, remote_state={**row.remote_state, "end": past.isoformat()})
    long_ago()
    assert reconcile(world.connection)["surplus"] == 1
    row = world.permit_sync(permit)
    assert row.error_code == STILL_LISTED
    world.deliver()
    assert world.plates() == []
    long_ago()
    reconcile(world.connection)
    assert not world.permit_sync(permit).is_drifting


def test_a_shortened_end_that_was_not_applied_is_put_right_while_it_still_runs(world: World) -> None:
    permit = world.permit("SHORT1", end=days(30))
    world.deliver()
    services.change_permit(permit=permit, end=timezone.now() + 2 * HOUR)
    world.deliver()
    [session] = sessions(world)
    spoil(world, session, end_time=days(30))
    put_right(world, rounds=1)
    assert whole(world) == wished(world)


# --- What does not help -----------------------------------------------------------------------------------------------


def test_what_the_smallest_event_does_not_put_right_is_reported_and_gets_a_new_session(world: World) -> None:
    permit = world.permit(end=days(30))
    world.deliver()
    [session] = sessions(world)
    wrong = session.end_time - HOUR
    before = len(world.events())
    for _try in range(2):
        spoil(world, world.transport.simulator.sessions.by_id[session.id], end_time=wrong)
        put_right(world, rounds=1)
    assert kinds_since(world, before) == ["extended", "extended"]
    [notice] = Notice.objects.filter(kind="not_applied", done_at=None)
    assert notice.company == world.company
    assert notice.level == Notice.Level.DANGER
    spoil(world, world.transport.simulator.sessions.by_id[session.id], end_time=wrong)
    put_right(world, rounds=1)
    assert kinds_since(world, before)[2:] == ["started", "stopped"]
    assert world.permit_sync(permit).drift_tries == 3
    assert whole(world) == wished(world)
    put_right(world, rounds=1)
    assert not Notice.objects.filter(kind="not_applied", done_at=None).exists()
    assert world.permit_sync(permit).drift_tries == 0


def test_what_is_accepted_then_rejected_is_reported_the_second_time_and_sent_at_growing_intervals(
    world: World,
) -> None:
    permit = world.permit()
    started = []
    for comparison in range(200):
        world.deliver()
        for session in sessions(world):
            world.transport.simulator.forget_session(session.id)
        # Five minutes go by.
        ago = timezone.now() - timedelta(minutes=5)
        PermitSync.objects.update(accepted_at=ago)
        for name in ("drift_since", "drift_retry_at"):
            for pk, at in PermitSync.objects.exclude(**{name: None}).values_list("pk", name):
                PermitSync.objects.filter(pk=pk).update(**{name: at - timedelta(minutes=5)})
        reconcile(world.connection)
        row = world.permit_sync(permit)
        if row.state == PermitSync.State.DUE:
            started.append(comparison)
            if len(started) == 2:
                assert row.error_code == NOT_APPLIED
                assert "accepted this permit 2 times, but doesn't list it" in row.error
                assert Notice.objects.filter(kind="not_applied", done_at=None).count() == 1
    waits = [after - before for before, after in pairwise(started)]
    assert started[0] == 1
    assert waits == sorted(waits)
    assert len(started) < 11
    assert Notice.objects.filter(kind="not_applied").count() == 1


# --- Others' rights ---------------------------------------------------------------------------------------------------


def foreign(world: World, number: int, **changes: Any) -> Session:
    document = {
        "operator_id": world.passport_operator["operator_id"],
        "zone_id": world.here.zone_mapping.zone.remote_id,
        "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": "US-NC"},
        "start_time": (timezone.now() - 900 * HOUR).isoformat(),
        "end_time": (timezone.now() + 9_000 * HOUR).isoformat(),
        **changes,
    }
    session = foreign_session(document, f"resident-{number}", timezone.now())
    world.transport.simulator.keep_session(session)
    return session


def test_a_residents_permit_of_the_same_plate_replaces_nothing_and_is_never_touched(
    world: World,
) -> None:
    world.permit("ABC1234")
    world.deliver()
    [ours] = sessions(world)
    resident = foreign(world, 1)
    world.transport.simulator.forget_session(ours.id)
    long_ago()
    assert reconcile(world.connection)["missing"] == 1
    put_right(world)
    assert len(world.plates()) == 2
    assert world.transport.simulator.sessions.by_id[resident.id] is resident
    assert not any(
        event["session_id"] == resident.id for request in world.events() for event in request["data"]
    )
    world.connection.refresh_from_db()
    assert world.connection.comparison is not None
    assert world.connection.comparison["foreign"] == {"parking_session": 1}


@pytest.mark.parametrize("part", ["vehicle", "zone_id", "end_time"])
def test_without_references_only_a_right_that_is_ours_in_every_part_is_ours(world: World, part: str) -> None:
    world.transport.simulator.change_options({"reference_ids": False})
    permit = world.permit("ABC1234")
    world.deliver()
    [ours] = sessions(world)
    long_ago()
    assert reconcile(world.connection)["seen"] == 1
    world.transport.simulator.forget_session(ours.id)
    other = {
        "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": "MX-JAL"},
        "zone_id": world.there.zone_mapping.zone.remote_id,
        "end_time": (ours.end_time + HOUR).isoformat(),
    }
    whole_one = {
        "vehicle": {"vehicle_plate": "ABC1234", "vehicle_state": permit.subdivision},
        "start_time": permit.start.isoformat(),
        "end_time": ours.end_time.isoformat(),
    }
    foreign(world, 1, **{**whole_one, part: other[part]})
    long_ago()
    found = reconcile(world.connection)
    assert (found["seen"], found["missing"]) == (0, 1)


# --- What it costs ----------------------------------------------------------------------------------------------------


def test_where_nothing_has_changed_no_registration_is_written(world: World) -> None:
    for number in range(12):
        world.permit(f"P{number}")
    world.deliver()
    long_ago()
    assert reconcile(world.connection)["seen"] == 12
    with CaptureQueriesContext(
        db,
    ) as queries:
        assert reconcile(world.connection)["seen"] == 12
    writes = [one["sql"] for one in queries if one["sql"].split()[0] in ("UPDATE", "INSERT", "DELETE")]
    assert all("integrations_registration" not in sql for sql in writes)
    assert len(writes) <= 6


def test_a_comparison_that_would_end_too_much_waits_for_a_person(world: World, settings: Any) -> None:
    settings.HELD_CHANGE_RIGHTS, settings.HELD_CHANGE_SHARE = 2, 0.2
    for number in range(3):
        permit = world.permit(f"K{number}")
        world.deliver()
        [session] = [one for one in sessions(world) if one.vehicle_plate == permit.plate]
        saved = copy.copy(session)
        services.cancel_permit(permit=permit)
        world.deliver()
        # The stop was accepted and forgotten.
        world.transport.simulator.keep_session(saved)
    long_ago()
    for _time in range(2):
        found = reconcile(world.connection)
        assert (found["surplus"], found["held"]) == (3, 1)
        world.deliver()
    assert len(world.plates()) == 3
    [held] = HeldChange.objects.filter(state=HeldChange.State.HELD)
    assert (held.removed, held.replaced) == (3, 0)
    held_changes.accept(held=held)
    assert reconcile(world.connection)["held"] == 0
    world.deliver()
    assert world.plates() == []
