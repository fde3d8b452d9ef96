"""A start skips `migrate` only if the database was migrated by the same sources and nothing has changed since."""

from pathlib import Path

import pytest
from django.db import connection

from ktrdr_site.stack import migration_record, preparation

pytestmark = pytest.mark.django_db


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_second_preparation_does_not_migrate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    monkeypatch.setattr(preparation, "call_command", lambda name, **options: commands.append(name))
    monkeypatch.setattr(preparation, "create_admin", lambda directory: None)
    monkeypatch.setattr(connection, "close", lambda: None)
    execute("COMMENT ON TABLE django_migrations IS NULL")
    preparation.prepare_database(tmp_path)
    preparation.prepare_database(tmp_path)
    assert commands == ["migrate"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM django_migrations WHERE app = 'operations' AND name LIKE '0003%'",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('operations', '9999_future', now())",
        "COMMENT ON TABLE django_migrations IS 'of another version'",
        "COMMENT ON TABLE django_migrations IS NULL",
        "ALTER TABLE django_migrations RENAME TO django_migrations_of_another_site",
    ],
    ids=["taken back", "from the future", "other record", "no record", "no table"],
)
def test_a_database_that_has_changed_is_migrated_again(statement: str) -> None:
    migration_record.record()
    assert migration_record.is_current()
    execute(statement)
    assert not migration_record.is_current()


def test_a_changed_source_migrates_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    migration_record.record()
    new = tmp_path / "migrations" / "9999_new.py"
    new.parent.mkdir()
    new.write_text("operations = []")
    sources = migration_record._sources()
    monkeypatch.setattr(migration_record, "_sources", lambda: [*sources, new])
    assert not migration_record.is_current()
