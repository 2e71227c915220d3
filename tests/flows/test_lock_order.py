"""A result and a mark of the same rows at the same moment, on PostgreSQL: they queue up, and never wait in a circle.

And whoever holds a row for long (a mass change) does not keep the engine from the other companies.

A mark locks registrations in the order of their permits. Here the ids of two registrations run the other way round, so a
settling that locked by id would hold the second while it waits for the first, and the mark the other way about.
"""

from tests import servers

# Each story begins with it: how to reach the same database by a connection of one's own.
OWN_CONNECTION = """
from django.db import connection
parameters = connection.get_connection_params()
connect = {name: parameters[name] for name in ("dbname", "user", "host", "port")}
"""

CODE = """
import threading, time
import psycopg
from django.db import connection
from django.utils import timezone
from integrations.delivery import claim, outbox, record_results
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest
from integrations.models import PermitSync
from integrations.delivery.batch import Batch
from integrations.vendors.protocol import Account, get_vendor
from django.db import transaction
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

live = ConnectionFactory(live=True)
location = LocationFactory(company=live.company)
first, second = PermitFactory(location=location), PermitFactory(location=location)
ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
for permit in (second, first):
    with transaction.atomic():
        outbox.mark(permit_ids=[permit.pk])
rows = {row.permit_id: row.pk for row in PermitSync.objects.all()}
assert rows[first.pk] > rows[second.pk]

vendor, account = get_vendor("passport"), Account(live.pk, live.operator_id, live.key)
# As long as it takes: here the order is what is looked at, not the patience.
record_results.LOCK_WAIT_MS = 20_000
works = claim.claim([ClaimRequest(account, vendor, 10, SendPermission(True), tests_only=False)])
works = [work._replace(steps=[]) for work in works]
errors = []

def settle():
    try:
        record_results.record([Batch.of(works, account, vendor, timezone.now())])
    except Exception as error:
        errors.append(error)
    finally:
        connection.close()

with psycopg.connect(**connect) as marking:
    lock = "SELECT 1 FROM integrations_registration WHERE permit_id = %s FOR UPDATE"
    marking.execute(lock, [first.pk])
    thread = threading.Thread(target=settle)
    thread.start()
    time.sleep(1)
    marking.execute(lock, [second.pk])
thread.join()
print(errors, sorted(PermitSync.objects.values_list("state", flat=True)))
"""


HELD = """
import threading, time
import psycopg
from django.db import connection, transaction
from integrations.delivery import outbox
from integrations.delivery.engine import Engine
from integrations.models import PermitSync
from integrations.delivery.batch import Batch
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

rows = []
for number in range(2):
    live = ConnectionFactory(live=True)
    location = LocationFactory(company=live.company)
    permit = PermitFactory(location=location)
    ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
    with transaction.atomic():
        outbox.mark(permit_ids=[permit.pk])
    rows.append(PermitSync.objects.get(permit=permit))
held, other = rows
blocker = psycopg.connect(**connect)
deliver = Batch.deliver

def deliver_and_be_held(self):
    deliver(self)
    if self.account.connection_id == held.connection_id:
        blocker.execute("SELECT 1 FROM integrations_registration WHERE id = %s FOR UPDATE", [held.pk])

Batch.deliver = deliver_and_be_held
engine = Engine()

def work():
    engine.drain([held.connection_id, other.connection_id])
    connection.close()

def is_settled(row):
    return PermitSync.objects.filter(pk=row.pk, tried_at__isnull=False, lease=None).exists()

thread = threading.Thread(target=work)
thread.start()
deadline = time.monotonic() + 60
while not is_settled(other) and time.monotonic() < deadline:
    time.sleep(0.05)
print(is_settled(other), is_settled(held), thread.is_alive())
Batch.deliver = deliver
blocker.rollback()
thread.join(60)
print(thread.is_alive(), is_settled(held))
"""


TESTING = """
import threading, time
import psycopg
from django.db import connection
from integrations.onboarding import test_plates
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, ZoneMappingFactory

live = ConnectionFactory(live=True)
location = LocationFactory(company=live.company)
ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
errors = []

def start():
    try:
        test_plates.start_test(connection=live, location=location)
    except Exception as error:
        errors.append(error)
    finally:
        connection.close()

# Somebody maps: the connection, and a moment later the location.
with psycopg.connect(**connect) as mapping:
    lock = "SELECT 1 FROM {} WHERE id = %s FOR NO KEY UPDATE"
    mapping.execute(lock.format("integrations_connection"), [live.pk])
    thread = threading.Thread(target=start)
    thread.start()
    time.sleep(1)
    mapping.execute("SET LOCAL lock_timeout = '5s'")
    mapping.execute(lock.format("locations_location"), [location.pk])
thread.join()
print(errors, live.test_plates.count())
"""


def test_who_starts_a_test_and_who_maps_never_wait_for_each_other_in_a_circle() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        assert stack.shell(OWN_CONNECTION + TESTING).strip() == "[] 1"


def test_somebody_who_holds_a_row_for_long_keeps_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False) as stack:
        assert stack.shell(OWN_CONNECTION + HELD).split() == ["True", "False", "True", "False", "True"]


def test_a_result_and_a_mark_never_wait_for_each_other_in_a_circle() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        assert stack.shell(OWN_CONNECTION + CODE).strip() == "[] ['done', 'done']"
