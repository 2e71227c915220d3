"""A new name for the audit log's model in the code alone: its table stays."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """State only; not one statement reaches the database."""

    dependencies = [("locations", "0013_two_step_of_companies")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RenameModel("Deed", "AuditEvent"),
                migrations.AlterModelTable("auditevent", "locations_deed"),
                migrations.AlterField(
                    "auditevent",
                    "company",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="audit_events",
                        to="locations.company",
                    ),
                ),
            ],
        ),
    ]
