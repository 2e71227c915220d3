"""On PostgreSQL the audit's walk reads what has not ended from its index, and nothing else, however much has ended."""

from tests import servers

CODE = """
from django.db import connection
from django.utils import timezone
from locations.models import Permit
from tests.factories import LocationFactory

place = LocationFactory()
with connection.cursor() as cursor:
    cursor.execute('''
        INSERT INTO locations_permit (company_id, location_id, plate_typed, plate, country, subdivision, start, "end",
            space_number, type, unit, external_id, source, is_test, revision, status, created_at, updated_at, cancelled_at)
        SELECT %s, %s, 'A', 'A', 'US', 'US-NC', now() - interval '2 days',
            now() + CASE WHEN n %% 100 = 0 THEN interval '1 day' ELSE interval '-1 day' END,
            '', '', '', '', 'shell', false, 1, 'active', now(), now(), NULL
        FROM generate_series(1, 40000) AS n
    ''', [place.company_id, place.pk])
    cursor.execute("VACUUM ANALYZE locations_permit")
walk = Permit.objects.not_ended(timezone.now()).filter(pk__gt=0, pk__lte=20_000).order_by("pk").values_list("pk")
print(walk[:200].explain())
"""


def test_the_audit_walks_along_an_index_of_what_has_not_ended() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        plan = stack.shell(CODE)
    assert "Index Only Scan using permit_not_ended" in plan
