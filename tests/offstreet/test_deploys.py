"""Old and new code side by side: what a migration may do while workers of the previous version use the same tables.

A deploy migrates first and replaces the processes one by one. During that time, code that doesn't know a new column
inserts rows without it, and reads what it has always read. So a migration only adds, and the database gives a default to
what it adds.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader

APPS = ("integrations", "locations", "passport")
TAKES_AWAY = (
    operations.RemoveField,
    operations.RenameField,
    operations.DeleteModel,
    operations.RenameModel,
    operations.AlterModelTable,
)


def later_migrations() -> Iterator[Migration]:
    """Yield the migrations that may run on a database in use; the first of each app create its tables."""
    loader = MigrationLoader(None)
    for (app, name), migration in sorted(loader.disk_migrations.items()):
        if app in APPS and not name.endswith("_initial"):
            yield migration


def breaks_old_code(operation: operations.base.Operation) -> bool:
    """Whether code from before an operation would fail to read or write."""
    if isinstance(operation, operations.SeparateDatabaseAndState):
        return any(map(breaks_old_code, operation.database_operations))
    if isinstance(operation, operations.AddField):
        return not (operation.field.null or operation.field.has_db_default())
    return isinstance(operation, TAKES_AWAY)


@pytest.mark.parametrize("migration", list(later_migrations()), ids=str)
def test_a_worker_from_before_a_migration_keeps_reading_and_writing_after_it(migration: Migration) -> None:
    assert [one.describe() for one in migration.operations if breaks_old_code(one)] == []


def test_the_rule_finds_what_would_stop_a_worker_of_before() -> None:
    def adding(**rest: Any) -> operations.AddField:
        return operations.AddField("pushevent", "place", models.CharField(max_length=5, **rest))

    assert breaks_old_code(adding(default=""))
    assert not breaks_old_code(adding(default="", db_default=""))
    assert not breaks_old_code(adding(null=True))
    assert breaks_old_code(operations.RemoveField("pushevent", "plate"))
