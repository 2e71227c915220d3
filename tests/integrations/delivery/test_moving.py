"""Moving a location to another connection ends no right before its successor is accepted."""

import copy
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.delivery import successors
from integrations.models import Connection, PermitSync, Zone
from integrations.onboarding import connections
from integrations.zones import mapping
from locations import services
from locations.models import Permit
from locations.times import say_both
from tests.factories import ConnectionFactory, ZoneFactory
from tests.pages import text_of
from tests.world import LAKESHORE, World, audit_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(world: World) -> Zone:
    """A zone of another operator, on a connection of the same company that is being set up."""
    fresh = ConnectionFactory(company=world.company, operator_id=LAKESHORE["operator_id"])
    zone = LAKESHORE["zones"][0]
    made: Zone = ZoneFactory(
        connection=fresh,
        remote_id=zone["id"],
        number=zone["number"],
        name=zone["name"],
        session_type=zone["session_type"],
        raw=zone,
    )
    return made


def there(world: World) -> list[str]:
    """The plates that the other operator's officers see."""
    aside = copy.copy(world)
    aside.passport_operator = LAKESHORE
    return aside.plates()


def work(world: World, other: Zone) -> None:
    """Let the engine, and the task that ends moved rights, do all they can."""
    for _ in range(3):
        world.engine.drain([world.connection.pk, other.connection_id])
        successors.release_kept(timezone.now())
    world.engine.drain([world.connection.pk, other.connection_id])


def test_moving_to_one_that_is_not_live_takes_nothing_away(world: World, other: Zone) -> None:
    plates = sorted(world.permit(f"MV{number}").plate for number in range(5))
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    audit_all()
    work(world, other)
    assert world.plates() == plates
    assert there(world) == []
    assert not PermitSync.objects.due().filter(connection=world.connection).exists()


def told(world: World, permit: Permit) -> str:
    """What the permit's page says, as a person sees it."""
    return text_of(world.viewer.get(world.url("permit", permit.pk)))


def test_the_permit_s_page_says_where_else_it_is_still_shown_and_until_when(
    world: World, other: Zone
) -> None:
    permit = world.permit(end=timezone.now() + timedelta(days=1))
    world.deliver()
    number = world.here.zone_mapping.zone.number
    assert "Also still shown" not in told(world, permit)
    mapping.map_location(location=world.here, zone=other)
    assert f"Also still shown in zone {number} until it has been ended there" in told(world, permit)
    work(world, other)
    until = say_both(permit.end, permit.location.tz)
    kept = f"Also still shown in zone {number} until it is accepted in its new zone, at the latest until {until}."
    assert kept in told(world, permit)
    connections.go_live(connection=other.connection, verified=True)
    work(world, other)
    assert "Also still shown" not in told(world, permit)


def test_the_permit_s_page_says_what_an_ended_integration_left_behind(world: World, other: Zone) -> None:
    permit = world.permit(end=timezone.now() + timedelta(days=1))
    world.deliver()
    number = world.here.zone_mapping.zone.number
    Connection.objects.filter(pk=other.connection_id).update(status="live", live_since=timezone.now())
    connections.end(connection=world.connection, reason="Moved.", leave_behind=True)
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    until = say_both(permit.end, permit.location.tz)
    assert f"Also still shown in zone {number} until {until}." in told(world, permit)


def test_once_it_is_live_each_right_is_there_and_then_gone_here(world: World, other: Zone) -> None:
    plates = sorted(world.permit(f"MV{number}").plate for number in range(5))
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    connections.go_live(connection=other.connection, verified=True)
    work(world, other)
    assert there(world) == plates
    assert world.plates() == []
    assert not PermitSync.objects.filter(kept_since__isnull=False).exclude(remote_state=None).exists()
    started = [request["type"] for request in world.events()]
    assert started.index("parking_session_stopped") > max(
        index for index, kind in enumerate(started) if kind == "parking_session_started"
    )


def test_moving_to_one_that_refuses_it_keeps_it_here(world: World, other: Zone) -> None:
    Connection.objects.filter(pk=other.connection_id).update(status="live", live_since=timezone.now())
    Zone.objects.filter(pk=other.pk).update(session_type="space")
    permit = world.permit("KEPT01")
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    assert PermitSync.objects.get(permit=permit, connection=other.connection_id).state == "refused"
    assert world.plates() == ["KEPT01"]


def test_what_is_kept_follows_the_end_of_its_permit(world: World, other: Zone) -> None:
    permit = world.permit("KEPT02")
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    end = timezone.now() + timedelta(hours=3)
    services.change_permit(permit=permit, end=end)
    work(world, other)
    ((plate, _zone, until),) = world.rights()
    assert (plate, until) == ("KEPT02", end.astimezone().strftime("%Y-%m-%dT%H:%M:%S"))


def test_a_cancelled_permit_ends_here_as_well(world: World, other: Zone) -> None:
    permit = world.permit("GONE01")
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    services.cancel_permit(permit=permit)
    work(world, other)
    assert world.plates() == []


def test_a_corrected_plate_does_not_keep_the_wrong_one(world: World, other: Zone) -> None:
    permit = world.permit("WRONG1")
    world.deliver()
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    services.change_permit(permit=permit, plate="RIGHT1")
    work(world, other)
    assert world.plates() == []


def test_a_location_without_a_zone_keeps_nothing(world: World) -> None:
    world.permit("GONE02")
    world.deliver()
    mapping.map_location(location=world.here, zone=None)
    world.deliver(turns=2)
    assert world.plates() == []


def test_moving_back_leaves_it_as_it_was(world: World, other: Zone) -> None:
    permit = world.permit("BACK01")
    world.deliver()
    home = world.here.zone_mapping.zone
    mapping.map_location(location=world.here, zone=other)
    work(world, other)
    sent = len(world.events())
    mapping.map_location(location=world.here, zone=home)
    work(world, other)
    assert world.plates() == ["BACK01"]
    assert len(world.events()) == sent
    assert world.permit_sync(permit).kept_since is None
