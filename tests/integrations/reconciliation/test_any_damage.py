"""No matter what enforcement was made to show, comparing and repairing ends with what the database says; others' rights stay.

The damage is random, and so are the edits after it, which Passport may refuse because of the damage, and the rights of others
beside it: residents with the same plates in the same zones, meter sessions, other providers. In the end every
part of every right is compared.
"""

import copy
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from integrations.models import PermitSync
from locations import services
from locations.models import Permit
from passport.sandbox.sessions import Session, foreign_session
from tests.integrations.reconciliation.test_whole_rights import put_right, sessions, whole, wished
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
PLATES = ("AAA111", "BBB222", "CCC333", "DDD444")
DAMAGES = ("none", "lost", "later", "earlier", "plate", "state", "zone", "start", "back again", "other words")

damages = st.lists(st.tuples(st.sampled_from(PLATES), st.booleans(), st.sampled_from(DAMAGES)), max_size=7)
EDITS = ("cancel", "shorten", "extend", "other plate", "move")
edits = st.lists(st.tuples(st.sampled_from(PLATES), st.booleans(), st.sampled_from(EDITS)), max_size=4)
strangers = st.lists(
    st.tuples(st.sampled_from(PLATES), st.booleans(), st.sampled_from(["US-NC", "MX-JAL", "AL", ""]), st.booleans()),
    max_size=5,
)  # fmt: skip


def spoiled(world: World, session: Session, damage: str) -> Session | None:
    """Return the session as Passport shows it from now on; None where it is lost."""
    changed = copy.copy(session)
    zones = [zone.remote_id for zone in world.zones.values() if zone.remote_id != session.zone_id]
    match damage:
        case "lost":
            return None
        case "later":
            changed.end_time = changed.seen_end = session.end_time + 5 * HOUR
        case "earlier":
            changed.end_time = changed.seen_end = session.end_time - 5 * HOUR
        case "plate":
            changed.vehicle_plate = "XXX999"
        case "state":
            changed.vehicle_state = "US-AL"
        case "zone":
            changed.zone_id = zones[0]
        case "start":
            changed.start_time = session.start_time + 4 * HOUR
        case "other words":
            changed.vehicle_plate = f"{session.vehicle_plate[:3].lower()}-{session.vehicle_plate[3:]}"
        case "back again":
            changed.stopped, changed.seen = False, True
            changed.end_time = changed.seen_end = timezone.now() + 7 * HOUR
    return changed


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damages=damages, edits=edits, strangers=strangers, references=st.booleans())
@example(
    damages=[("AAA111", False, "start")],
    edits=[("AAA111", False, "other plate")],
    strangers=[],
    references=True,
)
@example(
    damages=[("AAA111", False, "zone")], edits=[("AAA111", False, "cancel")], strangers=[], references=True
)
def test_whatever_the_damage_enforcement_sees_in_the_end_what_is_registered(
    damages: list[tuple[str, bool, str]],
    edits: list[tuple[str, bool, str]],
    strangers: list[tuple[str, bool, str, bool]],
    references: bool,
) -> None:
    with transaction.atomic(), world_in_memory(SandboxTransport()) as world:
        now = timezone.now().replace(microsecond=0)
        for place, plate in enumerate(PLATES):
            world.permit(plate, start=now - HOUR, end=now + (20 + place) * HOUR, location=world.here)
        for plate in PLATES[:2]:
            world.permit(plate, start=now - HOUR, end=now + 9 * HOUR, location=world.there)
        world.deliver()
        kept = _strangers(world, strangers, references=references)
        for plate, is_there, damage in damages:
            zone = (world.there if is_there else world.here).zone_mapping.zone.remote_id
            for session in [
                one for one in sessions(world) if one.vehicle_plate == plate and one.zone_id == zone
            ]:
                if session.id not in kept:
                    _spoil(world, session, damage)
        for plate, is_there, change in edits:
            _edit(world, plate, change, is_there=is_there)
        world.deliver()
        put_right(world, rounds=7)
        seen = whole(world) - {_line(session) for session in kept.values()}
        assert {_said(line) for line in seen} == {_said(line) for line in wished(world)}
        for pk, session in kept.items():
            assert world.transport.simulator.sessions.by_id[pk] is session
        assert not any(event["session_id"] in kept for request in world.events() for event in request["data"])
        assert not PermitSync.objects.exclude(drift_since=None).exists()
        breaches = world.transport.simulator.traffic.breaches
        assert not breaches.keys() & {"occurred_in_future", "outdated_event", "same_occurred_at"}
        transaction.set_rollback(True)


def _spoil(world: World, session: Session, damage: str) -> None:
    if session.stopped and damage != "back again":
        return
    changed = spoiled(world, session, damage)
    if changed is None:
        world.transport.simulator.forget_session(session.id)
    else:
        world.transport.simulator.keep_session(changed)


def _edit(world: World, plate: str, change: str, *, is_there: bool) -> None:
    location = world.there if is_there else world.here
    permit = Permit.objects.filter(plate=plate, location=location, status=Permit.Status.ACTIVE).first()
    if permit is None:
        return
    match change:
        case "cancel":
            services.cancel_permit(permit=permit)
        case "shorten":
            services.change_permit(permit=permit, end=permit.end - 2 * HOUR)
        case "extend":
            services.change_permit(permit=permit, end=permit.end + 2 * HOUR)
        case "other plate":
            services.change_permit(permit=permit, plate=f"{plate[:3]}9")
        case "move":
            services.change_permit(permit=permit, location=world.here if is_there else world.there)


def _strangers(
    world: World, strangers: list[tuple[str, bool, str, bool]], *, references: bool
) -> dict[str, Session]:
    found = {}
    for number, (plate, is_there, state, is_long) in enumerate(strangers):
        place = world.there if is_there else world.here
        now = timezone.now().replace(microsecond=0)
        document = {
            "operator_id": world.passport_operator["operator_id"],
            "zone_id": place.zone_mapping.zone.remote_id,
            "vehicle": {"vehicle_plate": plate, "vehicle_state": state},
            "start_time": (now - 2 * HOUR).isoformat(),
            "end_time": (now + (9_000 if is_long else 3) * HOUR + timedelta(minutes=number)).isoformat(),
        }
        session = foreign_session(document, f"other-{number}", timezone.now())
        session.reference = references
        world.transport.simulator.keep_session(session)
        found[session.id] = session
    return found


def _line(session: Session) -> tuple[Any, ...]:
    return (
        session.vehicle_plate,
        session.vehicle_state or None,
        session.zone_id,
        f"{session.start_time:%Y-%m-%dT%H:%M:%S}",
        f"{session.seen_end:%Y-%m-%dT%H:%M:%S}",
        "",
    )


def _said(line: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a right's parts as they are compared: a start in the past no longer counts."""
    plate, *rest = line
    return (plate.replace("-", "").upper(), *rest)
