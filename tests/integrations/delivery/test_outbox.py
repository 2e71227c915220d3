"""Marking: one row per permit and connection, due in the same transaction that changed the permit."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from integrations.delivery import outbox
from integrations.models import Connection, PermitSync
from integrations.models.delivery import Priority
from locations import services
from locations.models import Permit
from tests.world import World

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def woken(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    woken: list[set[int]] = []
    monkeypatch.setattr(outbox, "wake", lambda ids: woken.append(set(ids)))
    return woken


def test_ten_edits_are_one_row_and_ten_marks(world: World) -> None:
    permit = world.permit()
    for hours in range(2, 11):
        services.change_permit(permit=permit, end=timezone.now() + timedelta(hours=hours))
    row = PermitSync.objects.get()
    assert (row.state, row.version) == (PermitSync.State.DUE, 10)


def test_a_mark_keeps_the_time_since_when_it_waits_until_it_is_delivered(world: World) -> None:
    permit = world.permit()
    first = world.permit_sync(permit).due_since
    services.change_permit(permit=permit, plate="NEW1")
    assert world.permit_sync(permit).due_since == first
    world.deliver()
    services.change_permit(permit=permit, plate="NEW2")
    assert world.permit_sync(permit).due_since > first


def test_a_save_that_is_rolled_back_leaves_no_mark_and_wakes_no_worker(
    world: World, woken: list[set[int]], django_capture_on_commit_callbacks: Any
) -> None:
    def save_and_fail() -> None:
        with transaction.atomic():
            world.permit()
            raise ZeroDivisionError

    with django_capture_on_commit_callbacks(execute=True), pytest.raises(ZeroDivisionError):
        save_and_fail()
    assert not PermitSync.objects.exists()
    assert woken == []


def test_after_the_commit_the_connection_is_woken_once(
    world: World, woken: list[set[int]], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        world.permit()
        assert woken == []
    assert woken == [{world.connection.pk}]


def test_marking_nothing_costs_nothing(world: World, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert outbox.mark(permit_ids=[]) == set()


@pytest.mark.parametrize("count", [1, 1500])
def test_many_are_marked_in_one_statement(world: World, count: int, django_assert_num_queries: Any) -> None:
    now = timezone.now()
    services.register_permits(
        drafts=[services.PermitDraft(world.here, f"M{n}", "US-NC", now, now + DAY) for n in range(count)]
    )
    ids = list(Permit.objects.values_list("pk", flat=True))
    # On PostgreSQL the statement bypasses Django, which counts only what it sees.
    with django_assert_num_queries(0 if connection.vendor == "postgresql" else 1):
        assert outbox.mark(permit_ids=ids, bulk=True) == {world.connection.pk}
    assert PermitSync.objects.count() == count


@pytest.mark.parametrize(
    ("bulk", "begins", "ends", "expected"),
    [
        (False, -DAY, DAY, Priority.NOW),
        (False, DAY, 2 * DAY, Priority.SOON),
        (True, -DAY, DAY, Priority.MASS_NOW),
        (True, DAY, 2 * DAY, Priority.MASS_SOON),
    ],
)
def test_what_is_urgent_goes_first_and_a_persons_edit_before_an_import(
    world: World, bulk: bool, begins: timedelta, ends: timedelta, expected: int
) -> None:
    now = timezone.now()
    permit = world.permit(start=now + begins, end=now + ends)
    PermitSync.objects.all().delete()
    outbox.mark(permit_ids=[permit.pk], bulk=bulk)
    assert PermitSync.objects.get().priority == expected


def test_a_later_import_does_not_push_a_persons_waiting_edit_back(world: World) -> None:
    permit = world.permit()
    outbox.mark(permit_ids=[permit.pk], bulk=True)
    assert PermitSync.objects.get().priority == Priority.NOW


@pytest.mark.parametrize("status", [Connection.Status.ENDED])
def test_nothing_new_is_noted_for_a_connection_that_has_ended(world: World, status: str) -> None:
    Connection.objects.update(status=status)
    permit = world.permit()
    assert not PermitSync.objects.filter(permit=permit).exists()


def test_retrying_makes_only_refused_rows_due_again(world: World) -> None:
    refused, done = world.permit("R1", location=world.location("Spaces", "SP-01")), world.permit("D1")
    world.deliver()
    rows = [world.permit_sync(refused).pk, world.permit_sync(done).pk]
    assert outbox.retry(permit_sync_ids=rows) == 1
    row = world.permit_sync(refused)
    assert (row.state, row.error, row.attempts) == (PermitSync.State.DUE, "", 0)
    assert world.permit_sync(done).state == PermitSync.State.DONE


def test_a_whole_connection_can_be_marked_again(world: World) -> None:
    for number in range(3):
        world.permit(f"P{number}")
    world.deliver()
    assert outbox.mark_connection(connection_id=world.connection.pk) == {world.connection.pk}
    assert PermitSync.objects.due().count() == 3
    before = len(world.events())
    world.deliver()
    assert len(world.events()) == before  # nothing differs, so nothing is sent
