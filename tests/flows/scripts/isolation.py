"""Companies side by side in one engine, some of them failing; the vendor is in this process, so that it can hang."""

import threading
import time
from collections.abc import Callable, Sequence
from unittest.mock import patch

from django.utils import timezone

from integrations.delivery import claim
from integrations.delivery.claim import ClaimRequest
from integrations.delivery.engine import Engine
from integrations.delivery.pipeline import Pipeline
from integrations.delivery.row_outcome import ClaimedRow
from integrations.models import Breaker, Connection, PermitSync
from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.protocol import Account, Sent, Step
from locations import services
from locations.models import Location
from tests.factories import ConnectionFactory, PermitFactory, mapped_location
from tests.fakes import fake_vendor
from tests.flows.scripts.threads import own_connection, start, until

# Less than a lease: rows that were claimed together must not be dropped and have to wait for it to expire.
WITHIN_A_LEASE_S = claim.LEASE.total_seconds() - 2


def half_of_all_companies_are_dead() -> dict[str, int]:
    """Of 40 companies, 20 get no answer: at first that isn't known, then their breakers are open and they are tried again."""
    companies = [_company() for _ in range(40)]
    dead, well = [live for live, _ in companies[:20]], [live for live, _ in companies[20:]]
    dead_ids = {live.pk for live in dead}
    hang, guard = threading.Event(), threading.Lock()
    hanging = most = 0
    told: dict[str, int] = {}
    with fake_vendor() as vendor:
        send = vendor.send

        def send_or_hang(account: Account, steps: Sequence[Step]) -> Sent:
            nonlocal hanging, most
            if account.connection_id not in dead_ids:
                return send(account, steps)
            with guard:
                hanging += 1
                most = max(most, hanging)
            hang.wait(60)
            with guard:
                hanging -= 1
            return _failed(steps, TryLater("No answer.", code="timeout"))

        with patch.object(vendor, "send", send_or_hang):
            engine = Engine()
            end = _run(engine)
            everybody = [live.pk for live in dead + well]

            # It isn't known yet that half of them are dead, and these are the first to send.
            for _live, location in companies:
                PermitFactory(location=location)
            engine.wake(everybody)
            told["all that are well, while the dead ones hang"] = until(lambda: _settled(well) == 20)
            told["a request of each dead one hangs"] = until(lambda: hanging == 20)

            # Now it is known; all of them are due to be tried again, and the others send once more.
            hang.set()
            until(lambda: Breaker.objects.filter(failures__gt=0).count() == 20 and hanging == 0)
            told["the host's breaker"] = Breaker.objects.filter(vendor__isnull=False).count()
            hang.clear()
            most = 0
            for _live, location in companies:
                PermitFactory(location=location)
            for _turn in range(10):
                Breaker.objects.filter(failures__gt=0).update(open_until=timezone.now(), probe_until=None)
                engine.wake(everybody)
                time.sleep(0.1)
            told["all that are well, while the dead ones are tried"] = until(lambda: _settled(well) == 40)
            told["dead ones that are tried"] = most
            hang.set()
            told["still running"] = end()
    return told


def a_row_without_steps_is_held() -> dict[str, int]:
    """Another transaction locks a claimed row for which nothing has to be sent, right after the claim."""
    (held, held_location), (other, other_location) = _company(), _company()
    permit = PermitFactory(location=held_location)
    services.cancel_permit(permit=permit)  # it was never sent, so there is nothing to do
    row = PermitSync.objects.get(permit=permit)
    PermitFactory(location=other_location)
    blocker = own_connection()
    claim_rows, is_held = claim.claim, threading.Event()

    def claim_and_be_held(asks: Sequence[ClaimRequest], **rest: object) -> list[ClaimedRow]:
        works = claim_rows(asks, **rest)  # type: ignore[arg-type]
        if not is_held.is_set() and any(work.id == row.pk for work in works):
            is_held.set()
            blocker.execute("SELECT 1 FROM integrations_registration WHERE id = %s FOR UPDATE", [row.pk])
        return works

    told: dict[str, int] = {}
    with fake_vendor(), patch.object(claim, "claim", claim_and_be_held):
        engine = Engine()
        end = _run(engine)
        engine.wake([held.pk, other.pk])
        told["the other's, meanwhile"] = until(lambda: _settled([other]) == 1, WITHIN_A_LEASE_S)
        told["the one that is held, meanwhile"] = _settled([held])
        blocker.rollback()
        told["the one that was held"] = until(lambda: _settled([held]) == 1)
        told["still running"] = end()
    return told


def rows_that_are_given_back_are_held() -> dict[str, int]:
    """Another transaction locks claimed rows just when the engine gives them back because their remote is down."""
    (failing, place), (other, other_place) = _company(), _company()
    for _ in range(12):
        PermitFactory(location=place)
    for _ in range(40):
        PermitFactory(location=other_place)
    blocker = own_connection()
    give_back = Pipeline._give_back
    told: dict[str, int] = {"held": 0}

    def give_back_what_is_held(pipeline: Pipeline, pk: int, error: DeliveryError) -> None:
        if not told["held"] and pipeline.lined_up.get(pk):
            ids = [row.id for batch in pipeline.lined_up[pk] for row in batch.rows]
            told["held"] = 1
            blocker.execute("SELECT 1 FROM integrations_registration WHERE id = ANY(%s) FOR UPDATE", [ids])
        give_back(pipeline, pk, error)

    with fake_vendor() as vendor:
        vendor.batch_size = 1
        send = vendor.send

        def send_or_fail(account: Account, steps: Sequence[Step]) -> Sent:
            time.sleep(0.05)
            if account.connection_id != failing.pk:
                return send(account, steps)
            return _failed(steps, TryLater("Away.", code="unreachable"))

        with (
            patch.object(vendor, "send", send_or_fail),
            patch.object(Pipeline, "_give_back", give_back_what_is_held),
        ):
            engine = Engine(senders=4)
            end = _run(engine)
            engine.wake([failing.pk, other.pk])
            told["the other's, meanwhile"] = until(lambda: _settled([other]) == 40, WITHIN_A_LEASE_S)
            blocker.rollback()
            leased = PermitSync.objects.filter(connection=failing, lease__isnull=False)
            told["all are given back"] = until(lambda: not leased.exists())
            told["still running"] = end()
    return told


def _company() -> tuple[Connection, Location]:
    live: Connection = ConnectionFactory(live=True)
    return live, mapped_location(live)


def _settled(connections: Sequence[Connection]) -> int:
    return PermitSync.objects.filter(connection__in=connections, state="done").count()


def _failed(steps: Sequence[Step], error: DeliveryError) -> Sent:
    at = timezone.now()
    return Sent([error] * len(steps), trace_id="t", sent_at=at, answered_at=at, error=error)


def _run(engine: Engine) -> Callable[[], bool]:
    """Run it in a thread; return a function that ends it and says whether it was still running."""
    stop = threading.Event()
    thread = start(lambda: engine.run(stop))

    def end() -> bool:
        stop.set()
        engine.wake([])
        thread.join(60)
        return thread.is_alive()

    return end
