"""What one company's trouble means for the others, on PostgreSQL: who is served is counted, nothing is timed.

The remote is a fake one in the engine's own process, so that it can hang for as long as a story wants it to.
"""

import json

from tests import servers

COMPANIES = """
import json, threading, time
import psycopg
from django.db import connection, transaction
from django.utils import timezone
from integrations.delivery import claim, outbox
from integrations.delivery.engine import Engine
from integrations.delivery.pipeline import Pipeline
from integrations.vendors.errors import TryLater
from integrations.models import Breaker, PermitSync
from locations import services
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory
from tests.fakes import fake_vendor
from integrations.vendors.protocol import Sent
parameters = connection.get_connection_params()
connect = {name: parameters[name] for name in ("dbname", "user", "host", "port")}

def company():
    live = ConnectionFactory(live=True)
    location = LocationFactory(company=live.company)
    ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
    return live, location

def settled(connections):
    return PermitSync.objects.filter(connection__in=connections, state="done").count()

def until(is_so, seconds=60):
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.05)
    return is_so()

def running(engine):
    stop = threading.Event()
    thread = threading.Thread(target=lambda: (engine.run(stop), connection.close()))
    thread.start()
    def end():
        stop.set()
        engine.wake([])
        thread.join(60)
        return thread.is_alive()
    return end
"""

HALF_DEAD = """
companies = [company() for _ in range(40)]
dead, well = [live for live, _ in companies[:20]], [live for live, _ in companies[20:]]
dead_ids = {live.pk for live in dead}
hang, guard, hanging, most = threading.Event(), threading.Lock(), [0], [0]
told = {}
with fake_vendor() as vendor:
    send = vendor.send

    def send_or_hang(account, steps):
        if account.connection_id not in dead_ids:
            return send(account, steps)
        at = timezone.now()
        with guard:
            hanging[0] += 1
            most[0] = max(most[0], hanging[0])
        hang.wait(60)
        with guard:
            hanging[0] -= 1
        error = TryLater("No answer.", code="timeout")
        return Sent([error] * len(steps), trace_id="t", sent_at=at, answered_at=timezone.now(), error=error)

    vendor.send = send_or_hang
    engine = Engine()
    end = running(engine)
    everybody = [live.pk for live in dead + well]

    # Nobody knows yet that half of them are dead, and these are the first to send.
    for live, location in companies:
        PermitFactory(location=location)
    engine.wake(everybody)
    told["all that are well, while the dead ones hang"] = until(lambda: settled(well) == 20)
    told["a request of each dead one hangs"] = until(lambda: hanging[0] == 20)

    # Now it is known; all of them are due to be tried again, and the others send once more.
    hang.set()
    until(lambda: Breaker.objects.filter(failures__gt=0).count() == 20 and hanging[0] == 0)
    told["the host's breaker"] = Breaker.objects.filter(vendor__isnull=False).count()
    hang.clear()
    most[0] = 0
    for live, location in companies:
        PermitFactory(location=location)
    for turn in range(10):
        Breaker.objects.filter(failures__gt=0).update(open_until=timezone.now(), probe_until=None)
        engine.wake(everybody)
        time.sleep(0.1)
    told["all that are well, while the dead ones are tried"] = until(lambda: settled(well) == 40)
    told["dead ones that are tried"] = most[0]
    hang.set()
    told["still running"] = end()
print(json.dumps(told))
"""

HELD_WITHOUT_STEPS = """
(held, held_location), (other, other_location) = company(), company()
permit = PermitFactory(location=held_location)
services.cancel_permit(permit=permit)  # it was never sent, so there is nothing to do
row = PermitSync.objects.get(permit=permit)
waiting = PermitFactory(location=other_location)
blocker = psycopg.connect(**connect)
real_claim = claim.claim

def claim_and_be_held(asks, *, now=None):
    works = real_claim(asks, now=now)
    if any(work.id == row.pk for work in works):
        claim.claim = real_claim
        # Somebody changes it in the very moment between.
        blocker.execute("SELECT 1 FROM integrations_registration WHERE id = %s FOR UPDATE", [row.pk])
    return works

told = {}
with fake_vendor():
    claim.claim = claim_and_be_held
    engine = Engine()
    end = running(engine)
    engine.wake([held.pk, other.pk])
    # Less than a lease: what was claimed together must not be dropped and wait for that to run out.
    told["the other's, meanwhile"] = until(lambda: settled([other]) == 1, claim.LEASE.total_seconds() - 2)
    told["the one that is held, meanwhile"] = settled([held])
    blocker.rollback()
    told["the one that was held"] = until(lambda: settled([held]) == 1)
    told["still running"] = end()
print(json.dumps(told))
"""

HELD_AND_GIVEN_BACK = """
(failing, place), (other, other_place) = company(), company()
for _ in range(12):
    PermitFactory(location=place)
for _ in range(40):
    PermitFactory(location=other_place)
blocker = psycopg.connect(**connect)
give_back = Pipeline._give_back
told = {"held": 0}

def give_back_what_is_held(self, pk, error):
    if not told["held"] and self.lined_up.get(pk):
        ids = [row.id for batch in self.lined_up[pk] for row in batch.rows]
        told["held"] = 1
        blocker.execute("SELECT 1 FROM integrations_registration WHERE id = ANY(%s) FOR UPDATE", [ids])
    give_back(self, pk, error)

with fake_vendor() as vendor:
    vendor.batch_size = 1
    send = vendor.send

    def send_or_fail(account, steps):
        time.sleep(0.05)
        if account.connection_id != failing.pk:
            return send(account, steps)
        error, at = TryLater("Away.", code="unreachable"), timezone.now()
        return Sent([error] * len(steps), trace_id="t", sent_at=at, answered_at=at, error=error)

    vendor.send = send_or_fail
    Pipeline._give_back = give_back_what_is_held
    engine = Engine(senders=4)
    end = running(engine)
    engine.wake([failing.pk, other.pk])
    told["the other's, meanwhile"] = until(lambda: settled([other]) == 40, claim.LEASE.total_seconds() - 2)
    blocker.rollback()
    leased = PermitSync.objects.filter(connection=failing, lease__isnull=False)
    told["all are given back"] = until(lambda: not leased.exists())
    told["still running"] = end()
print(json.dumps(told))
"""


def test_half_of_all_companies_being_dead_leaves_the_others_their_senders() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = json.loads(stack.shell(COMPANIES + HALF_DEAD))
    assert 1 <= told.pop("dead ones that are tried") <= 12
    assert told == {
        "all that are well, while the dead ones hang": True,
        "a request of each dead one hangs": True,
        "the host's breaker": 0,
        "all that are well, while the dead ones are tried": True,
        "still running": False,
    }


def test_a_row_without_anything_to_send_that_is_held_keeps_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = json.loads(stack.shell(COMPANIES + HELD_WITHOUT_STEPS))
    assert told == {
        "the other's, meanwhile": True,
        "the one that is held, meanwhile": 0,
        "the one that was held": True,
        "still running": False,
    }


def test_rows_that_are_given_back_and_held_keep_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = json.loads(stack.shell(COMPANIES + HELD_AND_GIVEN_BACK))
    assert told == {
        "held": 1,
        "the other's, meanwhile": True,
        "all are given back": True,
        "still running": False,
    }
