"""Each claim and each end writes the row of its worker, with an entry in all indexes: there are too few workers to need them."""

import django.db.models.deletion
from django.db import migrations, models


# Django adds it to every key of text, for searches by the beginning.
BY_BEGINNING = "registry_worker_worker_id_c606a7bb_like"
DROP_BY_BEGINNING = f"DROP INDEX IF EXISTS {BY_BEGINNING}"
ADD_BY_BEGINNING = f"CREATE INDEX IF NOT EXISTS {BY_BEGINNING} ON registry_worker (worker_id varchar_pattern_ops)"


class Migration(migrations.Migration):

    dependencies = [
        ('registry', '0012_result_schema'),
    ]

    operations = [
        migrations.RunSQL(DROP_BY_BEGINNING, ADD_BY_BEGINNING),
        migrations.AlterField(
            model_name='worker',
            name='enrolled_with',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='workers', to='registry.enrolmenttoken'),
        ),
        migrations.AlterField(
            model_name='worker',
            name='worker_type',
            field=models.CharField(max_length=128),
        ),
    ]
