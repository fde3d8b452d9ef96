from django.db import migrations, models

COUNT_TRAININGS = r"""
    INSERT INTO operations_trial (symbol, timeframe, settings_sha256, without_ratio)
    SELECT * FROM (
        SELECT DISTINCT symbol,
               CASE WHEN jsonb_typeof(parameters -> 'timeframes') = 'array' AND parameters -> 'timeframes' ->> 1 IS NULL
                    THEN parameters -> 'timeframes' ->> 0
                    ELSE substring(parameters ->> 'strategy_yaml'
                                   from 'base_timeframe["'']?\s*:\s*["'']?([0-9]+[A-Za-z]+)')
               END AS timeframe,
               encode(sha256(convert_to((
                   SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(parameters - 'device')
                   WHERE value IS DISTINCT FROM '{"seed": 42}'::jsonb -> key
               )::text, 'UTF8')), 'hex'), TRUE
        FROM operations_operation, jsonb_array_elements_text(
            CASE WHEN jsonb_typeof(parameters -> 'symbols') = 'array' THEN parameters -> 'symbols' ELSE '[]' END
        ) AS symbol
        WHERE operation_type = 'training' AND status = 'COMPLETED'
              AND jsonb_path_exists(result, '$.metrics.test.* ? (@.type() == "number")')
    ) AS training
    WHERE length(symbol) <= 64 AND length(timeframe) <= 8 ON CONFLICT DO NOTHING
"""
"""Without those whose base timeframe cannot be read: a migration does not parse strategies."""


class Migration(migrations.Migration):
    """Trainings whose test figures could be seen are trials."""

    dependencies = [("operations", "0024_charts")]

    operations = [
        migrations.AddField(
            model_name="trial",
            name="without_ratio",
            field=models.BooleanField(db_default=False, default=False, help_text="its figures have no Sharpe ratio"),
        ),
        migrations.AddIndex(
            model_name="trial",
            index=models.Index(
                condition=models.Q(("without_ratio", True)), fields=["symbol", "timeframe"], name="trial_without_ratio"
            ),
        ),
        migrations.RunSQL(COUNT_TRAININGS, migrations.RunSQL.noop),
    ]
