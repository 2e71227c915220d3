"""Indexes for lists and searches over a million permits.

Two kinds cannot stand in the models: PostgreSQL's pattern classes over an expression (search by unit or external id in
any case), and an index on the history's table (which permit had this plate at that time). On SQLite the first kind is
left out: it cannot use an index there, and its databases are small.
"""

import django.db.models.deletion
from django.db import migrations, models

PATTERN_INDEXES = {
    "permit_unit_pattern": "(company_id, UPPER(unit) text_pattern_ops) WHERE unit <> ''",
    "permit_external_id_pattern": "(company_id, UPPER(external_id) text_pattern_ops) WHERE external_id <> ''",
}


def add_pattern_indexes(apps, schema_editor):
    """Add what serves `UPPER(unit) LIKE 'A%'`."""
    if schema_editor.connection.vendor == "postgresql":
        for name, definition in PATTERN_INDEXES.items():
            schema_editor.execute(f"CREATE INDEX {name} ON locations_permit {definition}")


def drop_pattern_indexes(apps, schema_editor):
    """Take them away again."""
    if schema_editor.connection.vendor == "postgresql":
        for name in PATTERN_INDEXES:
            schema_editor.execute(f"DROP INDEX {name}")


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
        migrations.RunPython(add_pattern_indexes, drop_pattern_indexes),
        migrations.RunSQL(
            "CREATE INDEX permit_history_plate ON locations_historicalpermit (company_id, plate)",
            "DROP INDEX permit_history_plate",
        ),
    ]
