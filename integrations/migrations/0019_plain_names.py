"""New names for models and fields in the code alone: tables and columns stay, since workers of before use them beside this."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    """State only; not one statement reaches the database."""

    dependencies = [("integrations", "0018_check_runs"), ("locations", "0013_two_step_of_companies")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint("registration", "registration_observed_has_an_end"),
                migrations.RemoveIndex("registration", "registration_due"),
                migrations.RemoveIndex("registration", "registration_observed"),
                migrations.RemoveIndex("pushevent", "event_evidence"),
                migrations.RenameModel("Registration", "PermitSync"),
                migrations.AlterModelTable("permitsync", "integrations_registration"),
                migrations.RenameModel("Chore", "PeriodicTask"),
                migrations.AlterModelTable("periodictask", "integrations_chore"),
                migrations.RenameModel("WorkerBeat", "WorkerHeartbeat"),
                migrations.AlterModelTable("workerheartbeat", "integrations_workerbeat"),
                migrations.RenameField("permitsync", "observed", "remote_state"),
                migrations.AlterField(
                    "permitsync", "remote_state", models.JSONField(blank=True, db_column="observed", null=True)
                ),
                migrations.RenameField("permitsync", "observed_until", "remote_until"),
                migrations.AlterField(
                    "permitsync",
                    "remote_until",
                    models.DateTimeField(blank=True, db_column="observed_until", null=True),
                ),
                migrations.RenameField("permitsync", "intent", "pending_steps"),
                migrations.AlterField(
                    "permitsync", "pending_steps", models.JSONField(blank=True, db_column="intent", null=True)
                ),
                migrations.RenameField("permitsync", "generation", "version"),
                migrations.AlterField(
                    "permitsync", "version", models.PositiveIntegerField(db_column="generation", default=1)
                ),
                migrations.RenameField("permitsync", "marked_at", "due_since"),
                migrations.AlterField("permitsync", "due_since", models.DateTimeField(db_column="marked_at")),
                migrations.RenameField("permitsync", "sessions", "session_count"),
                migrations.AlterField(
                    "permitsync", "session_count", models.PositiveIntegerField(db_column="sessions", default=0)
                ),
                migrations.AlterField(
                    "permitsync",
                    "permit",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.PROTECT,
                        related_name="permit_syncs",
                        to="locations.permit",
                    ),
                ),
                migrations.AlterField(
                    "permitsync",
                    "connection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=models.PROTECT,
                        related_name="permit_syncs",
                        to="integrations.connection",
                    ),
                ),
                migrations.RenameField("pushevent", "registration", "permit_sync"),
                migrations.AlterField(
                    "pushevent",
                    "permit_sync",
                    models.ForeignKey(
                        db_column="registration_id",
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.CASCADE,
                        related_name="events",
                        to="integrations.permitsync",
                    ),
                ),
                migrations.RenameField("pushevent", "marked_at", "due_since"),
                migrations.AlterField("pushevent", "due_since", models.DateTimeField(db_column="marked_at")),
                migrations.AddConstraint(
                    "permitsync",
                    models.CheckConstraint(
                        condition=Q(remote_state=None, remote_until=None)
                        | Q(remote_state__isnull=False, remote_until__isnull=False),
                        name="registration_observed_has_an_end",
                    ),
                ),
                migrations.AddIndex(
                    "permitsync",
                    models.Index(
                        fields=["connection", "priority", "due_since"],
                        name="registration_due",
                        condition=Q(state="due"),
                    ),
                ),
                migrations.AddIndex(
                    "permitsync",
                    models.Index(
                        fields=["connection", "remote_until"],
                        name="registration_observed",
                        condition=Q(remote_until__isnull=False),
                    ),
                ),
                migrations.AddIndex(
                    "pushevent", models.Index(fields=["permit_sync", "id"], name="event_evidence")
                ),
            ],
        ),
    ]
