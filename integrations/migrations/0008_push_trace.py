from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0007_evidence_says_what'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['trace_id'], name='push_trace', opclasses=['varchar_pattern_ops']),
        ),
    ]
