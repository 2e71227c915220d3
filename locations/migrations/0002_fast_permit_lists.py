"""Indexes for lists over a million permits, and one on the history: which permit had this plate at that time.

The last cannot stand in the models, since django-simple-history makes its own Meta.
"""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('locations', '0001_initial'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='permit',
            name='permit_unit',
        ),
        migrations.AlterField(
            model_name='permit',
            name='company',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='permits', to='locations.company'),
        ),
        migrations.AlterField(
            model_name='permit',
            name='location',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='permits', to='locations.location'),
        ),
        migrations.AddIndex(
            model_name='permit',
            index=models.Index(fields=['location', '-id'], name='permit_list_of_location'),
        ),
        migrations.AddIndex(
            model_name='permit',
            index=models.Index(fields=['company', 'subdivision', '-id'], name='permit_list_of_state'),
        ),
        migrations.AddIndex(
            model_name='permit',
            index=models.Index(condition=models.Q(('type', ''), _negated=True), fields=['company', 'type', '-id'], name='permit_list_of_type'),
        ),
        migrations.RunSQL(
            "CREATE INDEX permit_history_plate ON locations_historicalpermit (company_id, plate)",
            "DROP INDEX permit_history_plate",
        ),
    ]
