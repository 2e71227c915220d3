"""The audit's walk through the permits, on many that have ended."""

from django.db import connection
from django.utils import timezone

from locations.models import Location, Permit
from tests.factories import LocationFactory


def plan() -> str:
    """Return PostgreSQL's plan for one step of the walk, where one permit in a hundred has not ended."""
    place: Location = LocationFactory()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO locations_permit (company_id, location_id, plate_typed, plate, country, subdivision, start, "end",
                space_number, type, unit, external_id, source, is_test, revision, status, created_at, updated_at,
                cancelled_at)
            SELECT %s, %s, 'A', 'A', 'US', 'US-NC', now() - interval '2 days',
                now() + CASE WHEN n %% 100 = 0 THEN interval '1 day' ELSE interval '-1 day' END,
                '', '', '', '', 'shell', false, 1, 'active', now(), now(), NULL
            FROM generate_series(1, 40000) AS n
        """,
            [place.company_id, place.pk],
        )
        cursor.execute("VACUUM ANALYZE locations_permit")
    walk = (
        Permit.objects.not_ended(timezone.now())
        .filter(pk__gt=0, pk__lte=20_000)
        .order_by("pk")
        .values_list("pk")
    )
    return walk[:200].explain()
