"""Search text, the strategy of a run, and the indexes of lists: derived data that the database keeps itself."""

import django.contrib.postgres.indexes
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# COST makes the planner compare the text first and compute trigrams only for an index.
FUNCTIONS = r"""
CREATE FUNCTION operations_trigrams(value text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT coalesce(array_agg(DISTINCT substr(value, start, 3)), '{}')
    FROM generate_series(1, length(value) - 2) AS start
$$;

-- Also the words that are too short for a trigram. It calls no function of ours, because PostgreSQL builds and analyzes an
-- index with a search path that finds only its own.
CREATE FUNCTION operations_grams(value text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS $$
    SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
        SELECT substr(value, start, 3) FROM generate_series(1, length(value) - 2) AS start
        UNION ALL
        SELECT word FROM regexp_split_to_table(value, '\W+') AS word WHERE length(word) BETWEEN 1 AND 2
    ) AS grams(gram)
$$;

CREATE FUNCTION operations_search_text(id text, type text, parameters jsonb, strategy_name text, error text)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(concat_ws(' ', id, type, strategy_name, left(error, 300), (
        SELECT left(string_agg(leaf #>> '{}', ' '), 1000) FROM jsonb_path_query(
            CASE jsonb_typeof(parameters) WHEN 'object' THEN parameters - 'strategy_yaml' END,
            'strict $.** ? (@.type() == "string" || @.type() == "number")'
        ) AS leaf
    )))
$$;

CREATE FUNCTION operations_set_strategy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.strategy := coalesce(
        NEW.strategy,
        md5(NEW.parameters ->> 'strategy_yaml'),
        (SELECT strategy FROM operations_operation WHERE operation_id = NEW.parameters ->> 'model')
    );
    RETURN NEW;
END
$$;

CREATE FUNCTION operations_store_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO operations_searchtext AS stored (operation_id, text)
    VALUES (NEW.operation_id, operations_search_text(
        NEW.operation_id, NEW.operation_type, NEW.parameters, NEW.strategy_name, NEW.error_message))
    ON CONFLICT (operation_id) DO UPDATE SET text = EXCLUDED.text WHERE stored.text <> EXCLUDED.text;
    RETURN NULL;
END
$$;
"""
DROP_FUNCTIONS = """
DROP FUNCTION operations_store_search_text();
DROP FUNCTION operations_set_strategy();
DROP FUNCTION operations_search_text(text, text, jsonb, text, text);
DROP FUNCTION operations_grams(text);
DROP FUNCTION operations_trigrams(text);
"""

FILL = """
UPDATE operations_operation SET strategy = strategy_digest WHERE strategy_digest IS NOT NULL;
UPDATE operations_operation AS run SET strategy = training.strategy
FROM operations_operation AS training
WHERE run.strategy IS NULL AND training.operation_id = run.parameters ->> 'model' AND training.strategy IS NOT NULL;
INSERT INTO operations_searchtext (operation_id, text)
SELECT operation_id, operations_search_text(operation_id, operation_type, parameters, strategy_name, error_message)
FROM operations_operation;
-- An index cannot be created while checks of foreign keys are pending.
SET CONSTRAINTS ALL IMMEDIATE;
SET CONSTRAINTS ALL DEFERRED;
"""

TRIGGERS = """
CREATE TRIGGER operations_set_strategy BEFORE INSERT ON operations_operation
FOR EACH ROW EXECUTE FUNCTION operations_set_strategy();
CREATE TRIGGER operations_store_search_text
AFTER INSERT OR UPDATE OF parameters, error_message ON operations_operation
FOR EACH ROW EXECUTE FUNCTION operations_store_search_text();
"""
DROP_TRIGGERS = """
DROP TRIGGER operations_store_search_text ON operations_operation;
DROP TRIGGER operations_set_strategy ON operations_operation;
"""


class Migration(migrations.Migration):
    dependencies = [
        ('operations', '0008_batch'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        migrations.CreateModel(
            name="SearchText",
            fields=[
                (
                    "operation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="search_text",
                        serialize=False,
                        to="operations.operation",
                    ),
                ),
                ("text", models.TextField()),
            ],
        ),
        migrations.AddField(
            model_name="operation",
            name="strategy",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="digest of its strategy, or of the one whose model it uses; set by a trigger in the database",
                max_length=32,
                null=True,
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(TRIGGERS, DROP_TRIGGERS),
        migrations.AddIndex(
            model_name="searchtext",
            index=django.contrib.postgres.indexes.GinIndex(
                models.Func(models.F("text"), function="operations_grams"), name="search_text_grams"
            ),
        ),
        migrations.RemoveIndex(model_name="operation", name="operation_by_strategy"),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                condition=models.Q(("strategy__isnull", False)),
                fields=["strategy", "-created_at"],
                name="operation_of_strategy",
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                models.F("strategy"),
                models.OrderBy(models.F("result__metrics__total_return"), descending=True),
                condition=models.Q(("status", "COMPLETED"), ("strategy__isnull", False)),
                name="operation_best_return",
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="created_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                fields=["created_by", "-created_at", "-operation_id"], name="operation_by_user"
            ),
        ),
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                models.OrderBy(models.F("completed_at"), descending=True, nulls_last=True),
                models.F("status"),
                name="operation_newest_end",
            ),
        ),
        migrations.AddIndex(
            model_name="attempt", index=models.Index(fields=["claimed_at"], name="attempt_claimed")
        ),
    ]
