"""Two transactions that lock the same rows at the same time, each in its own order, and one that holds a row for long."""

import time
from unittest.mock import patch

from django.db import transaction
from django.utils import timezone

from integrations.delivery import claim, outbox, record_results
from integrations.delivery.batch import Batch
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest
from integrations.delivery.engine import Engine
from integrations.models import Connection, PermitSync
from integrations.onboarding import test_plates
from integrations.vendors.protocol import Account, get_vendor
from locations.models import Location, Permit
from tests.factories import (
    ConnectionFactory,
    LocationFactory,
    PermitFactory,
    ZoneFactory,
    ZoneMappingFactory,
    mapped_location,
)
from tests.flows.scripts.threads import own_connection, start, until

# Long enough for the other thread to have taken its first lock, and to wait for the second.
UNTIL_IT_WAITS_S = 1


def record_while_another_marks() -> dict[str, list[str]]:
    """Record the results of two rows while a mark holds one and then asks for the other; return errors and states."""
    live: Connection = ConnectionFactory(live=True)
    location: Location = LocationFactory(company=live.company)
    first: Permit = PermitFactory(location=location)
    second: Permit = PermitFactory(location=location)
    ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
    for permit in (second, first):
        with transaction.atomic():
            outbox.mark(permit_ids=[permit.pk])
    rows = {row.permit_id: row.pk for row in PermitSync.objects.all()}
    assert rows[first.pk] > rows[second.pk]

    vendor, account = get_vendor("passport"), Account(live.pk, live.operator_id, live.key)
    claimed = claim.claim([ClaimRequest(account, vendor, 10, SendPermission(True), tests_only=False)])
    claimed = [row._replace(steps=[]) for row in claimed]
    errors: list[str] = []
    batch = Batch.of(claimed, account, vendor, timezone.now())
    lock = "SELECT 1 FROM integrations_registration WHERE permit_id = %s FOR UPDATE"
    # As long as it takes: this is about the order, not about time limits.
    with patch.object(record_results, "LOCK_WAIT_MS", 20_000):
        with own_connection() as marking:
            marking.execute(lock, [first.pk])
            thread = start(lambda: record_results.record([batch]), errors)
            time.sleep(UNTIL_IT_WAITS_S)
            marking.execute(lock, [second.pk])
        thread.join()
    return {"errors": errors, "states": sorted(PermitSync.objects.values_list("state", flat=True))}


def deliver_while_a_row_is_held() -> dict[str, bool]:
    """Deliver for two companies while another transaction holds one's row after it was sent; return when each was settled."""
    held, other = _due_row(), _due_row()
    blocker = own_connection()
    deliver = Batch.deliver

    def deliver_and_be_held(batch: Batch) -> None:
        deliver(batch)
        if batch.account.connection_id == held.connection_id:
            blocker.execute("SELECT 1 FROM integrations_registration WHERE id = %s FOR UPDATE", [held.pk])

    def is_settled(row: PermitSync) -> bool:
        return PermitSync.objects.filter(pk=row.pk, tried_at__isnull=False, lease=None).exists()

    engine = Engine()
    with patch.object(Batch, "deliver", deliver_and_be_held):
        thread = start(lambda: engine.drain([held.connection_id, other.connection_id]))
        until(lambda: is_settled(other))
        meanwhile = {
            "the other, meanwhile": is_settled(other),
            "the held one, meanwhile": is_settled(held),
            "still delivering": thread.is_alive(),
        }
    blocker.rollback()
    thread.join(60)
    return {**meanwhile, "still delivering, afterwards": thread.is_alive(), "the held one": is_settled(held)}


def start_a_test_while_another_maps() -> dict[str, object]:
    """Start a test plate while a mapping locks the connection and then the location; return errors and tests."""
    live: Connection = ConnectionFactory(live=True)
    location = mapped_location(live)
    errors: list[str] = []
    lock = "SELECT 1 FROM {} WHERE id = %s FOR NO KEY UPDATE"
    with own_connection() as mapping:
        mapping.execute(lock.format("integrations_connection").encode(), [live.pk])
        thread = start(lambda: test_plates.start_test(connection=live, location=location), errors)
        time.sleep(UNTIL_IT_WAITS_S)
        mapping.execute("SET LOCAL lock_timeout = '5s'")
        mapping.execute(lock.format("locations_location").encode(), [location.pk])
    thread.join()
    return {"errors": errors, "tests": live.test_plates.count()}


def answer_a_test_while_another_holds() -> dict[str, object]:
    """Go live by the answer to a test while another transaction holds an older permit's row and then asks for the test's."""
    live: Connection = ConnectionFactory(testing=True)
    location = mapped_location(live)
    older: Permit = PermitFactory(location=location)
    test = test_plates.start_test(connection=live, location=location)
    PermitSync.objects.filter(permit=test.permit_id).update(state="done", accepted_at=timezone.now())
    errors: list[str] = []
    lock = "SELECT 1 FROM integrations_registration WHERE permit_id = %s FOR NO KEY UPDATE"
    with own_connection() as holding:
        holding.execute(lock, [older.pk])
        thread = start(
            lambda: test_plates.answer_test(test=test, seen=True, note="", by="Robin", via="link"), errors
        )
        time.sleep(UNTIL_IT_WAITS_S)
        holding.execute(lock, [test.permit_id])
    thread.join()
    live.refresh_from_db()
    states = PermitSync.objects.order_by("permit_id").values_list("state", flat=True)
    return {"errors": errors, "status": live.status, "states": list(states)}


def _due_row() -> PermitSync:
    """Return a row that is due, of a separate company."""
    live: Connection = ConnectionFactory(live=True)
    location: Location = LocationFactory(company=live.company)
    permit: Permit = PermitFactory(location=location)
    ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
    with transaction.atomic():
        outbox.mark(permit_ids=[permit.pk])
    return PermitSync.objects.get(permit=permit)
