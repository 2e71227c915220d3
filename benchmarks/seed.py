"""Fills a migrated, empty database for a measurement (PostgreSQL; its own process, with the product's settings).

`python -m benchmarks.seed --companies 1 --permits 10000 --delivered 0` makes live connections, each with one mapped
location; `--delivered` permits that were accepted long ago, with their evidence, spread over the companies; and
`--permits` that are saved and wait. Those are marked by `integrations.delivery.outbox`, as a save does it; permits and
delivered rows are made by `generate_series`, since a million saves would take an hour. Connections are *paused* unless
`--live` is given, so that workers that are up hold still until the measurement begins.
"""

import argparse
import os
import uuid

import django

PERMITS = """
INSERT INTO locations_permit
    (company_id, location_id, plate_typed, plate, country, subdivision, start, "end", space_number, type, unit,
     external_id, source, is_test, revision, status, created_at, updated_at)
SELECT l.company_id, l.id, %(prefix)s || lpad(n::text, 8, '0'), %(prefix)s || lpad(n::text, 8, '0'), 'US', 'US-NC',
    now() - interval '1 hour', now() + interval '30 days', '', 'resident', '', '', 'import', false, 1, 'active', now(), now()
FROM generate_series(1, %(rows)s) n
JOIN (SELECT id, company_id, row_number() OVER (ORDER BY id) - 1 AS place FROM locations_location) l
    ON l.place = n %% %(companies)s
"""
DELIVERED = """
INSERT INTO integrations_registration
    (permit_id, connection_id, state, priority, generation, marked_at, next_attempt_at, tried_at, attempts, sessions,
     observed, observed_until, accepted_at, accepted_revision, error_kind, error_code, error, remedy)
SELECT p.id, z.connection_id, 'done', 3, 1, p.created_at, p.created_at, p.created_at, 0, 1,
    jsonb_build_object('session_id', 'os-BENCHKEY-' || p.id || '-1', 'zone_id', z.remote_id, 'plate', p.plate,
        'country', p.country, 'subdivision', p.subdivision, 'start', {start}, 'end', {end}, 'space', '',
        'rate', p.type, 'occurred_at', {created_at}),
    p."end", p.created_at, 1, '', '', '', ''
FROM locations_permit p JOIN integrations_zonemapping m ON m.location_id = p.location_id
JOIN integrations_zone z ON z.id = m.zone_id
"""
# Written like Passport's documents; if not, the audit would find all of them changed.
_TIME = """to_char(p."{name}" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
DELIVERED = DELIVERED.format(**{name: _TIME.format(name=name) for name in ("start", "end", "created_at")})
PUSHES = """
INSERT INTO integrations_push (connection_id, kind, events, accepted, sent_at, answered_at, trace_id, status, outcome,
    error_code, error)
SELECT c.id, 'started', 100, 100, now(), now(), md5(n::text), 202, 'accepted', '', ''
FROM generate_series(1, 10) n CROSS JOIN integrations_connection c
"""
EVENTS = """
INSERT INTO integrations_pushevent (registration_id, push_id, kind, session_id, marked_at, result, error_code, error)
SELECT r.id, p.id, 'started', r.observed->>'session_id', r.marked_at, 'accepted', '', ''
FROM integrations_registration r JOIN (SELECT connection_id, min(id) AS id FROM integrations_push GROUP BY 1) p
    ON p.connection_id = r.connection_id
"""


def make_companies(count: int, *, live: bool) -> None:
    """Make companies with one location each, mapped to a zone of a connection of their own."""
    from django.utils import timezone

    from integrations.models import Connection, Zone, ZoneMapping
    from integrations.models.connections import new_key
    from locations.models import Company, Location

    now = timezone.now()
    companies = Company.objects.bulk_create(
        [Company(name=f"Company {n}", slug=f"company-{n}", offstreet_id=f"B-{n}") for n in range(count)]
    )
    locations = Location.objects.bulk_create([Location(company=company, name="Lot") for company in companies])
    connections = Connection.objects.bulk_create(
        [
            Connection(
                company=company,
                name=f"PASSPORTCOMPANY{company.pk}",
                key=new_key(),
                operator_id=str(uuid.UUID(int=company.pk)),
                operator_confirmed_at=now,
                status=Connection.Status.LIVE if live else Connection.Status.PAUSED,
                status_since=now,
                live_since=now,
                created_at=now,
                # Zones just refreshed and rights just compared, so that no periodic task interferes.
                zones_pulled_at=now,
                reconciled_at=now,
            )
            for company in companies
        ]
    )
    zones = Zone.objects.bulk_create(
        [
            Zone(
                connection=connection,
                remote_id=str(uuid.uuid4()),
                number="Z1",
                name="Zone",
                session_type="vehicle",
                first_seen_at=now,
                changed_at=now,
            )
            for connection in connections
        ]
    )
    ZoneMapping.objects.bulk_create(
        [
            ZoneMapping(location=location, zone=zone, mapped_at=now)
            for location, zone in zip(locations, zones, strict=True)
        ]
    )


def main() -> None:
    """Fill the database that the environment names."""
    parser = argparse.ArgumentParser(description="Fill a database for a measurement.")
    parser.add_argument("--companies", type=int, default=1)
    parser.add_argument("--permits", type=int, default=0)
    parser.add_argument("--delivered", type=int, default=0)
    parser.add_argument("--delivered-over", type=int, help="of how many companies; all unless given")
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--no-marks", action="store_true", help="permits that nothing is to be sent for")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    django.setup()
    from django.db import connection, transaction

    from integrations.delivery import outbox
    from integrations.models import Connection

    make_companies(options.companies, live=options.live)
    with connection.cursor() as cursor:
        if options.delivered:
            over = options.delivered_over or options.companies
            values = {"prefix": "D", "rows": options.delivered, "companies": over}
            cursor.execute(PERMITS, values)
            for statement in (DELIVERED, PUSHES, EVENTS):
                cursor.execute(statement)
        if options.permits:
            cursor.execute(PERMITS, {"prefix": "W", "rows": options.permits, "companies": options.companies})
    if options.permits and not options.no_marks:
        if options.delivered:
            # What was delivered stays so: only what waits is marked, as a save marks it.
            from locations.models import Permit

            ids = list(Permit.objects.filter(plate__startswith="W").values_list("pk", flat=True))
            with transaction.atomic():
                outbox.mark(permit_ids=ids, bulk=True)
        else:
            for pk in Connection.objects.order_by("pk").values_list("pk", flat=True):
                with transaction.atomic():
                    outbox.mark_connection(connection_id=pk)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")


if __name__ == "__main__":
    main()
