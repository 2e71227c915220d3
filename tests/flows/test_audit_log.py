"""Nobody changes what was done: not the application, not its SQL, on either database, as the migrations leave it."""

import json

import pytest

from tests import servers

# What a bug, an injection or a person with a shell might try. Each is told with the database's own answer.
CODE = """
import json
from datetime import timedelta
from django.db import connection, transaction
from django.utils import timezone
from locations import append_only
from locations.models import AuditEvent, User
from locations.security_log import record

now = timezone.now()
person = User.objects.create_user("olivia@u.example", "a-long-passphrase-7")
record("signed_in", actor=person, person=person)
old = record("signed_in", actor=person, person=person)
with connection.cursor() as cursor:
    insert = "INSERT INTO locations_deed (kind, at, thing, params) VALUES ('x', %s, '', '{}')"
    cursor.executemany(insert, [[now - timedelta(days=days)] for days in (800, 400)])
before = list(AuditEvent.objects.order_by("pk").values_list("pk", "kind"))
said = {}
for name, sql in {
    "update": "UPDATE locations_deed SET kind = 'nothing'",
    "update one column": "UPDATE locations_deed SET actor_id = NULL",
    "delete": "DELETE FROM locations_deed WHERE kind = 'signed_in'",
    "delete all": "DELETE FROM locations_deed",
    "delete the person": "DELETE FROM locations_user",
    **({
        "truncate": "TRUNCATE locations_deed",
        "delete with the setting": "SET LOCAL offstreet.audit_retention = 'on'; DELETE FROM locations_deed",
    } if connection.vendor == "postgresql" else {}),
}.items():
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
            cursor.execute("SELECT 1")
    except Exception as error:
        said[name] = str(error)
    else:
        said[name] = ""
after = list(AuditEvent.objects.order_by("pk").values_list("pk", "kind"))
print(json.dumps({"said": said, "same": before == after, "rows": len(after)}))
"""
LIMITED = """
import json
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE ROLE app LOGIN PASSWORD 'x'")
    cursor.execute("GRANT USAGE ON SCHEMA public TO app")
    cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app")
    cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app")
    cursor.execute("REVOKE UPDATE, DELETE, TRUNCATE ON locations_deed FROM app")
    said = {}
    for name, sql in {
        "insert": "INSERT INTO locations_deed (kind, at, thing, params) VALUES ('y', now(), '', '{}')",
        "update": "UPDATE locations_deed SET kind = 'nothing'",
        "delete": "DELETE FROM locations_deed",
        "truncate": "TRUNCATE locations_deed",
        "grant and delete": "GRANT DELETE ON locations_deed TO app; DELETE FROM locations_deed",
        "disable": "ALTER TABLE locations_deed DISABLE TRIGGER ALL",
        "replace": "DROP FUNCTION locations_deed_append_only() CASCADE",
        "drop": "DROP TABLE locations_deed",
    }.items():
        cursor.execute("SET ROLE app")
        try:
            cursor.execute(sql)
        except Exception as error:
            said[name] = str(error)
        else:
            said[name] = ""
        cursor.execute("RESET ROLE")
print(json.dumps(said))
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_rows_are_only_added_and_go_by_retention_alone(backend: str) -> None:
    with servers.running_stack(backend) as stack:
        told = json.loads(stack.shell(CODE).strip().splitlines()[-1])
        for name, words in told["said"].items():
            if name == "delete the person":
                assert "foreign key" in words.lower(), words
            else:
                assert "append-only" in words or "permission denied" in words, (name, words)
        assert told["same"]

        refused = stack.try_manage("audit_log", "prune", "--older-than-days", "30")
        assert refused.returncode != 0
        assert "at least 365 days" in refused.stderr
        assert stack.manage("audit_log", "prune", "--older-than-days", "700").startswith("Deleted 1 rows")
        (left,) = stack.query("SELECT count(*) AS n FROM locations_deed")
        assert left["n"] == told["rows"] - 1
        export = stack.manage("audit_log", "export")
        assert export.startswith("time (UTC),event,who")
        assert export.count("signed_in,olivia@u.example") == 2
        if backend == servers.POSTGRES:
            said = json.loads(stack.shell(LIMITED).strip().splitlines()[-1])
            assert said.pop("insert") == ""
            assert [
                name for name, words in said.items() if not ("denied" in words or "must be owner" in words)
            ] == []
