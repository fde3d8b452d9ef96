from django.db import migrations

FUNCTION = """
CREATE FUNCTION operations_note_released_file() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE operations_storedfile SET touched_at = clock_timestamp() WHERE sha256 = OLD.file_id;
    RETURN NULL;
END $$
"""
TABLES = ('operations_artifact', 'operations_marketdata')


def trigger(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f'CREATE TRIGGER note_released_file AFTER DELETE OR UPDATE OF file_id ON {table}'
        ' FOR EACH ROW EXECUTE FUNCTION operations_note_released_file()',
        f'DROP TRIGGER note_released_file ON {table}',
    )


class Migration(migrations.Migration):
    """The database notes when a file loses a reference, however it does: the cleanup looks only at such files."""

    dependencies = [('operations', '0015_files_to_check')]

    operations = [
        migrations.RunSQL(FUNCTION, 'DROP FUNCTION operations_note_released_file()'),
        *(trigger(table) for table in TABLES),
    ]
