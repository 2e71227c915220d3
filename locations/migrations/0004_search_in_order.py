"""Searching by the beginning of a plate, unit or external id walks an index in order and stops when a page is full.

With a LIKE that the planner cannot estimate, PostgreSQL walked the whole company by id instead. So plates sort by bytes
there (they hold A-Z and 0-9 alone), and units and external ids have an index on their upper case, by bytes as well; a
beginning is then a range. SQLite has no such collation and needs none: its databases are small.
"""

from django.db import migrations, models

IN_ORDER = {
    "permit_unit_in_order": '(company_id, (UPPER(unit) COLLATE "C"), id) WHERE unit <> \'\'',
    "permit_external_id_in_order": '(company_id, (UPPER(external_id) COLLATE "C"), id) WHERE external_id <> \'\'',
}


def sort_by_bytes(apps, schema_editor):
    """Give the plate its collation, and unit and external id their indexes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE locations_permit ALTER COLUMN plate TYPE varchar(12) COLLATE "C"')
        for name, definition in IN_ORDER.items():
            schema_editor.execute(f"CREATE INDEX {name} ON locations_permit {definition}")


def sort_by_language(apps, schema_editor):
    """Take that back."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute('ALTER TABLE locations_permit ALTER COLUMN plate TYPE varchar(12) COLLATE "default"')
        for name in IN_ORDER:
            schema_editor.execute(f"DROP INDEX {name}")


class Migration(migrations.Migration):

    dependencies = [
        ('locations', '0003_counts_and_history'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='permit',
            name='permit_plate',
        ),
        migrations.RunPython(sort_by_bytes, sort_by_language),
        migrations.AddIndex(
            model_name='permit',
            index=models.Index(fields=['company', 'plate', 'id'], name='permit_plate'),
        ),
    ]
