"""What a bug, an injection or a person with a shell might try on the audit log, and how the database responds."""

from datetime import timedelta
from typing import TypedDict

from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from locations.models import AuditEvent, User
from locations.security_log import record


class Tried(TypedDict):
    """What each attempt raised ("" for nothing), whether the log is unchanged, and how many rows it has."""

    said: dict[str, str]
    same: bool
    rows: int


def as_the_owner() -> Tried:
    """Try to change and delete rows with the rights that the product's own account has."""
    now = timezone.now()
    person = User.objects.create_user("olivia@u.example", "a-long-passphrase-7")
    record("signed_in", actor=person, person=person)
    record("signed_in", actor=person, person=person)
    with connection.cursor() as cursor:
        insert = "INSERT INTO locations_deed (kind, at, thing, params) VALUES ('x', %s, '', '{}')"
        cursor.executemany(insert, [[now - timedelta(days=days)] for days in (800, 400)])
    before = list(AuditEvent.objects.order_by("pk").values_list("pk", "kind"))
    said: dict[str, str] = {}
    for name, sql in {
        "update": "UPDATE locations_deed SET kind = 'nothing'",
        "update one column": "UPDATE locations_deed SET actor_id = NULL",
        "delete": "DELETE FROM locations_deed WHERE kind = 'signed_in'",
        "delete all": "DELETE FROM locations_deed",
        "delete the person": "DELETE FROM locations_user",
        **(
            {
                "truncate": "TRUNCATE locations_deed",
                "delete with the setting": "SET LOCAL offstreet.audit_retention = 'on'; DELETE FROM locations_deed",
            }
            if connection.vendor == "postgresql"
            else {}
        ),
    }.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql)
                cursor.execute("SELECT 1")
        except DatabaseError as error:
            said[name] = str(error)
        else:
            said[name] = ""
    after = list(AuditEvent.objects.order_by("pk").values_list("pk", "kind"))
    return {"said": said, "same": before == after, "rows": len(after)}


def as_an_account_with_fewer_rights() -> dict[str, str]:
    """The same on PostgreSQL, as an account that may only add rows; "" where the database allowed it."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE app LOGIN PASSWORD 'x'")
        cursor.execute("GRANT USAGE ON SCHEMA public TO app")
        cursor.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app")
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app")
        cursor.execute("REVOKE UPDATE, DELETE, TRUNCATE ON locations_deed FROM app")
        said: dict[str, str] = {}
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
            except DatabaseError as error:
                said[name] = str(error)
            else:
                said[name] = ""
            cursor.execute("RESET ROLE")
    return said
