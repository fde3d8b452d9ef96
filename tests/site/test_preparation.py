"""Preparation of the site before it serves."""

from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.db import connection

from ktrdr_site.models import ApiToken, token_digest
from ktrdr_site.stack import preparation


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_too_old_is_refused_with_both_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    connection.close()
    # Django checks once per process.
    monkeypatch.setattr("django.db.backends.base.base.RAN_DB_VERSION_CHECK", set())
    monkeypatch.setattr(connection.features, "minimum_database_version", (99,))
    with pytest.raises(
        preparation.NotReadyError, match=r"PostgreSQL 99 or later is required \(found 1\d\.\d+\)"
    ):
        preparation.connect()
    connection.close()


@pytest.mark.django_db
def test_the_first_user_can_log_in_with_the_password_and_the_token_in_the_files(tmp_path: Path) -> None:
    preparation.create_admin(tmp_path)
    password = (tmp_path / "admin-password").read_text().strip()
    user = authenticate(username="admin", password=password)
    assert user is not None
    assert user.is_superuser
    token = (tmp_path / "api-token").read_text().strip()
    assert ApiToken.objects.get(sha256=token_digest(token)).user == user


@pytest.mark.django_db
def test_a_second_start_changes_neither_password_nor_token(tmp_path: Path) -> None:
    preparation.create_admin(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    preparation.create_admin(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert ApiToken.objects.count() == 1


@pytest.mark.django_db
def test_a_lost_token_file_is_replaced_and_the_password_kept(tmp_path: Path) -> None:
    preparation.create_admin(tmp_path)
    (tmp_path / "api-token").unlink()
    preparation.create_admin(tmp_path)
    assert ApiToken.objects.count() == 2
    assert authenticate(username="admin", password=(tmp_path / "admin-password").read_text().strip())


def test_static_files_are_collected_again_only_when_their_sources_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected = []
    monkeypatch.setattr(preparation, "call_command", lambda *words, **options: collected.append(words))
    preparation.collect_static(tmp_path)
    preparation.collect_static(tmp_path)
    assert collected == [("collectstatic",)]
    (tmp_path / "static.stamp").write_text("of another version")
    preparation.collect_static(tmp_path)
    assert len(collected) == 2
