"""The two comparisons: permits with registrations, and registrations with what enforcement sees."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations import audit
from integrations.audit import find_stale, find_unmarked, reconcile
from integrations.errors import TryLater
from integrations.models import Chore, Registration
from integrations.models.delivery import NOT_LISTED
from locations.models import Permit
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, passport_in_memory

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def world() -> Iterator[World]:
    transport = SandboxTransport()
    with passport_in_memory(transport):
        world = World(transport)
        yield world
        world.engine.close()


def long_ago() -> None:
    """Let everything have been accepted, and missed, an hour ago."""
    Registration.objects.filter(accepted_at__isnull=False).update(accepted_at=timezone.now() - HOUR)
    Registration.objects.filter(error_since__isnull=False).update(error_since=timezone.now() - HOUR)


# --- Behind the services' back ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [{"plate": "SQL1"}, {"status": Permit.Status.CANCELLED}, {"end": timezone.now() + 9 * HOUR}],
    ids=["plate", "cancelled", "end"],
)
def test_a_change_behind_the_services_back_is_found_and_pushed(
    world: World, change: dict[str, object]
) -> None:
    permit = world.permit()
    world.deliver()
    extra = {"cancelled_at": timezone.now()} if "status" in change and hasattr(Permit, "cancelled_at") else {}
    Permit.objects.filter(pk=permit.pk).update(**change, **extra)
    assert audit.audit(timezone.now()) == 1
    world.deliver()
    assert world.rights() == world.wanted()


def test_a_permit_whose_registration_was_deleted_is_found(world: World) -> None:
    permit = world.permit()
    Registration.objects.all().delete()
    assert find_unmarked([permit.pk], timezone.now()) == [permit.pk]


def test_what_is_as_it_should_be_or_under_way_is_left_alone(world: World) -> None:
    settled, waiting = world.permit("P1"), world.permit("P2")
    world.deliver()
    Registration.objects.filter(permit=waiting).update(state=Registration.State.DUE)
    Permit.objects.filter(pk=waiting.pk).update(plate="SQL2")
    assert find_stale([settled.pk, waiting.pk], timezone.now()) == []
    assert find_unmarked([settled.pk, waiting.pk], timezone.now()) == []


def test_the_audit_walks_on_and_begins_anew_at_the_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "AUDIT_ROWS", 2)
    permits = [world.permit(f"P{number}") for number in range(3)]
    audit.audit(timezone.now())
    assert Chore.objects.get(name=audit.AUDIT_CHORE).cursor == permits[1].pk
    audit.audit(timezone.now())
    assert Chore.objects.get(name=audit.AUDIT_CHORE).cursor == 0


def test_a_row_that_is_settled_while_the_audit_looks_is_only_looked_at_once_more(world: World) -> None:
    permit = world.permit()
    world.deliver()
    before = len(world.events())
    from integrations import outbox

    outbox.mark(permit_ids=[permit.pk], bulk=True)  # what a race would do
    world.deliver()
    assert len(world.events()) == before
    assert world.registration(permit).state == Registration.State.DONE


# --- What enforcement sees ----------------------------------------------------------------------------------------


def test_what_is_listed_is_noted_as_seen(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    assert reconcile(world.connection) == {"seen": 1, "missing": 0, "surplus": 0}
    assert world.registration(permit).seen_at is not None


def test_what_was_seen_before_the_present_acceptance_is_seen_anew_and_then_once(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    Registration.objects.update(seen_at=timezone.now() - 2 * HOUR)
    reconcile(world.connection)
    seen = world.registration(permit).seen_at
    assert seen is not None
    assert seen > timezone.now() - HOUR
    reconcile(world.connection)
    assert world.registration(permit).seen_at == seen


def test_what_was_accepted_just_now_may_still_be_on_its_way(world: World) -> None:
    world.permit()
    world.deliver()
    world.transport.simulator.forget_session(next(iter(world.transport.simulator.sessions.by_id)))
    assert reconcile(world.connection) == {"seen": 0, "missing": 0, "surplus": 0}


def test_what_is_missing_twice_is_sent_anew(world: World) -> None:
    permit = world.permit()
    world.deliver()
    world.transport.simulator.forget_session(next(iter(world.transport.simulator.sessions.by_id)))
    long_ago()
    assert reconcile(world.connection)["missing"] == 1
    assert world.registration(permit).error_code == NOT_LISTED
    world.deliver()
    assert world.plates() == []
    long_ago()
    reconcile(world.connection)
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.registration(permit).error_code == ""


def test_a_right_of_ours_that_nothing_stands_for_is_ended(world: World) -> None:
    permit = world.permit()
    world.deliver()
    [session] = world.transport.simulator.sessions.by_id
    # A backup was restored: the permit was cancelled there, and its end had been accepted.
    Permit.objects.filter(pk=permit.pk).update(end=timezone.now() - HOUR / 2)
    Registration.objects.update(observed=None, observed_until=None)
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
    assert reconcile(world.connection) == {"seen": 1, "missing": 0, "surplus": 0}


def test_when_passport_cannot_be_asked_nothing_is_concluded(world: World) -> None:
    permit = world.permit()
    world.deliver()
    long_ago()
    world.fault("html", path="rights")
    with pytest.raises(TryLater):
        reconcile(world.connection)
    audit.reconcile_all(timezone.now())
    assert world.registration(permit).error_code == ""
