"""Comparing with what enforcement sees, on the sandbox: what is seen, missing, too much or unknown, and when it is held."""

import copy
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.models import Notice, PermitSync
from integrations.models.delivery import NOT_LISTED
from integrations.reconciliation import restored, rounds
from integrations.reconciliation.comparison import reconcile
from integrations.vendors.errors import TryLater
from integrations.vendors.protocol import RightSeen, get_vendor
from locations import services
from locations.models import Permit
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


NOTHING = {"seen": 0, "missing": 0, "differing": 0, "held": 0, "surplus": 0, "unreadable": 0, "unknown": 0}


def lose(world: World, count: int = 1) -> None:
    """Let Passport lose its first `count` sessions."""
    for session in list(world.transport.simulator.sessions.by_id)[:count]:
        world.transport.simulator.forget_session(session)


def test_what_is_listed_is_noted_as_seen(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    assert reconcile(world.connection) == NOTHING | {"seen": 1}
    assert world.permit_sync(permit).seen_at is not None


def test_what_was_seen_before_the_present_acceptance_is_seen_again_and_only_once(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    PermitSync.objects.update(seen_at=timezone.now() - 2 * HOUR)
    reconcile(world.connection)
    seen = world.permit_sync(permit).seen_at
    assert seen is not None
    assert seen > timezone.now() - HOUR
    reconcile(world.connection)
    assert world.permit_sync(permit).seen_at == seen


def test_what_was_accepted_just_now_may_still_be_on_its_way(world: World) -> None:
    world.permit()
    world.deliver()
    lose(world)
    assert reconcile(world.connection) == NOTHING


def test_what_is_missing_twice_is_sent_again(world: World) -> None:
    permit = world.permit()
    world.deliver()
    lose(world)
    long_ago()
    assert reconcile(world.connection)["missing"] == 1
    assert world.permit_sync(permit).error_code == NOT_LISTED
    world.deliver()
    assert world.plates() == []
    long_ago()
    reconcile(world.connection)
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).error_code == ""


def test_a_right_of_ours_without_a_permit_is_ended(world: World) -> None:
    permit = world.permit()
    world.deliver()
    [session] = world.transport.simulator.sessions.by_id
    # A backup was restored in which the permit was cancelled and its end had been accepted.
    Permit.objects.filter(pk=permit.pk).update(end=timezone.now() - HOUR / 2)
    PermitSync.objects.update(remote_state=None, remote_until=None)
    long_ago()
    assert reconcile(world.connection)["surplus"] == 1
    world.deliver()
    assert world.plates() == []
    assert world.transport.simulator.sessions.by_id[session].stopped


def test_without_references_a_right_is_known_by_plate_state_and_zone(world: World) -> None:
    world.transport.simulator.change_options({"reference_ids": False})
    world.permit()
    world.deliver()
    long_ago()
    assert reconcile(world.connection) == NOTHING | {"seen": 1}


def test_when_passport_cannot_be_asked_nothing_is_concluded(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    world.fault("html", path="rights")
    with pytest.raises(TryLater):
        reconcile(world.connection)
    rounds.compare_due(timezone.now())
    assert world.permit_sync(permit).error_code == ""


def test_what_is_about_to_begin_need_not_be_listed(world: World) -> None:
    now = timezone.now()
    world.permit(start=now + HOUR, end=now + 2 * HOUR)
    world.permit("SOON", start=now - timedelta(seconds=20), end=now + 2 * HOUR)
    world.permit("LAST", start=now - HOUR, end=now + timedelta(seconds=40))
    world.deliver()
    long_ago()
    lose(world, 3)
    assert reconcile(world.connection) == NOTHING


def test_an_empty_list_changes_nothing_and_people_are_notified_once(world: World) -> None:
    for number in range(21):
        world.permit(f"P{number}")
    world.deliver()
    long_ago()
    kept = dict(world.transport.simulator.sessions.by_id)
    lose(world, 21)
    for _round in range(3):
        assert reconcile(world.connection) == NOTHING | {"missing": 21, "held": 1}
        long_ago()
    before = len(world.events())
    world.deliver()
    assert len(world.events()) == before
    assert not PermitSync.objects.exclude(error_code="").exists()
    told = Notice.objects.filter(kind="comparison_held", done_at=None)
    assert sorted((notice.company, notice.level) for notice in told if notice.company) == [
        (world.company, "warning")
    ]
    assert "--send-missing" in told.get(company=None).text
    for session in kept.values():
        world.transport.simulator.keep_session(session)
    assert reconcile(world.connection) == NOTHING | {"seen": 21}
    assert not Notice.objects.filter(kind="comparison_held", done_at=None).exists()


def test_once_a_person_agrees_everything_that_is_missing_is_sent_again_at_once(world: World) -> None:
    for number in range(21):
        world.permit(f"P{number}")
    world.deliver()
    long_ago()
    lose(world, 21)
    assert reconcile(world.connection, is_certain=True) == NOTHING | {"missing": 21}
    world.deliver()
    assert world.rights() == world.wanted()
    assert PermitSync.objects.filter(state="done", session_count=2).count() == 21


def test_what_is_missing_is_never_taken_away_before_its_successor_was_sent(world: World) -> None:
    permit = world.permit()
    world.deliver()
    [(session_id, session)] = world.transport.simulator.sessions.by_id.items()
    lose(world)
    for _round in range(2):
        long_ago()
        reconcile(world.connection)
    # The list was wrong: the right is there all the same.
    world.transport.simulator.keep_session(session)
    sent = len(world.events())
    world.deliver()
    kinds = [request["type"].rpartition("_")[2] for request in world.events()[sent:]]
    assert kinds == ["started", "stopped"]
    assert world.transport.simulator.sessions.by_id[session_id].stopped
    assert world.rights() == world.wanted()
    row = world.permit_sync(permit)
    assert (row.state, row.pending_steps, row.session_count) == ("done", None, 2)


def test_a_right_that_is_there_too_much_stays_while_the_one_that_should_be_there_is_missing(
    world: World,
) -> None:
    permit = world.permit()
    world.deliver()
    row = world.permit_sync(permit)
    assert row.remote_state is not None
    # The database has a second session; Passport lists only the first.
    row.remote_state["session_id"] = f"os-{world.connection.key}-{row.pk}-2"
    row.session_count = 2
    row.save()
    long_ago()
    assert reconcile(world.connection) == NOTHING | {"missing": 1}
    world.deliver()
    assert world.rights() == world.wanted()
    long_ago()
    reconcile(world.connection)
    world.deliver()
    long_ago()
    assert reconcile(world.connection) == NOTHING | {"seen": 1, "surplus": 1}
    world.deliver()
    long_ago()
    assert world.plates() == [permit.plate]
    assert reconcile(world.connection) == NOTHING | {"seen": 1}


@pytest.mark.parametrize(("minutes", "surplus"), [(-30, 0), (1, 0), (30, 1)])
def test_an_earlier_session_is_too_much_only_for_as_long_as_it_holds(
    world: World, monkeypatch: pytest.MonkeyPatch, minutes: int, surplus: int
) -> None:
    permit = world.permit("FIRST1")
    world.deliver()
    [first] = world.transport.simulator.sessions.by_id
    services.change_permit(permit=permit, plate="SECOND1")
    world.deliver()
    long_ago()
    now, zone = timezone.now(), world.here.zone_mapping.zone.remote_id
    end = now + timedelta(minutes=minutes)
    earlier = RightSeen("r", zone, "FIRST1", "US-NC", now - HOUR, end, "", first, {})
    vendor = get_vendor("passport")
    read = vendor.read_rights

    def read_more(operator_id: str, take: Callable[[RightSeen], None]) -> None:
        read(operator_id, take)
        take(earlier)

    monkeypatch.setattr(vendor, "read_rights", read_more)
    assert reconcile(world.connection) == NOTHING | {"seen": 1, "surplus": surplus}
    assert world.permit_sync(permit).is_drifting is bool(surplus)


def test_after_a_restored_backup_a_session_number_is_never_used_twice(world: World) -> None:
    permit = world.permit()
    world.deliver()
    for plate in ("NEW1", "NEW2"):
        services.change_permit(permit=permit, plate=plate)
        world.deliver()
    row = world.permit_sync(permit)
    assert row.session_count == 3
    PermitSync.objects.filter(pk=row.pk).update(remote_state=None, remote_until=None, session_count=1)
    long_ago()
    assert reconcile(world.connection)["surplus"] == 1
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).session_count == 4


def test_a_right_without_a_permit_sync_is_counted_reported_and_ended_on_demand(world: World) -> None:
    permit = world.permit()
    world.deliver()
    PermitSync.objects.filter(permit=permit).delete()
    Permit.objects.filter(pk=permit.pk).update(status="cancelled", cancelled_at=timezone.now())
    assert reconcile(world.connection) == NOTHING | {"unknown": 1}
    [notice] = Notice.objects.filter(company=None, done_at=None)
    assert "1 parking right" in notice.text
    assert "--end-unknown" in notice.text
    assert world.plates() == [permit.plate]
    assert restored.end_unknown(world.connection) == (1, [])
    assert world.plates() == []
    assert reconcile(world.connection) == NOTHING
    assert not Notice.objects.filter(done_at=None).exists()


def test_a_reference_that_only_looks_like_ours_is_ignored(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    key, simulator = world.connection.key, world.transport.simulator
    [session] = simulator.sessions.by_id.values()
    for number in ("²-1", "1-²", "1-" + "9" * 60, "x"):
        twin = copy.copy(session)
        twin.id = f"os-{key}-{number}"
        simulator.keep_session(twin)
    assert reconcile(world.connection) == NOTHING | {"seen": 1}
    assert world.permit_sync(permit).pending_steps is None
