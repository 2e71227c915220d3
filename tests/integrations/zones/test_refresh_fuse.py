"""A refresh of zones never deletes: what a list leaves out stays, and what would end many rights waits for a person."""

import copy
from typing import Any

import pytest

from integrations.models import Connection, Mail, Notice, PermitSync, Zone, ZoneRefresh
from integrations.vendors.protocol import get_vendor
from integrations.zones import refresh as zone_refresh
from locations import services
from locations.models import Location, Permit
from tests.factories import MembershipFactory
from tests.pages import signed_in, text_of
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory

pytestmark = pytest.mark.django_db
MANY = 30


@pytest.fixture
def world(transport: SandboxTransport) -> Any:
    """A company that is live on the sandbox's Passport."""
    with world_in_memory(transport) as world:
        yield world


def space_zone(world: World) -> dict[str, Any]:
    zones = world.passport_operator["zones"]
    return next(zone for zone in zones if zone["session_type"] == "space" and zone["number"] in world.zones)


def in_spaces(world: World, count: int) -> list[Permit]:
    zone = space_zone(world)
    place: Location = world.location("Spaces", zone["number"])
    spaces = zone.get("spaces") or ["1"]
    return [
        world.permit(f"SP{number}", location=place, space_number=str(spaces[number % len(spaces)]))
        for number in range(count)
    ]


def listed(world: World, monkeypatch: pytest.MonkeyPatch, change: Any) -> ZoneRefresh:
    """Refresh with a list in which each zone was changed by `change`."""
    client = get_vendor("passport")._client  # type: ignore[attr-defined]
    fetch = client.list_zones

    def changed(operator_id: str) -> list[dict[str, Any]]:
        documents: list[dict[str, Any]] = copy.deepcopy(fetch(operator_id))
        for document in documents:
            change(document)
        return documents

    with monkeypatch.context() as patched:
        patched.setattr(client, "list_zones", changed)
        return zone_refresh.refresh_zones(connection=world.connection)


def leave_out(document: dict[str, Any]) -> None:
    for name in ("session_type", "spaces", "settings", "geography"):
        document.pop(name, None)


def null(document: dict[str, Any]) -> None:
    for name in ("session_type", "spaces", "settings", "geography"):
        document[name] = None


def ask_for_spaces(document: dict[str, Any]) -> None:
    document["session_type"] = "space"


def ask_for_none(document: dict[str, Any]) -> None:
    document["session_type"] = "vehicle"


@pytest.mark.parametrize("change", [leave_out, null])
def test_what_a_list_leaves_out_keeps_its_last_value(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    in_spaces(world, 5)
    world.deliver()
    before = list(Zone.objects.order_by("pk").values("session_type", "raw"))
    sent = len(world.events())
    done = listed(world, monkeypatch, change)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    assert done.found["counts"]["changed"] == 0
    after = list(Zone.objects.filter(pk__in=[zone.pk for zone in world.zones.values()]).order_by("pk"))
    assert [{"session_type": zone.session_type, "raw": zone.raw} for zone in after] == before
    world.deliver(turns=3)
    assert world.rights() == world.wanted()
    assert len(world.events()) == sent


def test_a_zone_that_asks_for_spaces_ends_nothing_that_was_accepted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(MANY):
        world.permit(f"VE{number}")
    world.deliver()
    sent = len(world.events())
    done = listed(world, monkeypatch, ask_for_spaces)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    world.deliver(turns=3)
    assert world.rights() == world.wanted()
    assert len(world.plates()) == MANY
    assert len(world.events()) == sent


def test_so_does_one_that_really_does_at_passport(world: World) -> None:
    permits = [world.permit(f"VE{number}") for number in range(5)]
    world.deliver()
    number = world.here.zone_mapping.zone.number
    raw = next(zone for zone in world.passport_operator["zones"] if zone["number"] == number)
    world.transport.simulator.directory.change(
        {
            "do": "zone",
            "operator_id": world.passport_operator["operator_id"],
            "zone": {**raw, "session_type": "space"},
        }
    )
    zone_refresh.refresh_zones(connection=world.connection)
    world.deliver(turns=3)
    assert len(world.plates()) == 5
    assert {world.permit_sync(permit).state for permit in permits} == {PermitSync.State.DONE}
    services.cancel_permit(permit=permits[0])
    assert Zone.objects.get(number=number).session_type == "space"


def test_a_change_that_would_replace_many_rights_is_held_with_its_preview(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = in_spaces(world, MANY)
    world.permit("OTHER1")
    world.deliver()
    sent = len(world.events())
    held = listed(world, monkeypatch, ask_for_none)
    assert held.outcome == ZoneRefresh.Outcome.HELD
    assert "Of 31 parking rights, 30 would be replaced." in held.error
    assert held.found["rights"]["examples"] == [permit.pk for permit in permits[:10]]
    world.deliver(turns=2)
    assert world.rights() == world.wanted()
    assert len(world.events()) == sent
    notice = Notice.objects.get(company=world.company)
    assert (notice.kind, notice.level) == ("zones_held", "danger")
    assert Mail.objects.filter(kind="alarm").exists() or not world.company.memberships.exists()
    operator = signed_in(MembershipFactory(company=world.company).user)
    page = text_of(operator.get(f"/c/{world.company.slug}/zones/refreshes/{held.pk}/"))
    assert "Of 31 parking rights, 30 would be replaced." in page
    assert permits[0].plate in page
    assert "Accept changes" in page


def test_once_accepted_it_happens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    in_spaces(world, MANY)
    world.deliver()
    held = listed(world, monkeypatch, ask_for_none)
    fresh, _is_ours = zone_refresh.begin_refresh(
        connection=world.connection, trigger="released", releases=held
    )
    client = get_vendor("passport")._client  # type: ignore[attr-defined]
    fetch = client.list_zones
    with monkeypatch.context() as patched:
        patched.setattr(
            client, "list_zones", lambda pk: [{**zone, "session_type": "vehicle"} for zone in fetch(pk)]
        )
        done = zone_refresh.run_refresh(refresh=fresh)
    assert done.outcome == ZoneRefresh.Outcome.DONE
    assert not Notice.objects.filter(done_at=None, kind="zones_held").exists()
    due = PermitSync.objects.due().filter(connection=world.connection).count()
    assert due == MANY


def test_a_few_rights_are_changed_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    in_spaces(world, 5)
    world.deliver()
    assert listed(world, monkeypatch, ask_for_none).outcome == ZoneRefresh.Outcome.DONE


def test_so_it_is_on_a_paused_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    in_spaces(world, MANY)
    world.deliver()
    Connection.objects.update(status=Connection.Status.PAUSED)
    assert listed(world, monkeypatch, ask_for_none).outcome == ZoneRefresh.Outcome.HELD
