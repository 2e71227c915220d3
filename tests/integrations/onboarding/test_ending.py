"""Ending a connection leaves nothing behind that nobody agreed to leave, and nothing of it becomes due again."""

import pytest
from django.core.exceptions import ValidationError

from integrations.delivery import outbox
from integrations.delivery.record_results import record
from integrations.models import Connection, PermitSync
from integrations.onboarding import connections
from locations import services
from tests.integrations import on_passport
from tests.integrations.delivery.by_hand import Hand
from tests.world import World, audit_all

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
    batch.deliver()  # Passport has it, and its answer is not written yet
    with pytest.raises(ValidationError, match="1 registration is still valid there, or may be"):
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
    with pytest.raises(ValidationError, match="or may be"):
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
