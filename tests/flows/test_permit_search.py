"""Search and lists of permits give the same on SQLite and on PostgreSQL, where they walk other indexes (migration 0004)."""

import ast

import pytest

from tests import servers

CODE = """
from datetime import timedelta
from django.utils import timezone
from integrations.permits.queries import PermitFilters, list_permits, permit_types
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

now = timezone.now()
soon = now + timedelta(days=1)
live = ConnectionFactory(live=True)
mapped, unmapped = LocationFactory(company=live.company), LocationFactory(company=live.company)
ZoneMappingFactory(location=mapped, zone=ZoneFactory(connection=live))
rows = [
    ("ABC 200", mapped, {"unit": "abc-1", "type": "Visitor"}), ("abc-100", unmapped, {"external_id": "R-1"}),
    ("ZZZ 9", mapped, {"unit": "ABC-7", "type": "Staff"}), ("QQQ 1", mapped, {"external_id": "abc/1"}),
    ("ABD 1", mapped, {"unit": "Straße 5"}), ("AB", mapped, {"start": soon, "end": soon + timedelta(days=1)}),
    ("ABC 300", mapped, {"is_test": True}),
]
for plate, place, rest in rows:
    PermitFactory(plate=plate, location=place, **rest)
PermitFactory(plate="ABC 999")

def found(**filters):
    page = list_permits(live.company, PermitFilters(**filters), now=now)
    return [row.permit.plate for row in page.rows]

few = list_permits(live.company, PermitFilters(q="ab"), now=now, rows=2)
print({
    "abc": found(q="abc"), "a.b c": found(q="a.b c"), "unit": found(q="aBC-7"), "external": found(q="r-"),
    "words": found(q="straß"), "odd": found(q="%_'"), "all": found(), "waiting": found(push="waiting"),
    "waiting abc": found(push="waiting", q="abc", when="current"), "unprotected": found(push="unprotected"),
    "few": ([row.permit.plate for row in few.rows], few.more), "types": permit_types(live.company),
})
"""


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_search_and_lists_give_the_same_on_both_databases(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        found = ast.literal_eval(stack.shell(CODE).strip())
    newest_first = ["AB", "ABD1", "QQQ1", "ZZZ9", "ABC100", "ABC200"]
    assert found == {
        "abc": ["ABC100", "ABC200", "ZZZ9", "QQQ1"],
        "a.b c": ["ABC100", "ABC200"],
        "unit": ["ZZZ9"],
        "external": ["ABC100"],
        "words": ["ABD1"],
        "odd": [],
        "all": newest_first,
        "waiting": newest_first,
        "waiting abc": ["ABC100", "ABC200", "ZZZ9", "QQQ1"],
        "unprotected": newest_first[1:],
        "few": (["AB", "ABC100"], True),
        "types": ["Staff", "Visitor"],
    }
