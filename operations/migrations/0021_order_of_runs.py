from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0020_trial_sharpe'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='operation',
            name='operation_by_type',
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True)), fields=['operation_type', '-created_at'], include=('operation_id', 'archived_at'), name='operation_by_type'),
        ),
        # Settings and curves go to a side table: sorting runs then reads 1 MB of numbers instead of 10 MB for 10,000 runs.
        migrations.RunSQL(
            "ALTER TABLE operations_runmetrics SET (toast_tuple_target = 128)",
            "ALTER TABLE operations_runmetrics RESET (toast_tuple_target)",
        ),
    ]
