"""The same change of thousands of permits, by a statement for the rows and one for their history.

The ORM's way (`bulk_update_with_history`) writes a CASE for each row and builds each row's history in Python: some seconds
for five thousand permits, for which a person waits. Here the history is copied from the rows inside the database.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection as db
from django.db.models import F

from locations.models import Permit, User


def bulk_update_permits(
    permit_ids: Sequence[int], *, now: datetime, actor: User | None, **columns: Any
) -> None:
    """Set the same `columns` in all of these permits, raise their revisions and keep their history.

    Runs in the caller's transaction, which holds the rows; at most `locations.services.BATCH_ROWS` at once.
    """
    rows = Permit.objects.filter(pk__in=permit_ids)
    rows.update(**columns, revision=F("revision") + 1, updated_at=now, updated_by=actor)
    history = Permit.history.model
    kept = [db.ops.quote_name(field.column) for field in history.tracked_fields]
    names = ", ".join([*kept, "history_date", "history_type", "history_change_reason", "history_user_id"])
    picked, parameters = (
        rows.order_by()
        .values_list(*(field.attname for field in history.tracked_fields))
        .query.sql_with_params()
    )
    table = db.ops.quote_name(history._meta.db_table)
    sql = f"INSERT INTO {table} ({names}) SELECT picked.*, %s, '~', '', %s FROM ({picked}) AS picked"  # noqa: S608 - the tables' and columns' names are the models' own
    moment = db.ops.adapt_datetimefield_value(now)
    with db.cursor() as cursor:
        cursor.execute(sql, [moment, actor.pk if actor else None, *parameters])
