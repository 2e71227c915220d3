"""Rights that enforcement lists without an end, or with a time that can't be read: from the list's JSON on."""

import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from integrations.held_changes import services as held_changes
from integrations.models import Connection, HeldChange, PermitSync
from integrations.models.delivery import DIFFERS
from integrations.permits import rights_lookup
from integrations.permits.queries import delivery_of
from integrations.reconciliation import comparison, repair, rounds, spool
from integrations.reconciliation.comparison import reconcile
from locations import services
from locations.models import Permit
from passport import reading
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db
List = Callable[..., None]
DAY = timedelta(days=1)
UNREADABLE = ["2026-12-05T18:00:00", "5 Dec 2026", "", 0, {}, "0001-01-01T00:00:00+14:00"]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> List:
    """Let each right be listed with other values (None: null), or without those that are `...`."""
    read = reading.right

    def with_changes(**changes: Any) -> None:
        def right(entry: Any, **options: Any) -> Any:
            changed = {name: value for name, value in {**entry, **changes}.items() if value is not ...}
            return read(changed, **options)

        monkeypatch.setattr(reading, "right", right)

    return with_changes


def kinds_since(world: World, count: int) -> list[tuple[str, str]]:
    return [
        (request["type"].rpartition("_")[2], event["end_time"])
        for request in world.events()[count:]
        for event in request["data"]
    ]


@pytest.mark.parametrize("end", [None, ...])
def test_a_right_without_an_end_is_told_and_gets_ours(world: World, listed: List, end: object) -> None:
    permit = world.permit(end=timezone.now().replace(microsecond=0) + DAY)
    world.deliver()
    before = len(world.events())
    long_ago()
    listed(end_time=end)
    found = reconcile(world.connection)
    assert (found["seen"], found["differing"], found["unreadable"]) == (0, 1, 0)
    row = world.permit_sync(permit)
    assert (row.error_code, row.seen_at) == (DIFFERS, None)
    assert "another end (none)" in row.error
    world.deliver()
    assert kinds_since(world, before) == [("extended", f"{permit.end:%Y-%m-%dT%H:%M:%S}.000Z")]
    assert world.rights() == world.wanted()


def test_a_right_that_is_over_here_and_listed_without_an_end_is_ended(world: World, listed: List) -> None:
    permit = world.permit()
    world.deliver()
    [session] = world.transport.simulator.sessions.by_id.values()
    saved = copy.copy(session)
    services.cancel_permit(permit=permit)
    world.deliver()
    # The stop was accepted and forgotten.
    world.transport.simulator.keep_session(saved)
    long_ago()
    listed(end_time=None)
    assert reconcile(world.connection)["surplus"] == 1
    world.deliver()
    assert world.plates() == []


@pytest.mark.parametrize("text", UNREADABLE, ids=str)
def test_an_end_that_can_t_be_read_is_not_compared_and_the_comparison_says_so(
    world: World, listed: List, text: object
) -> None:
    permit = world.permit()
    world.deliver()
    before = len(world.events())
    long_ago()
    listed(end_time=text)
    assert rounds.compare_due(timezone.now()) == 1
    world.connection.refresh_from_db()
    found = world.connection.comparison
    assert found is not None
    assert (found["seen"], found["missing"], found["differing"], found["unreadable"]) == (0, 0, 0, 1)
    assert world.connection.compared_at is None
    assert world.connection.comparison_error == (
        "Passport lists 1 parking right of ours with a time that can't be read, so it was not compared."
    )
    assert world.permit_sync(permit).seen_at is None
    world.deliver()
    assert len(world.events()) == before
    page = world.viewer.get(world.url("comparison", world.connection.pk)).content.decode()
    assert "It is unknown what enforcement sees now." in page
    assert "Not compared: a time can’t be read" in page
    # Once it can be read again, that is the end of it.
    listed()
    long_ago()
    Connection.objects.update(reconciled_at=None)
    rounds.compare_due(timezone.now())
    world.connection.refresh_from_db()
    assert (world.connection.comparison_failures, world.connection.comparison_error) == (0, "")
    assert world.connection.compared_at is not None


def test_drift_is_not_over_because_a_time_can_t_be_read(world: World, listed: List) -> None:
    permit = world.permit()
    world.deliver()
    listed(end_time=None)
    long_ago()
    reconcile(world.connection)
    world.deliver()
    since = world.permit_sync(permit).drift_since
    listed(end_time="soon")
    long_ago()
    reconcile(world.connection)
    row = world.permit_sync(permit)
    assert row.drift_since is not None
    assert since is not None
    assert row.is_drifting


@pytest.mark.parametrize(
    ("changes", "tone", "says"),
    [
        ({"end_time": None}, "danger", "otherwise than it accepted it"),
        ({"end_time": "2026-12-05T18:00:00"}, "warning", "with a time that can't be read"),
        ({"start_time": "2026-12-05T18:00:00"}, "warning", "with a time that can't be read"),
    ],
)
def test_looking_one_permit_up_says_so_too_and_does_not_note_it_as_seen(
    world: World, listed: List, changes: dict[str, Any], tone: str, says: str
) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    listed(**changes)
    found = rights_lookup.look_up(delivery_of(permit, timezone.now()))
    assert (found.tone, says in found.sentence) == (tone, True)
    assert world.permit_sync(permit).seen_at is None
    kept = json.loads(json.dumps(rights_lookup.to_document(found), cls=DjangoJSONEncoder))
    assert [line.right.unreadable for line in rights_lookup.from_document(kept).rights] == [
        line.right.unreadable for line in found.rights
    ]


# --- However many there are -------------------------------------------------------------------------------------------


@pytest.fixture
def many(world: World, monkeypatch: pytest.MonkeyPatch, settings: Any) -> World:
    """Thirty permits, ten of them cancelled and still listed, ten listed until too late, in small portions; all held."""
    settings.HELD_CHANGE_RIGHTS, settings.HELD_CHANGE_SHARE = 2, 0.2
    monkeypatch.setattr(spool, "PORTION", 7)
    monkeypatch.setattr(repair, "PORTION", 3)
    monkeypatch.setattr(comparison, "DETAILS_MAX", 4)
    permits = [world.permit(f"M{number:02}") for number in range(30)]
    world.deliver()
    simulator = world.transport.simulator
    before = {session.vehicle_plate: copy.copy(session) for session in simulator.sessions.by_id.values()}
    for permit in permits[:10]:
        services.cancel_permit(permit=permit)
    world.deliver()
    for permit in permits[:20]:
        session = before[permit.plate]
        if permit in permits[10:]:
            session.end_time = session.seen_end = session.end_time + DAY
        simulator.keep_session(session)
    long_ago()
    assert reconcile(world.connection)["held"] == 1
    return world


def ends(world: World) -> set[tuple[str, str]]:
    return {(right["vehicle"]["vehicle_plate"], right["end_time"][:19]) for right in world._rights()}


def wanted_ends() -> set[tuple[str, str]]:
    found = Permit.objects.not_ended(timezone.now())
    return {(permit.plate, f"{permit.end:%Y-%m-%dT%H:%M:%S}") for permit in found}


def test_one_acceptance_covers_the_whole_preview(many: World) -> None:
    [held] = HeldChange.objects.all()
    assert (held.removed, held.replaced) == (10, 10)
    held_changes.accept(held=held)
    found = reconcile(many.connection)
    assert (found["differing"], found["surplus"], found["held"]) == (10, 10, 0)
    many.deliver()
    assert ends(many) == wanted_ends()
    held.refresh_from_db()
    assert (held.state, HeldChange.objects.count()) == ("applied", 1)


def test_an_accepted_comparison_that_breaks_off_is_gone_on_with_unasked(
    many: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    [held] = HeldChange.objects.all()
    held_changes.accept(held=held)
    with monkeypatch.context() as broken:
        end_surplus, times = repair.end_surplus, iter([1, 2])

        def break_off(*args: Any, **options: Any) -> None:
            if next(times, None) is None:
                raise rounds.Lost
            end_surplus(*args, **options)

        broken.setattr(repair, "end_surplus", break_off)
        with pytest.raises(rounds.Lost):
            reconcile(many.connection)
    assert 0 < PermitSync.objects.due().count() < 20
    many.deliver()
    held.refresh_from_db()
    assert held.state == "accepted"
    long_ago()
    assert reconcile(many.connection)["held"] == 0
    many.deliver()
    assert ends(many) == wanted_ends()
    assert HeldChange.objects.exclude(state__in=["applied", "over"]).count() == 0
