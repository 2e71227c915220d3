"""The audit log is append-only for the database too: triggers refuse to change, delete or empty it.

`docs/audit-log.md` says what this protects against and what not, and what a deployment adds whose migrations run as another
role than the application: for that role the triggers can't be switched off, and it has no right to delete at all.
Old rows go by `prune` alone, as the table's owner, and none younger than `YOUNGEST` whatever is asked for.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection as default_connection
from django.db import transaction
from django.utils import timezone

TABLE: Final = "locations_deed"
YOUNGEST: Final = timedelta(days=365)
_DAYS: Final = YOUNGEST.days

_POSTGRESQL: Final = (
    f"""
    CREATE OR REPLACE FUNCTION {TABLE}_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF OLD.at < now() - interval '{_DAYS} days'
               AND current_setting('offstreet.audit_retention', true) = 'on' THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is append-only: % is refused', TG_OP
            USING ERRCODE = 'insufficient_privilege';
    END $$
    """,
    f"""
    CREATE OR REPLACE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
        FOR EACH ROW EXECUTE FUNCTION {TABLE}_append_only()
    """,
    f"""
    CREATE OR REPLACE TRIGGER {TABLE}_not_emptied BEFORE TRUNCATE ON {TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION {TABLE}_append_only()
    """,
    # Its owner's own rights as well: what runs as the owner has to take them back first, which no query of ours does.
    f"REVOKE UPDATE, DELETE, TRUNCATE ON {TABLE} FROM CURRENT_USER, PUBLIC",
)
_POSTGRESQL_UNDONE: Final = (
    f"GRANT UPDATE, DELETE, TRUNCATE ON {TABLE} TO CURRENT_USER",
    f"DROP TRIGGER IF EXISTS {TABLE}_not_emptied ON {TABLE}",
    f"DROP TRIGGER IF EXISTS {TABLE}_append_only ON {TABLE}",
    f"DROP FUNCTION IF EXISTS {TABLE}_append_only()",
)
_SQLITE: Final = (
    f"""
    CREATE TRIGGER IF NOT EXISTS {TABLE}_not_changed BEFORE UPDATE ON {TABLE}
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: UPDATE is refused'); END
    """,
    f"""
    CREATE TRIGGER IF NOT EXISTS {TABLE}_not_deleted BEFORE DELETE ON {TABLE}
    WHEN OLD.at > datetime('now', '-{_DAYS} days')
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only: DELETE is refused'); END
    """,
)
_SQLITE_UNDONE: Final = (
    f"DROP TRIGGER IF EXISTS {TABLE}_not_changed",
    f"DROP TRIGGER IF EXISTS {TABLE}_not_deleted",
)


def install(connection: Any = default_connection) -> None:
    """Make the triggers, where they are not there yet."""
    _execute(connection, _POSTGRESQL if connection.vendor == "postgresql" else _SQLITE)


def uninstall(connection: Any = default_connection) -> None:
    """Take the triggers away: for a migration that is undone, and for a database that tests empty."""
    _execute(connection, _POSTGRESQL_UNDONE if connection.vendor == "postgresql" else _SQLITE_UNDONE)


def prune(*, before: datetime) -> int:
    """Delete what is older than `before`; return how many rows. Raises `ValueError` for a time within `YOUNGEST`.

    On PostgreSQL only the table's owner can: anybody else has no right to give themselves back.
    """
    if before > timezone.now() - YOUNGEST:
        raise ValueError(f"The audit log is kept for at least {_DAYS} days.")
    is_postgresql = default_connection.vendor == "postgresql"
    with transaction.atomic(), default_connection.cursor() as cursor:
        if is_postgresql:
            cursor.execute("SET LOCAL offstreet.audit_retention = 'on'")
            cursor.execute(f"GRANT DELETE ON {TABLE} TO CURRENT_USER")
        cursor.execute(f"DELETE FROM {TABLE} WHERE at < %s", [before])  # noqa: S608 - the table's name is ours
        gone: int = cursor.rowcount
        if is_postgresql:
            cursor.execute(f"REVOKE DELETE ON {TABLE} FROM CURRENT_USER")
    return gone


def _execute(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
