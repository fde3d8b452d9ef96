"""Each change of an operation's status writes an entry into most indexes of its row: keep those that statements use."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Django adds it to every key of text, for searches by the beginning. The primary key serves the others.
BY_BEGINNING = "operations_operation_operation_id_299178a5_like"
DROP_BY_BEGINNING = f"DROP INDEX IF EXISTS {BY_BEGINNING}"
ADD_BY_BEGINNING = (
    f"CREATE INDEX IF NOT EXISTS {BY_BEGINNING} ON operations_operation (operation_id varchar_pattern_ops)"
)
TRIGGER = """
    DROP TRIGGER operations_set_strategy ON operations_operation;
    CREATE TRIGGER operations_set_strategy BEFORE INSERT ON operations_operation
    FOR EACH ROW {when} EXECUTE FUNCTION operations_set_strategy();
"""
WITH_A_STRATEGY = "WHEN (NEW.parameters ?| array['strategy_yaml', 'model'])"


class Migration(migrations.Migration):
    # One table after the other: a transaction that locks several closes a cycle with the reports of running workers.
    atomic = False

    dependencies = [
        ('operations', '0034_trials_without_ratio'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(DROP_BY_BEGINNING, ADD_BY_BEGINNING),
        migrations.RunSQL(TRIGGER.format(when=WITH_A_STRATEGY), TRIGGER.format(when="")),
        migrations.AlterField(
            model_name='attempt',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='awaitedinput',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='awaited_inputs', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='checkpoint',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='checkpoints', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='event',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='event',
            name='user',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='logline',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='log_lines', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='metricpoint',
            name='operation',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='metric_points', to='operations.operation'),
        ),
        migrations.AlterField(
            model_name='operation',
            name='cloned_from',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='clones', to='operations.operation'),
        ),
        migrations.AddIndex(
            model_name='event',
            index=models.Index(condition=models.Q(('user__isnull', False)), fields=['user'], name='event_of_user'),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('cloned_from__isnull', False)), fields=['cloned_from'], name='operation_clones'),
        ),
    ]
