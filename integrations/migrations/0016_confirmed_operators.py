"""What was live had its operator ID confirmed by everything that happened before: a test plate seen, or support's word.

Connections that were never live wait for support from now on, whoever set them up.
"""

from typing import Any

from django.db import migrations, models
from django.db.models.functions import Coalesce, Now


def confirm_what_was_live(apps: Any, schema_editor: Any) -> None:
    """Confirm the operator IDs of the connections that are or were live."""
    connections = apps.get_model("integrations", "Connection").objects.using(schema_editor.connection.alias)
    was_live = models.Q(live_since__isnull=False) | models.Q(status__in=["live", "paused"])
    connections.filter(was_live).exclude(operator_id="").update(
        operator_confirmed_at=Coalesce("live_since", Now()),
        operator_confirmed_how="It was live before operator IDs had to be confirmed.",
    )


class Migration(migrations.Migration):

    dependencies = [
        ("integrations", "0015_operator_claims"),
    ]

    operations = [
        migrations.RunPython(confirm_what_was_live, migrations.RunPython.noop),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['live', 'paused']), _negated=True), ('operator_confirmed_at__isnull', False), _connector='OR'), name='live_has_a_confirmed_operator'),
        ),
        migrations.AddConstraint(
            model_name='connection',
            constraint=models.CheckConstraint(condition=models.Q(('operator_confirmed_at__isnull', True), models.Q(('operator_id', ''), _negated=True), _connector='OR'), name='confirmed_has_an_operator_id'),
        ),
    ]
