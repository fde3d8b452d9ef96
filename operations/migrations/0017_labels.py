from django.conf import settings
from django.db import migrations, models


SEARCH = """
CREATE OR REPLACE FUNCTION operations_store_search_text() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO operations_searchtext AS stored (operation_id, text)
    VALUES (NEW.operation_id, {text})
    ON CONFLICT (operation_id) DO UPDATE SET text = EXCLUDED.text WHERE stored.text <> EXCLUDED.text;
    RETURN NULL;
END
$$;
DROP TRIGGER operations_store_search_text ON operations_operation;
CREATE TRIGGER operations_store_search_text
AFTER INSERT OR UPDATE OF {columns} ON operations_operation
FOR EACH ROW EXECUTE FUNCTION operations_store_search_text();
"""
TEXT = """operations_search_text(
        NEW.operation_id, NEW.operation_type, NEW.parameters, NEW.strategy_name, NEW.error_message)"""
WITH_TITLE = SEARCH.format(
    text=f"concat_ws(' ', {TEXT}, lower(nullif(NEW.title, '')))", columns="parameters, error_message, title"
)
WITHOUT_TITLE = SEARCH.format(text=TEXT, columns="parameters, error_message")


class Migration(migrations.Migration):

    dependencies = [
        ('operations', '0016_release_of_files'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Tag',
            fields=[
                ('name', models.CharField(max_length=40, primary_key=True, serialize=False)),
                ('goal', models.CharField(blank=True, db_default='', max_length=200)),
                ('note', models.TextField(blank=True, db_default='', help_text='Markdown')),
            ],
            options={
                'ordering': ['name'],
            },
        ),
        migrations.RemoveIndex(
            model_name='operation',
            name='operation_by_status',
        ),
        migrations.RemoveIndex(
            model_name='operation',
            name='operation_of_strategy',
        ),
        migrations.AddField(
            model_name='operation',
            name='archived_at',
            field=models.DateTimeField(blank=True, help_text='lists hide it since; empty: shown', null=True),
        ),
        migrations.AddField(
            model_name='operation',
            name='deleted_at',
            field=models.DateTimeField(blank=True, help_text='hidden since; the cleanup removes it after a grace', null=True),
        ),
        migrations.AddField(
            model_name='operation',
            name='dismissed_at',
            field=models.DateTimeField(blank=True, help_text='when somebody took note of its failure', null=True),
        ),
        migrations.AddField(
            model_name='operation',
            name='note',
            field=models.TextField(blank=True, db_default='', help_text='Markdown'),
        ),
        migrations.AddField(
            model_name='operation',
            name='title',
            field=models.CharField(blank=True, db_default='', max_length=200),
        ),
        migrations.AddField(
            model_name='operation',
            name='tags',
            field=models.ManyToManyField(blank=True, related_name='operations', to='operations.tag'),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('archived_at__isnull', True), ('deleted_at__isnull', True)), fields=['status', '-created_at'], name='operation_by_status'),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('deleted_at__isnull', True), ('strategy__isnull', False)), fields=['strategy', '-created_at'], name='operation_of_strategy'),
        ),
        migrations.AddIndex(
            model_name='operation',
            index=models.Index(condition=models.Q(('deleted_at__isnull', False)), fields=['deleted_at'], name='operation_deleted'),
        ),
        migrations.RunSQL(WITH_TITLE, WITHOUT_TITLE),
    ]
