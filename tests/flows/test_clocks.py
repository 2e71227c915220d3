"""Workers whose clocks are wrong, on PostgreSQL: evidence has the database's time, and stands in the order of events."""

import json

from tests import servers

TWO_WORKERS = """
import json
from datetime import timedelta
from django.utils import timezone
from integrations.delivery.database_clock import database_now
from integrations.delivery.engine import Engine
from integrations.models import Push, PermitSync
from locations import services
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, ZoneMappingFactory
from tests.world import UNIVERSITY

live = ConnectionFactory(live=True, operator_id=UNIVERSITY["operator_id"])
raw = UNIVERSITY["zones"][0]
zone = ZoneFactory(connection=live, remote_id=raw["id"], number=raw["number"], name=raw["name"],
                   session_type=raw["session_type"], raw=raw)
location = LocationFactory(company=live.company)
ZoneMappingFactory(location=location, zone=zone)
now = timezone.now
permit = services.register_permit(draft=services.PermitDraft(
    location, "CLOCK1", "US-NC", now() - timedelta(hours=1), now() + timedelta(hours=5)))
within = []
for turn, wrong_s in enumerate((90, -90, 90, -90)):
    before = database_now()
    if turn:
        permit = services.change_permit(permit=permit, end=now() + timedelta(hours=5 + turn))
    # A worker of its own, with a clock of its own.
    timezone.now = lambda: now() + timedelta(seconds=wrong_s)
    engine = Engine(senders=2)
    engine.drain([live.pk])
    engine.close()
    timezone.now = now
    after = database_now()
    push = Push.objects.order_by("pk").last()
    within.append(before <= push.sent_at <= push.answered_at <= after)
by_time = list(Push.objects.order_by("sent_at").values_list("pk", flat=True))
accepted_at = PermitSync.objects.get().accepted_at
last = Push.objects.order_by("pk").last()
print(json.dumps({
    "within": within, "in order": by_time == sorted(by_time),
    "kinds": list(Push.objects.order_by("pk").values_list("kind", flat=True)),
    "accepted after its answer": accepted_at >= last.answered_at,
}))
"""


def test_evidence_of_workers_with_wrong_clocks_has_the_databases_time_and_order() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False) as stack:
        told = json.loads(stack.shell(TWO_WORKERS))
    assert told == {
        "within": [True] * 4,
        "in order": True,
        "kinds": ["started", "extended", "extended", "extended"],
        "accepted after its answer": True,
    }
