import django.db.models.deletion
from django.db import migrations, models

FUNCTION = """
CREATE FUNCTION operations_note_released_chart() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE operations_storedfile SET touched_at = clock_timestamp() WHERE sha256 = OLD.chart_id;
    RETURN NULL;
END $$
"""


class Migration(migrations.Migration):
    """Market data keep the tiles of their chart, also after the operation that imported them is deleted."""

    dependencies = [('operations', '0023_waiting_demand')]

    operations = [
        migrations.AddField(
            model_name='marketdata',
            name='chart',
            field=models.ForeignKey(help_text='tiles of the chart; empty for bars that were imported before charts existed', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='operations.storedfile'),
        ),
        migrations.RunSQL(FUNCTION, 'DROP FUNCTION operations_note_released_chart()'),
        migrations.RunSQL(
            'CREATE TRIGGER note_released_chart AFTER DELETE OR UPDATE OF chart_id ON operations_marketdata'
            ' FOR EACH ROW EXECUTE FUNCTION operations_note_released_chart()',
            'DROP TRIGGER note_released_chart ON operations_marketdata',
        ),
    ]
