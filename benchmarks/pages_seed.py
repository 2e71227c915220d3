"""The database that the pages are measured on: a million permits of a thousand companies, made by `generate_series`.

One company is large (a tenth of all permits, 10,000 zones, 1,000 locations); the others share the rest. Most
permits were accepted long ago; some are refused, some wait, a few companies are still being set up. Saving them
one by one would take an hour, so this is SQL; what it writes is what the product would have written.
"""

from collections.abc import Mapping

from django.db import connection

BIG_SHARE = 10
STATEMENTS: Mapping[str, str] = {
    "companies": """
        INSERT INTO locations_company (name, slug, offstreet_id, created_at)
        SELECT 'Company ' || n, 'company-' || n, 'B-' || n, now() - interval '1 year' FROM generate_series(1, %(companies)s) n
    """,
    "connections": """
        INSERT INTO integrations_connection (company_id, vendor, name, label, key, operator_id, status, status_since,
            status_reason, live_since, created_at, contact_unknown, request_text, operator_id_finding, zones_pulled_at,
            operator_confirmed_at)
        SELECT id, 'passport', 'PASSPORTCOMPANY' || id, '', lpad(id::text, 8, '0'), lpad(id::text, 8, '0')
            || '-0000-4000-8000-000000000000',
            CASE WHEN id %% 30 = 7 THEN 'setup' WHEN id %% 50 = 9 THEN 'paused' ELSE 'live' END,
            now() - interval '200 days', '', CASE WHEN id %% 30 = 7 THEN NULL ELSE now() - interval '200 days' END,
            now() - interval '1 year', false, '', 'ok', now() - interval '5 hours',
            now() - interval '200 days'
        FROM locations_company
    """,
    "zones": """
        INSERT INTO integrations_zone (connection_id, remote_id, number, name, session_type, raw, first_seen_at, changed_at,
            missing_since)
        SELECT c.id, gen_random_uuid()::text, 'Z' || lpad(n::text, 5, '0'), 'Place ' || n, 'vehicle',
            '{"settings": {"grace_time": 5}}'::jsonb, now() - interval '300 days', now() - interval '9 days',
            CASE WHEN n %% 200 = 199 THEN now() - interval '2 days' END
        FROM integrations_connection c, LATERAL generate_series(1, CASE WHEN c.id = 1 THEN %(zones)s ELSE 10 END) n
    """,
    "locations": """
        INSERT INTO locations_location (company_id, name, external_id, timezone, active, created_at)
        SELECT c.id, 'Lot ' || n, '', 'America/New_York', true, now() - interval '300 days'
        FROM locations_company c, LATERAL generate_series(1, CASE WHEN c.id = 1 THEN 1000 ELSE 10 END) n
    """,
    "mappings": """
        INSERT INTO integrations_zonemapping (location_id, zone_id, mapped_at)
        SELECT l.id, z.id, now() - interval '250 days'
        FROM (SELECT id, company_id, row_number() OVER (PARTITION BY company_id ORDER BY id) AS place
              FROM locations_location) l
        JOIN integrations_connection c ON c.company_id = l.company_id
        JOIN integrations_zone z ON z.connection_id = c.id AND z.number = 'Z' || lpad(l.place::text, 5, '0')
        WHERE l.id %% 20 <> 3
    """,
    "places": """
        CREATE TEMPORARY TABLE bench_place AS
        SELECT id, company_id, company_id = 1 AS big,
            row_number() OVER (PARTITION BY company_id = 1 ORDER BY id) - 1 AS place FROM locations_location
    """,
    "permits": """
        INSERT INTO locations_permit (company_id, location_id, plate_typed, plate, country, subdivision, start, "end",
            space_number, type, unit, external_id, source, is_test, revision, status, created_at, updated_at, cancelled_at)
        SELECT l.company_id, l.id, x.plate, x.plate, 'US', (ARRAY['US-NC', 'US-NY', 'US-VA', 'US-TX'])[1 + x.n %% 4],
            x.begins, x.begins + interval '30 days', '', (ARRAY['resident', 'visitor', 'staff'])[1 + x.n %% 3],
            'A-' || x.n %% 900, 'E-' || x.n, 'import', false, 1, x.status, x.saved, x.saved,
            CASE WHEN x.status = 'cancelled' THEN x.saved + interval '1 day' END
        FROM (
            SELECT n, n %% %(big_share)s = 0 AS big,
                n / %(big_share)s %% CASE WHEN n %% %(big_share)s = 0 THEN 1000 ELSE %(companies)s * 10 - 10 END AS place,
                chr(65 + (n %% 26)::int) || chr(65 + (n / 26 %% 26)::int) || lpad((n %% 9999)::text, 4, '0')
                    || n / 9999 AS plate,
                now() - (n * 7919 %% 60 - 6) * interval '1 day' - n %% 86400 * interval '1 second' AS begins,
                now() - (n * 7919 %% 60 + 1) * interval '1 day' AS saved,
                CASE WHEN n %% 20 = 11 THEN 'cancelled' ELSE 'active' END AS status
            FROM generate_series(1::bigint, %(permits)s::bigint) n
        ) x JOIN bench_place l ON l.big = x.big AND l.place = x.place
    """,
    "history": """
        INSERT INTO locations_historicalpermit (id, company_id, location_id, plate_typed, plate, country, subdivision, start,
            "end", space_number, type, unit, external_id, source, is_test, revision, status, created_at, updated_at,
            cancelled_at, history_date, history_type, history_user_id)
        SELECT id, company_id, location_id, plate_typed, plate, country, subdivision, start, "end", space_number, type, unit,
            external_id, source, is_test, revision, status, created_at, updated_at, cancelled_at, created_at, '+',
            (SELECT min(id) FROM locations_user) FROM locations_permit WHERE id %% 4 = 0
    """,
    "registrations": """
        INSERT INTO integrations_registration (permit_id, connection_id, state, priority, generation, marked_at,
            next_attempt_at, tried_at, attempts, sessions, observed, observed_until, accepted_at, accepted_revision,
            error_kind, error_code, error, remedy, error_since)
        SELECT p.id, c.id, x.state, 3, 1, p.created_at, p.created_at, p.created_at, 0, 1,
            CASE WHEN x.state = 'done' THEN jsonb_build_object('session_id', 'os-' || c.key || '-' || p.id || '-1', 'plate',
                p.plate, 'subdivision', p.subdivision, 'zone_id', z.remote_id) END,
            CASE WHEN x.state = 'done' THEN p."end" END, CASE WHEN x.state = 'done' THEN p.created_at END, 1,
            CASE WHEN x.state = 'refused' THEN 'record' ELSE '' END,
            CASE WHEN x.state = 'refused' THEN 'io.passportlabs:error:vehicle_state' ELSE '' END,
            CASE WHEN x.state = 'refused' THEN 'Passport does not know the state.' ELSE '' END,
            CASE WHEN x.state = 'refused' THEN 'Correct the state.' ELSE '' END,
            CASE WHEN x.state = 'refused' THEN p.created_at END
        FROM locations_permit p JOIN integrations_zonemapping m ON m.location_id = p.location_id
        JOIN integrations_zone z ON z.id = m.zone_id JOIN integrations_connection c ON c.id = z.connection_id
        CROSS JOIN LATERAL (SELECT CASE WHEN c.status = 'setup' THEN 'due' WHEN p.id %% 1000 = 17 THEN 'refused'
            WHEN p.id %% 2000 = 29 THEN 'due' ELSE 'done' END AS state) x
    """,
    "pushes": """
        INSERT INTO integrations_push (connection_id, kind, events, accepted, sent_at, answered_at, trace_id, status, outcome,
            error_code, error)
        SELECT 1 + (CASE WHEN n %% %(big_share)s = 0 THEN 0 ELSE n %% %(companies)s END),
            (ARRAY['started', 'extended', 'stopped'])[1 + n %% 3], 5, CASE WHEN n %% 90 = 5 THEN 0 ELSE 5 END, x.at,
            x.at + interval '120 milliseconds', md5(n::text), CASE WHEN n %% 90 = 5 THEN 503 ELSE 202 END,
            CASE WHEN n %% 90 = 5 THEN 'later' ELSE 'accepted' END, CASE WHEN n %% 90 = 5 THEN 'http_503' ELSE '' END,
            CASE WHEN n %% 90 = 5 THEN 'Passport answered 503.' ELSE '' END
        FROM generate_series(1, %(permits)s / 5) n
        CROSS JOIN LATERAL (SELECT now() - n * (interval '30 days' / (%(permits)s / 5)) AS at) x
    """,
    "events": """
        INSERT INTO integrations_pushevent (registration_id, push_id, kind, session_id, marked_at, result, error_code, error)
        SELECT r.id, 1 + r.id %% (SELECT max(id) FROM integrations_push), 'started', 'os-' || r.id || '-1', r.marked_at,
            'accepted', '', '' FROM integrations_registration r WHERE r.id %% 2 = 0
    """,
    "hours": """
        INSERT INTO integrations_pushhour (connection_id, hour, accepted, refused, latencies)
        SELECT c.id, h.hour, 40 + coalesce(c.id, 0) %% 20, coalesce(c.id, 0) %% 3,
            '[0,2,5,9,9,4,3,2,1,1,1,1,1,1,0,0,0,0,0,0,0]'::jsonb
        FROM generate_series(date_trunc('hour', now()) - interval '30 days', now(), interval '1 hour') h(hour)
        CROSS JOIN (SELECT id FROM integrations_connection UNION ALL SELECT NULL) c WHERE c.id IS NULL OR c.id %% 3 > 0
    """,
    "refreshes": """
        INSERT INTO integrations_zonerefresh (connection_id, started_at, finished_at, outcome, trigger, zones_listed, found,
            error, remedy)
        SELECT c.id, now() - n * interval '1 day', now() - n * interval '1 day', 'done', 'daily', 10,
            '{"counts": {"added": 0}}'::jsonb, '', '' FROM integrations_connection c, generate_series(1, 30) n
    """,
}


def fill(*, permits: int, companies: int, zones: int) -> None:
    """Fill a migrated, empty database that has at least one user, and bring its statistics up to date."""
    values = {"permits": permits, "companies": companies, "zones": zones, "big_share": BIG_SHARE}
    with connection.cursor() as cursor:
        for statement in STATEMENTS.values():
            cursor.execute(statement, values)
        cursor.execute("VACUUM (ANALYZE)")
