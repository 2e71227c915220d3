"""A result and a mark of the same rows at the same moment, on PostgreSQL: they queue up, and never wait in a circle.

A mark locks registrations in the order of their permits. Here the ids of two registrations run the other way round, so a
settling that locked by id would hold the second while it waits for the first, and the mark the other way about.
"""

from tests import servers

CODE = """
import threading, time
import psycopg
from django.db import connection
from django.utils import timezone
from integrations import claims, outbox, settling
from integrations.breakers import Gate
from integrations.claims import Ask
from integrations.models import Registration
from integrations.sending import Unit
from integrations.vendors import Account, get_vendor
from django.db import transaction
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

live = ConnectionFactory(live=True)
location = LocationFactory(company=live.company)
first, second = PermitFactory(location=location), PermitFactory(location=location)
ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
for permit in (second, first):
    with transaction.atomic():
        outbox.mark(permit_ids=[permit.pk])
rows = {row.permit_id: row.pk for row in Registration.objects.all()}
assert rows[first.pk] > rows[second.pk]

vendor, account = get_vendor("passport"), Account(live.pk, live.operator_id, live.key)
works = claims.claim([Ask(account, vendor, 10, Gate(True), tests_only=False)])
for work in works:
    work.steps = []
errors = []

def settle():
    try:
        settling.settle([Unit(account, vendor, works, timezone.now())])
    except Exception as error:
        errors.append(error)
    finally:
        connection.close()

parameters = connection.get_connection_params()
connect = {name: parameters[name] for name in ("dbname", "user", "host", "port")}
with psycopg.connect(**connect) as marking:
    lock = "SELECT 1 FROM integrations_registration WHERE permit_id = %s FOR UPDATE"
    marking.execute(lock, [first.pk])
    thread = threading.Thread(target=settle)
    thread.start()
    time.sleep(1)
    marking.execute(lock, [second.pk])
thread.join()
print(errors, sorted(Registration.objects.values_list("state", flat=True)))
"""


def test_a_result_and_a_mark_never_wait_for_each_other_in_a_circle() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        assert stack.shell(CODE).strip() == "[] ['done', 'done']"
