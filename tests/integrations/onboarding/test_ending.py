"""Ending a connection leaves nothing behind without someone's consent, and none of it becomes due again."""

import threading
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection as db
from django.db import transaction
from django.utils import timezone

from integrations.delivery import outbox
from integrations.delivery.record_results import record
from integrations.held_changes import services as held_changes
from integrations.held_changes.impact import Impact
from integrations.models import Connection, HeldChange, Notice, PermitSync, ZoneMapping
from integrations.notifications import notices
from integrations.onboarding import connections, rows_of_ended
from integrations.reconciliation import canary_alarms, comparison
from integrations.reconciliation import notices as comparison_notices
from integrations.reconciliation.findings import Findings
from locations import services
from tests.factories import ConnectionFactory, ZoneFactory
from tests.integrations import on_passport
from tests.integrations.delivery.by_hand import Hand
from tests.world import World, audit_all, long_ago

pytestmark = pytest.mark.django_db


world = on_passport.world


def end(world: World, *, leave_behind: bool = False) -> Connection:
    return connections.end(connection=world.connection, reason="Moved away", leave_behind=leave_behind)


def is_ended(world: World) -> bool:
    return Connection.objects.get(pk=world.connection.pk).status == Connection.Status.ENDED


def test_it_waits_for_what_is_being_sent(world: World) -> None:
    permit = world.permit("FLYING1")
    hand = Hand(world)
    (batch,) = hand.units(hand.claim())
    batch.deliver()  # Passport has it, but its answer is not recorded yet
    with pytest.raises(ValidationError, match="1 permit is or may still be valid there"):
        end(world)
    assert not is_ended(world)
    assert world.here.zone_mapping.zone.connection == world.connection
    record([batch])
    world.deliver()
    assert world.rights() == world.wanted()
    assert world.permit_sync(permit).state == PermitSync.State.DONE


def test_it_waits_for_what_may_have_arrived_without_an_answer(world: World) -> None:
    world.permit("LOSTANS")
    world.fault("answer_lost", path="events")
    world.deliver()
    assert world.plates() == ["LOSTANS"]
    with pytest.raises(ValidationError, match="or may still be"):
        end(world)
    assert not is_ended(world)


def test_what_was_never_sent_is_no_reason_to_wait(world: World) -> None:
    permit = world.permit("NEVER1")
    end(world)
    assert is_ended(world)
    assert world.permit_sync(permit).state == PermitSync.State.DONE
    world.deliver()
    assert world.events() == []


def test_what_was_withdrawn_leaves_nothing_behind(world: World) -> None:
    permit = world.permit("GONE01")
    world.deliver()
    services.cancel_permit(permit=permit)
    world.deliver()
    end(world)
    assert world.plates() == []


def test_what_is_left_behind_says_so_and_is_never_sent_again(world: World) -> None:
    accepted = world.permit("THERE1")
    world.deliver()
    flying = world.permit("FLYING1")
    hand = Hand(world)
    (batch,) = hand.units(hand.claim())
    batch.deliver()
    end(world, leave_behind=True)
    record([batch])
    for permit in (accepted, flying):
        row = world.permit_sync(permit)
        assert (row.state, row.error_code, row.lease) == (PermitSync.State.REFUSED, "connection_ended", None)
    sent = len(world.events())
    world.deliver(turns=3)
    assert len(world.events()) == sent


def test_no_edit_makes_a_row_of_an_ended_connection_due_again(world: World) -> None:
    permit, other = world.permit("EDIT01"), world.permit("EDIT02")
    world.deliver()
    end(world, leave_behind=True)
    services.change_permit(permit=permit, plate="EDIT99")
    services.cancel_permits(permits=[permit, other])
    services.change_permit(permit=services.reinstate_permit(permit=permit), location=world.there)
    assert outbox.retry(permit_sync_ids=[world.permit_sync(permit).pk]) == 0
    outbox.mark_connection(connection_id=world.connection.pk)
    audit_all()
    assert not PermitSync.objects.due().filter(connection=world.connection).exists()
    assert world.permit_sync(permit).state == PermitSync.State.REFUSED


def test_nothing_stays_to_do_and_no_alarm_stays_open_on_a_connection_that_has_ended(
    world: World,
) -> None:
    connection = world.connection
    many = Impact(removed=100, replaced=0, total=100)
    for kind in HeldChange.Kind:
        held_changes.may_proceed(connection=connection, kind=kind, impact=many, found="…")
    held_changes.accept(held=HeldChange.objects.get(kind=HeldChange.Kind.IMPORT))
    comparison_notices.tell_held(connection, missing=100, expected=100)
    comparison_notices.tell_failing(connection, error="…", failures=3)
    comparison_notices.tell_unknown(connection, 5)
    canary_key = canary_alarms.notice_key(world.here.zone_mapping.zone_id)
    pk = connection.pk
    for key in (canary_key, f"not_applied:{pk}", f"zones_held:{pk}:company", f"stopped:{pk}"):
        notices.tell(connection.company, "canary", Notice.Level.DANGER, "…", "", key)
    notices.tell(connection.company, "canary", Notice.Level.DANGER, "…", "", "another")
    end(world)
    assert set(HeldChange.objects.values_list("state", flat=True)) == {HeldChange.State.OVER}
    assert list(Notice.objects.filter(done_at=None).values_list("dedupe_key", flat=True)) == ["another"]


def test_a_comparison_under_way_while_the_connection_ends_changes_and_reports_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        world.permit(f"P{number}")
    world.deliver()
    long_ago()
    for session in list(world.transport.simulator.sessions.by_id):
        world.transport.simulator.forget_session(session)
    look = comparison.look

    def end_meanwhile(*args: Any, **options: Any) -> Findings:
        found = look(*args, **options)
        end(world, leave_behind=True)
        return found

    monkeypatch.setattr(comparison, "look", end_meanwhile)
    assert comparison.reconcile(world.connection)["missing"] == 30
    assert not HeldChange.objects.filter(state=HeldChange.State.HELD).exists()
    assert not Notice.objects.filter(done_at=None).exists()


def test_what_became_due_in_the_moment_of_the_end_is_settled_soon(world: World) -> None:
    there, never = world.permit("THERE1"), world.permit("NEVER1")
    world.deliver()
    PermitSync.objects.filter(permit=never).update(remote_state=None, remote_until=None)
    end(world, leave_behind=True)
    # Saved in a transaction that did not see the end yet.
    PermitSync.objects.update(state=PermitSync.State.DUE, error_kind="", error_code="", error="")
    assert rows_of_ended.settle_late(timezone.now()) == 2
    row = world.permit_sync(there)
    assert (row.state, row.error_code) == (PermitSync.State.REFUSED, "connection_ended")
    assert world.permit_sync(never).state == PermitSync.State.DONE
    assert rows_of_ended.settle_late(timezone.now()) == 0


def test_rows_of_other_connections_are_left_as_they_are(world: World) -> None:
    permit = world.permit()
    assert rows_of_ended.settle_late(timezone.now()) == 0
    assert world.permit_sync(permit).state == PermitSync.State.DUE


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(db.vendor != "postgresql", reason="SQLite has a single writer")
def test_a_permit_that_is_saved_while_a_former_connection_ends_leaves_nothing_due_there(world: World) -> None:
    permit = world.permit()
    world.deliver()
    # Its location has moved to another connection, so that the end of this one does not wait for its saves.
    ZoneMapping.objects.filter(location=world.here).update(
        zone=ZoneFactory(connection=ConnectionFactory(company=world.company, label="South", live=True))
    )
    saved = threading.Event()

    def save() -> None:
        try:
            services.change_permit(permit=permit, plate="RACE01")
        finally:
            db.close()
            saved.set()

    with transaction.atomic():
        end(world, leave_behind=True)
        # It saves before the end is committed, and waits for the row that the end has settled.
        saver = threading.Thread(target=save)
        saver.start()
        for _try in range(1_000):
            with db.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0]:
                    break
            saved.wait(0.01)
        assert not saved.is_set()
    saver.join(30)
    here = PermitSync.objects.filter(connection=world.connection)
    assert here.due().count() == 1, "the race that is settled here"
    assert rows_of_ended.settle_late(timezone.now()) == 1
    assert [(row.state, row.error_code) for row in here] == [("refused", "connection_ended")]
    assert PermitSync.objects.due().count() == 1
