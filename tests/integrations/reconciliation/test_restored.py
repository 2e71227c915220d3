"""After a restored backup: no session id is used twice, and what the vendor has from before is shown and left to people."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as db
from django.utils import timezone

from integrations.models import PermitSync, Push, PushEvent
from integrations.reconciliation import restored
from integrations.reconciliation.comparison import reconcile
from integrations.vendors.errors import FixRecord
from integrations.vendors.protocol import Sent, get_vendor
from locations import services
from locations.models import Permit
from tests.world import World, long_ago

pytestmark = pytest.mark.django_db


def restore(world: World) -> None:
    """Restore the backup from before anything was registered; ids start from the beginning again."""
    PushEvent.objects.all().delete()
    Push.objects.all().delete()
    ids = list(PermitSync.objects.values_list("pk", flat=True))
    PermitSync.objects.all().delete()
    with db.cursor() as cursor:
        cursor.execute("DELETE FROM locations_historicalpermit")
        cursor.execute("DELETE FROM locations_permit")
        _give_again(cursor, min(ids))


def _give_again(cursor: object, first: int) -> None:
    if db.vendor == "postgresql":
        statement = (
            f"SELECT setval(pg_get_serial_sequence('integrations_registration', 'id'), {first}, false)"
        )
    else:
        statement = f"UPDATE sqlite_sequence SET seq = {first - 1} WHERE name = 'integrations_registration'"
    cursor.execute(statement)  # type: ignore[attr-defined]


def command(world: World, *options: str) -> str:
    out = StringIO()
    call_command("passport", "compare", "--company", world.company.slug, *options, stdout=out)
    return out.getvalue()


def sessions(events: Iterable[dict[str, object]]) -> set[str]:
    return {event["session_id"] for request in events for event in request["data"]}  # type: ignore[attr-defined]


def test_new_permits_get_sessions_of_their_own_and_those_of_before_are_left_to_people(world: World) -> None:
    ended, running = world.permit("OLD1"), world.permit("OLD2")
    world.deliver()
    services.cancel_permit(permit=ended)
    world.deliver()
    before = len(world.events())
    ids = list(PermitSync.objects.values_list("pk", flat=True))
    restore(world)
    new = [world.permit("NEW1"), world.permit("NEW2")]
    assert sorted(world.permit_sync(permit).pk for permit in new) == sorted(ids)
    world.deliver()
    assert {world.permit_sync(permit).state for permit in new} == {PermitSync.State.DONE}
    assert not sessions(world.events()[before:]) & sessions(world.events()[:before])
    long_ago()
    for _time in range(3):
        found = reconcile(world.connection)
        assert (found["seen"], found["surplus"], found["unknown"]) == (2, 0, 1)
        world.deliver()
        long_ago()
    assert world.plates() == ["NEW1", "NEW2", running.plate]
    said = command(world, "--list")
    assert "In Passport, and unknown here: 1\n  OLD2 US-NC" in said
    assert "Accepted, and missing in Passport: 0" in said
    review = restored.review(world.connection)
    assert [right.plate for right in review.unknown] == ["OLD2"]
    assert list(review.missing) == []
    assert restored.end_unknown(world.connection) == (1, [])
    assert world.plates() == ["NEW1", "NEW2"]
    assert reconcile(world.connection)["unknown"] == 0


def test_what_the_backup_remembers_and_passport_lost_is_listed_with_its_permit(world: World) -> None:
    permit = world.permit("HERE1")
    world.deliver()
    for session in list(world.transport.simulator.sessions.by_id):
        world.transport.simulator.forget_session(session)
    long_ago()
    review = restored.review(world.connection)
    assert [row.permit for row in review.missing] == [permit]
    assert "Accepted, and missing in Passport: 1\n  HERE1 · Here" in command(world, "--list")
    # Looking changes nothing.
    assert not world.permit_sync(permit).is_drifting


def test_a_row_that_the_backup_set_back_begins_no_session_of_before(world: World) -> None:
    permit = world.permit("ABC1234", end=timezone.now() + timedelta(days=9))
    world.deliver()
    row = world.permit_sync(permit)
    services.change_permit(permit=permit, plate="LATER1")
    world.deliver()
    later = {session.id for session in world.transport.simulator.sessions.by_id.values()}
    # The backup is from before the change, so the evidence of the change is gone as well.
    PushEvent.objects.filter(permit_sync=row).exclude(session_id=row.remote_state["session_id"]).delete()  # type: ignore[index]
    Permit.objects.filter(pk=permit.pk).update(plate="ABC1234")
    PermitSync.objects.filter(pk=row.pk).update(
        remote_state=row.remote_state, session_count=row.session_count
    )
    permit.refresh_from_db()
    services.change_permit(permit=permit, plate="AFTER1")
    world.deliver(turns=2)
    assert world.permit_sync(permit).state == PermitSync.State.DONE
    begun = {session.id for session in world.transport.simulator.sessions.by_id.values()} - later
    assert len(begun) == 1
    assert "AFTER1" in world.plates()


def test_an_unknown_right_that_passport_does_not_end_is_not_said_to_be_ended(world: World) -> None:
    for plate in ("LOST1", "LOST2"):
        world.permit(plate)
    world.deliver()
    restore(world)
    send = get_vendor("passport").send

    def turn_one_down(*args: Any) -> Sent:
        sent = send(*args)
        return replace(sent, results=[FixRecord("The session is locked.", code="locked"), None])

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(get_vendor("passport"), "send", turn_one_down)
        said = command(world, "--end-unknown")
    assert "unknown parking rights ended: 1\n" in said
    assert "not ended: 1. Passport says of the first: The session is locked." in said
