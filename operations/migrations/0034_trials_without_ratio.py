from django.db import migrations

RENAME = """
    DO $$ BEGIN
        IF EXISTS (
            SELECT FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = 'operations_trial' AND column_name = 'is_training'
        ) THEN
            ALTER TABLE operations_trial RENAME COLUMN is_training TO without_ratio;
            ALTER INDEX trial_training RENAME TO trial_without_ratio;
        END IF;
    END $$
"""


class Migration(migrations.Migration):
    """The first commits with 0025_training_trials gave its column and index other names.

    Such a database has applied that migration, so it lacked the column and dispatched no backtest. All others are unchanged.
    """

    dependencies = [("operations", "0033_artifact_inputs_by_name")]

    operations = [migrations.RunSQL(RENAME, migrations.RunSQL.noop)]
