"""Let the database refuse a row without symbols, as the model does; the generated column before could not be NULL.

The rows are read without the lock that the change of the table takes.
"""

from django.db import migrations

ADD = "ALTER TABLE operations_operation ADD CONSTRAINT operation_symbols_known CHECK (symbols IS NOT NULL) NOT VALID"
VALIDATE = "ALTER TABLE operations_operation VALIDATE CONSTRAINT operation_symbols_known"
REFUSE = """
ALTER TABLE operations_operation ALTER COLUMN symbols SET NOT NULL;
ALTER TABLE operations_operation DROP CONSTRAINT operation_symbols_known;
"""
ALLOW = "ALTER TABLE operations_operation ALTER COLUMN symbols DROP NOT NULL"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('operations', '0038_strategy_columns'),
    ]

    operations = [
        migrations.RunSQL(ADD, migrations.RunSQL.noop),
        migrations.RunSQL(VALIDATE, migrations.RunSQL.noop),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
