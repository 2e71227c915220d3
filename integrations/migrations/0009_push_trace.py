from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0008_evidence_without_checks'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['trace_id'], name='push_trace', opclasses=['varchar_pattern_ops']),
        ),
    ]
