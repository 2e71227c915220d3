"""What a breaker is of, as columns: a connection or a vendor. The key stays, since workers from before look rows up by it."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):

    dependencies = [("integrations", "0019_plain_names")]

    operations = [
        migrations.AddField(
            "breaker",
            "connection",
            models.OneToOneField(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="breaker",
                to="integrations.connection",
            ),
        ),
        migrations.AddField(
            "breaker", "vendor", models.CharField(blank=True, max_length=20, null=True, unique=True)
        ),
        migrations.AddConstraint(
            "breaker",
            models.CheckConstraint(
                condition=Q(connection=None) | Q(vendor=None), name="breaker_of_a_connection_or_a_vendor"
            ),
        ),
    ]
