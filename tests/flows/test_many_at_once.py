"""Cancelling all that match, and the reads of the lists beside it, do the same on SQLite and on PostgreSQL."""

import ast

import pytest

from tests import servers

PERMITS = 600
CODE = f"""
from datetime import timedelta
from time import perf_counter
from django.utils import timezone
from integrations.audit_log import pushes as push_queries
from integrations.permits import bulk_cancel
from integrations.zones import mapping_board, queries as zone_queries
from integrations.dashboard.company import figures_of
from integrations.models import Push, PermitSync
from integrations.permits.queries import PermitFilters
from locations.models import Permit
from locations.services import PermitDraft, end_permits, register_permits, reinstate_permits
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, ZoneMappingFactory

now = timezone.now()
live = ConnectionFactory(live=True)
mapped = LocationFactory(company=live.company, name="Mapped")
unmapped = LocationFactory(company=live.company, name="Unmapped")
zone = ZoneFactory(connection=live, number="Z1")
ZoneMappingFactory(location=mapped, zone=zone)
drafts = [
    PermitDraft((unmapped, mapped)[n % 3 > 0], f"P{{n}}", "US-NC", now - timedelta(hours=1), now + timedelta(days=1))
    for n in range({PERMITS})
]
register_permits(drafts=drafts)
Push.objects.create(
    connection=live, kind="started", events=1, sent_at=now, answered_at=now, trace_id="abcd-1", outcome="accepted"
)
before = figures_of(live.company, now)
filters = PermitFilters(q="P", push="waiting", when="current")
took, begun = {{}}, perf_counter()
def lap(name):
    global begun
    took[name], begun = round(perf_counter() - begun, 2), perf_counter()
ids = bulk_cancel.matching(live.company, filters, now)
look = bulk_cancel.preview(ids, now)
lap("look")
still = bulk_cancel.still(live.company, bulk_cancel.unpack(look.packed), filters, now)
ended = end_permits(permit_ids=still)
lap("cancel")
gone = Permit.objects.filter(status="cancelled", cancelled_at=ended.at).count()
begun = perf_counter()
back = reinstate_permits(ended=ended)
lap("undo")
history = Permit.history.filter(id=ids[0]).values_list("revision", "status")
print(took)
print({{
    "before": (before.unprotected.n, before.moves, before.total.waiting, before.current),
    "look": (look.n, look.locations, len(look.sample)), "gone": gone, "back": back, "history": list(history),
    "sorted": {{
        sort: [one.name for one in mapping_board.board_locations(live.company, now, sort=sort)]
        for sort in ("", "name", "-zone", "-current", "pushed")
    }},
    "zones": [one.number for one in zone_queries.zones_of(live.company, sort="-used")],
    "trace": len(push_queries.list_pushes([live], push_queries.PushFilters(trace="abcd"), now=now).rows),
    "zone": [one.title for one in zone_queries.history_of(zone)],
}})
"""


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_many_are_cancelled_and_brought_back_the_same_on_both_databases(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        took, told = stack.shell(CODE).strip().splitlines()[-2:]
    print(backend, took)
    third = PERMITS // 3
    assert ast.literal_eval(told) == {
        "before": (PERMITS, True, 2 * third, PERMITS),
        "look": (PERMITS, [("Mapped", 2 * third), ("Unmapped", third)], 10),
        "gone": PERMITS,
        "back": PERMITS,
        "history": [(3, "active"), (2, "cancelled"), (1, "active")],
        "sorted": {
            "": ["Unmapped", "Mapped"],
            "name": ["Mapped", "Unmapped"],
            "-zone": ["Mapped", "Unmapped"],
            "-current": ["Mapped", "Unmapped"],
            "pushed": ["Mapped", "Unmapped"],
        },
        "zones": ["Z1"],
        "trace": 1,
        "zone": ["Mapped sends here", "First listed by Passport"],
    }
