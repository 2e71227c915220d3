"""The audits: permits that were changed outside of the services are found and sent."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as db
from django.utils import timezone

from integrations.models import PeriodicTask, PermitSync
from integrations.reconciliation import audit
from integrations.reconciliation.audit import find_stale, find_unmarked
from locations.models import Permit
from tests.world import World, audit_all

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


# --- Changed outside of the services---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"plate": "SQL1"},
        {"status": Permit.Status.CANCELLED},
        {"end": timezone.now() + 9 * HOUR},
        {"end": timezone.now() - HOUR / 2},
    ],
    ids=["plate", "cancelled", "end", "ended"],
)
def test_a_change_that_bypassed_the_services_is_found_and_pushed(
    world: World, change: dict[str, object]
) -> None:
    permit = world.permit()
    world.deliver()
    extra = {"cancelled_at": timezone.now()} if "status" in change and hasattr(Permit, "cancelled_at") else {}
    Permit.objects.filter(pk=permit.pk).update(**change, **extra)
    assert audit_all() == 1
    world.deliver()
    assert world.rights() == world.wanted()


def test_a_permit_whose_registration_was_deleted_is_found(world: World) -> None:
    permit = world.permit()
    PermitSync.objects.all().delete()
    assert find_unmarked([permit.pk], timezone.now()) == [permit.pk]


def test_what_is_as_it_should_be_or_under_way_is_left_alone(world: World) -> None:
    settled, waiting = world.permit("P1"), world.permit("P2")
    world.deliver()
    PermitSync.objects.filter(permit=waiting).update(state=PermitSync.State.DUE)
    Permit.objects.filter(pk=waiting.pk).update(plate="SQL2")
    assert find_stale([settled.pk, waiting.pk], timezone.now()) == []
    assert find_unmarked([settled.pk, waiting.pk], timezone.now()) == []


def test_the_audit_continues_and_starts_over_at_the_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "AUDIT_ROWS", 2)
    permits = [world.permit(f"P{number}") for number in range(3)]
    audit.audit(timezone.now())
    assert PeriodicTask.objects.get(name=audit.AUDIT_TASK).cursor == permits[1].pk
    audit.audit(timezone.now())
    assert PeriodicTask.objects.get(name=audit.AUDIT_TASK).cursor == 0


def test_the_audit_goes_past_what_has_ended_a_window_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    permits = [world.permit(f"P{number}") for number in range(3)]
    Permit.objects.filter(pk__lt=permits[2].pk).update(end=timezone.now() - HOUR / 2)
    PermitSync.objects.all().delete()
    monkeypatch.setattr(audit, "AUDIT_WINDOW", permits[1].pk)
    assert audit.audit(timezone.now()) == 0
    assert PeriodicTask.objects.get(name=audit.AUDIT_TASK).cursor == permits[1].pk
    assert audit.audit(timezone.now()) == 1
    assert PeriodicTask.objects.get(name=audit.AUDIT_TASK).cursor == 0


def test_the_audit_of_what_was_accepted_continues_and_starts_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [world.permit_sync(world.permit(f"P{number}")) for number in range(2)]
    monkeypatch.setattr(audit, "REMOTE_STATE_WINDOW", rows[0].pk)
    for cursor in (rows[0].pk, 0):
        audit.audit_remote_state(timezone.now())
        assert PeriodicTask.objects.get(name=audit.REMOTE_STATE_TASK).cursor == cursor


def test_a_row_that_is_settled_while_the_audit_looks_is_only_looked_at_once_more(world: World) -> None:
    permit = world.permit()
    world.deliver()
    before = len(world.events())
    from integrations.delivery import outbox

    outbox.mark(permit_ids=[permit.pk], bulk=True)  # as a race would
    world.deliver()
    assert len(world.events()) == before
    assert world.permit_sync(permit).state == PermitSync.State.DONE


@pytest.mark.parametrize(
    "change",
    [
        {"plate": "SQL1"},
        {"subdivision": "US-SC"},
        {"start": timezone.now() - 3 * HOUR},
        {"end": timezone.now() + 9 * HOUR},
        {"space_number": "77"},
        {"location": "there"},
        {"location": "nowhere"},
    ],
    ids=lambda change: " ".join(map(str, change)),
)
def test_whatever_is_not_as_it_was_accepted_is_planned_and_nothing_else_need_be(
    world: World, change: dict[str, Any]
) -> None:
    same = [world.permit(f"P{number}") for number in range(3)]
    permit = world.permit("DIFFERS")
    world.deliver()
    ids = [one.pk for one in [*same, permit]]
    if "location" in change:
        place = world.there if change["location"] == "there" else world.location("Nowhere")
        change = {"location": place}
    Permit.objects.filter(pk=permit.pk).update(**change)
    stale = [] if "space_number" in change else [permit.pk]
    assert find_stale(ids, timezone.now()) == stale
    if db.vendor == "postgresql":
        assert audit._may_differ(ids) == stale
