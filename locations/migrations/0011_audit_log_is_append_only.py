"""The database refuses to change or delete a row of the audit log; see `locations.append_only` and docs/audit-log.md."""

from django.db import migrations

from locations import append_only


def install(apps, schema_editor):
    append_only.install(schema_editor.connection)


def uninstall(apps, schema_editor):
    append_only.uninstall(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('locations', '0010_security_log'),
    ]

    operations = [
        migrations.RunPython(install, uninstall),
    ]
