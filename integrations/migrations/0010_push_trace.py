from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0009_search_in_the_admin'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='push',
            index=models.Index(fields=['trace_id'], name='push_trace', opclasses=['varchar_pattern_ops']),
        ),
    ]
