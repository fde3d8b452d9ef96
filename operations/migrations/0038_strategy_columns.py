"""Compute the columns about strategy and symbols once, when the row is inserted.

Every statement that writes a row reads the expressions of all generated columns again, also of those that it does not
change. The stored values remain, and the table is not rewritten. No code changes these parameters after the insertion.
"""

from django.db import migrations, models

FUNCTION = """
CREATE OR REPLACE FUNCTION operations_set_strategy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {columns}
    NEW.strategy := coalesce(
        NEW.strategy,
        md5(NEW.parameters ->> 'strategy_yaml'),
        (SELECT strategy FROM operations_operation WHERE operation_id = NEW.parameters ->> 'model')
    );
    RETURN NEW;
END
$$;
"""
TRIGGER = """
DROP TRIGGER operations_set_strategy ON operations_operation;
CREATE TRIGGER operations_set_strategy BEFORE INSERT ON operations_operation
FOR EACH ROW WHEN (NEW.parameters ?| array[{names}]) EXECUTE FUNCTION operations_set_strategy();
"""
DIGEST = "md5({row}parameters ->> 'strategy_yaml')"
NAME = r"""substring({row}parameters ->> 'strategy_yaml', '(?n)^name:[ \t]*["'']?([^"''#\n]{{0,79}}[^"''#\s])')"""
SYMBOLS = "coalesce({row}parameters ->> 'symbol', '') || ' ' || coalesce({row}parameters ->> 'symbols', '')"
COLUMNS = f"""NEW.strategy_digest := {DIGEST.format(row="NEW.")};
    NEW.strategy_name := {NAME.format(row="NEW.")};
    NEW.symbols := {SYMBOLS.format(row="NEW.")};"""
PLAIN = f"""
ALTER TABLE operations_operation
    ALTER COLUMN strategy_digest DROP EXPRESSION,
    ALTER COLUMN strategy_name DROP EXPRESSION,
    ALTER COLUMN symbols DROP EXPRESSION,
    ALTER COLUMN symbols SET DEFAULT '';
{FUNCTION.format(columns=COLUMNS)}
{TRIGGER.format(names="'strategy_yaml', 'model', 'symbol', 'symbols'")}
"""
GENERATED = f"""
ALTER TABLE operations_operation
    DROP COLUMN strategy_digest, DROP COLUMN strategy_name, DROP COLUMN symbols,
    ADD COLUMN strategy_digest varchar(32) GENERATED ALWAYS AS ({DIGEST.format(row="")}) STORED,
    ADD COLUMN strategy_name text GENERATED ALWAYS AS ({NAME.format(row="")}) STORED,
    ADD COLUMN symbols text NOT NULL GENERATED ALWAYS AS ({SYMBOLS.format(row="")}) STORED;
{FUNCTION.format(columns="")}
{TRIGGER.format(names="'strategy_yaml', 'model'")}
"""


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0037_status_fits_end'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            [migrations.RunSQL(PLAIN, GENERATED)],
            [
                migrations.AlterField(
                    model_name='operation',
                    name='strategy_digest',
                    field=models.CharField(blank=True, editable=False, help_text='digest of its own strategy text, set by a trigger', max_length=32, null=True),
                ),
                migrations.AlterField(
                    model_name='operation',
                    name='strategy_name',
                    field=models.TextField(blank=True, editable=False, help_text='name of its own strategy; set by a trigger, so that searches do not read the text', null=True),
                ),
                migrations.AlterField(
                    model_name='operation',
                    name='symbols',
                    field=models.TextField(blank=True, db_default='', editable=False, help_text='symbols of the parameters, for searches; set by a trigger'),
                ),
            ],
        ),
    ]
