"""Everything that writes registrations at once, on PostgreSQL: nobody waits for anybody in a circle, and every save succeeds.

PostgreSQL itself says how many circles it had to break (`pg_stat_database.deadlocks`), so one that is caught and tried again
somewhere is seen as well. The order of locks stands in `integrations.delivery.outbox`.
"""

import json

from tests import servers

SAME_MOMENT = """
import json
from datetime import timedelta
from django.db import DatabaseError
from django.utils import timezone
from integrations.zones import mapping
from integrations.models import PermitSync
from locations.services import PermitDraft, register_permits
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, ZoneMappingFactory

live = ConnectionFactory(live=True)
location = LocationFactory(company=live.company)
zones = [ZoneFactory(connection=live), ZoneFactory(connection=live)]
ZoneMappingFactory(location=location, zone=zones[0])
now = timezone.now()
# One begins or ends every few milliseconds, whichever moment a statement falls into.
register_permits(drafts=[
    PermitDraft(
        location, f"P{n}", "US-NC",
        now + timedelta(milliseconds=15 * n) if n % 2 else now - timedelta(hours=1),
        now + timedelta(hours=5) if n % 2 else now + timedelta(seconds=1, milliseconds=15 * n),
    )
    for n in range(4_000)
])
errors = []
for turn in range(1, 13):
    try:
        mapping.map_location(location=location, zone=zones[turn % 2])
    except DatabaseError as error:
        errors.append(str(error))
# Each has been marked once when it was saved, and at each turn.
late = PermitSync.objects.filter(permit__end__gt=now + timedelta(hours=1)).exclude(version=13).count()
print(json.dumps({"errors": errors, "late": late, "rows": PermitSync.objects.count()}))
"""

EVERYTHING = """
import json, random, threading, time
from collections import Counter
from datetime import timedelta
from django.db import connection, transaction
from django.db.utils import OperationalError
from django.utils import timezone
from integrations.reconciliation import audit, comparison
from integrations.onboarding import connections, test_plate_poller, test_plates
from integrations.zones import mapping
from integrations.delivery import outbox
from integrations.worker import scheduler
from integrations.delivery.engine import Engine
from integrations.models import PermitSync
from integrations.onboarding import automation
from locations import services
from locations.models import Location, Permit
from locations.services import PermitDraft
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, ZoneMappingFactory
from tests.world import LAKESHORE, UNIVERSITY

SECONDS = 15
live, zones = [], []
company = None
for operator in (UNIVERSITY, LAKESHORE):
    which = {"company": company, "label": "second"} if company else {}
    one = ConnectionFactory(live=True, operator_id=operator["operator_id"], **which)
    company = one.company
    live.append(one)
    for zone in operator["zones"][:2]:
        zones.append(ZoneFactory(connection=one, remote_id=zone["id"], number=zone["number"], name=zone["name"],
                                 session_type=zone["session_type"], raw=zone))
places = [LocationFactory(company=company) for _ in range(2)]
for place, zone in zip(places, zones):
    ZoneMappingFactory(location=place, zone=zone)
now = timezone.now()
# They begin soon, so that their urgency can be raised.
permits = services.register_permits(drafts=[
    PermitDraft(places[n % 2], f"P{n}", "US-NC", now + timedelta(hours=1), now + timedelta(hours=9)) for n in range(400)
])
# The ids of half of the registrations run the other way than those of their permits.
PermitSync.objects.filter(permit__in=permits[::2]).delete()
for begin in range(380, -1, -20):
    with transaction.atomic():
        outbox.mark(permit_ids=[p.pk for p in permits[begin:begin + 20]], bulk=True)
ids = [permit.pk for permit in permits]
stop, done, errors = threading.Event(), Counter(), Counter()

def repeat(name, work):
    def run():
        draw = random.Random(name)
        while not stop.is_set():
            try:
                work(draw)
                done[name] += 1
            except OperationalError as error:
                errors[f"{name}: {str(error).splitlines()[0]}"] += 1
            except Exception as error:
                # A refusal (a permit that is cancelled, a test that is over) is no fault here.
                done[name] += 1
                if type(error).__name__ not in ("ValidationError", "TryLater"):
                    errors[f"{name}: {type(error).__name__} {error}"[:200]] += 1
        connection.close()
    return threading.Thread(target=run, name=name)

def remap(draw):
    mapping.map_locations(choices=[(place, draw.choice(zones)) for place in places])

def change(draw):
    permit = Permit.objects.get(pk=draw.choice(ids))
    services.change_permit(permit=permit, end=timezone.now() + timedelta(minutes=draw.randint(100, 900)))

def cancel(draw):
    ended = services.end_permits(permit_ids=draw.sample(ids, 200))
    services.reinstate_permits(ended=ended)

def refuse_and_retry(draw):
    with transaction.atomic():
        some = PermitSync.objects.filter(permit__in=draw.sample(ids, 50)).order_by("permit_id", "connection_id")
        held = [row.pk for row in some.select_for_update(no_key=True)]
        PermitSync.objects.filter(pk__in=held).update(state="refused")
    outbox.retry(permit_sync_ids=list(PermitSync.objects.refused().values_list("pk", flat=True)))

def compare(draw):
    comparison.reconcile(draw.choice(live), is_certain=draw.random() < 0.3)

def look(draw):
    audit.audit(timezone.now())
    audit.audit_remote_state(timezone.now())

def test(draw):
    one = draw.choice(live)
    place = Location.objects.filter(zone_mapping__zone__connection=one).first()
    if place is not None:
        plate = test_plates.start_test(connection=one, location=place, plate=f"T{draw.randint(1, 99999)}")
        time.sleep(0.3)
        test_plates.answer_test(test=plate, seen=draw.random() < 0.8, note="", by="somebody", via="page")

def go(draw):
    one = draw.choice(live)
    connections.pause(connection=one, reason="for a moment")
    # As after its set-up: going live marks all of its permits.
    type(one).objects.filter(pk=one.pk).update(status="testing")
    connections.go_live(connection=one, reason="again")

engine = Engine()
engines = [Engine(senders=6) for _ in range(2)]
workers = [threading.Thread(target=lambda engine=engine: (engine.run(stop), connection.close())) for engine in engines]

def wake(draw):
    for engine in engines:
        engine.wake([one.pk for one in live])
    time.sleep(0.05)

works = {
    "remap": remap, "change": change, "cancel": cancel, "retry": refuse_and_retry, "compare": compare, "look": look,
    "test": test, "go": go, "wake": wake,
    "urgency": lambda draw: scheduler.raise_urgency(timezone.now() + timedelta(days=1)),
    "follow tests": lambda draw: test_plate_poller.follow_tests(timezone.now()),
    "follow set-ups": lambda draw: automation.follow_set_ups(timezone.now()),
}
threads = [repeat(name, work) for name, work in works.items()] + workers
for thread in threads:
    thread.start()
time.sleep(SECONDS)
stop.set()
for engine in engines:
    engine.wake([])
for thread in threads:
    thread.join(60)
settled = PermitSync.objects.filter(tried_at__isnull=False).count()
print(json.dumps({"errors": errors, "done": done, "settled": settled}))
"""


def test_permits_that_begin_or_end_while_they_are_marked_are_marked_once() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = json.loads(stack.shell(SAME_MOMENT))
    assert (told["errors"], told["late"]) == ([], 0)
    assert told["rows"] >= 2_000


def test_nobody_waits_in_a_circle_whatever_is_written_at_once() -> None:
    # One process in the place of many: it needs as many connections as they would have together.
    with servers.running_stack(
        servers.POSTGRES, workers=0, web=False, env={"DATABASE_POOL_SIZE": "40"}
    ) as stack:
        told = json.loads(stack.shell(EVERYTHING))
        circles = stack.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    print(told)
    assert told["errors"] == {}
    assert circles == [{"deadlocks": 0}]
    # All of it was really done at once, and deliveries were settled in between.
    assert min(told["done"].values()) >= 1
    assert told["settled"] > 50
