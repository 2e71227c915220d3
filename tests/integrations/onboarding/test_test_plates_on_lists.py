"""A test plate that was on an allow list proves nothing; its right shows how the vendor writes states."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations import diagnostics
from integrations.diagnostics.context import Check
from integrations.models import TestPlate
from integrations.onboarding import test_plate_poller, test_plates
from integrations.onboarding.test_plate_page import headline
from passport.sandbox.sessions import foreign_session
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory

pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> Iterator[World]:
    with world_in_memory(SandboxTransport()) as world:
        yield world


def on_a_list(world: World, plate: str) -> None:
    """Put a plate on an allow list of the zone, for a year."""
    now = timezone.now()
    document = {
        "operator_id": world.connection.operator_id,
        "zone_id": world.here.zone_mapping.zone.remote_id,
        "vehicle": {"vehicle_plate": plate, "vehicle_state": "US-NC"},
        "start_time": (now - timedelta(days=30)).isoformat(),
        "end_time": (now + timedelta(days=335)).isoformat(),
    }
    world.transport.simulator.keep_session(foreign_session(document, "list-entry", now))


def send_one(world: World) -> TestPlate:
    test = test_plates.start_test(connection=world.connection, location=world.here)
    world.deliver()
    test_plate_poller.follow_tests(timezone.now())
    test.refresh_from_db()
    return test


def check(world: World, key: str) -> Check:
    checks = diagnostics.examine(
        company=world.company, connection=world.connection, test=TestPlate.objects.last(), asks_vendor=False
    )
    return next(one for one in checks if one.key == key)


@pytest.mark.parametrize("has_references", [True, False])
def test_a_test_plate_that_was_on_a_list_proves_nothing_and_says_so(
    world: World, has_references: bool
) -> None:
    world.transport.simulator.change_options({"reference_ids": has_references})
    on_a_list(world, test_plates.DEFAULT_PLATE)
    test = send_one(world)
    # Ours is distinguished from the entry of the list, with or without references.
    assert test.seen_at is not None
    tone, _sentence, detail = headline(test, test_plates.permit_sync_of(test), timezone.now())
    assert tone == "warning"
    assert "Passport lists TEST123 anyway, as parking session." in detail
    assert "proves nothing: repeat the test with a plate that is on no list" in detail
    assert "proves nothing" in check(world, "test").finding
    assert check(world, "test").tone == "warning"


def test_the_entry_of_a_list_alone_is_not_the_test_plate(world: World) -> None:
    on_a_list(world, test_plates.DEFAULT_PLATE)
    test = test_plates.start_test(connection=world.connection, location=world.here)
    world.deliver()
    for session in list(world.transport.simulator.sessions.by_id):
        if session != "list-entry":
            world.transport.simulator.forget_session(session)
    test_plate_poller.follow_tests(timezone.now())
    test.refresh_from_db()
    assert test.seen_at is None


def test_a_test_plate_that_is_on_no_list_says_nothing_of_it(world: World) -> None:
    test = send_one(world)
    assert "proves nothing" not in " ".join(headline(test, test_plates.permit_sync_of(test), timezone.now()))


@pytest.mark.parametrize(("shown", "tone"), [("US-NC", "success"), ("NC", "warning"), ("", "neutral")])
def test_how_the_vendor_writes_states_is_learned_from_the_test_plate(
    world: World, shown: str, tone: str
) -> None:
    test_plates.start_test(connection=world.connection, location=world.here)
    world.deliver()
    [session] = world.transport.simulator.sessions.by_id.values()
    session.vehicle_state = shown
    test_plate_poller.follow_tests(timezone.now())
    found = check(world, "state_form")
    assert found.tone == tone
    if tone == "warning":
        assert found.finding == "States are sent as US-NC, and Passport lists them as NC."
