"""The bounds of the database work of long-running processes, on a real PostgreSQL."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import Group
from django.db import DatabaseError, OperationalError, connection, connections, transaction

from access.database_limits import limit_statements
from access.problems import exception_handler
from ktrdr_site import environment
from tests.operations.test_at_once import at_once

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


@pytest.fixture
def limited(transactional_db: None, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sessions with short bounds."""
    settings.STATEMENT_TIMEOUT_S, settings.LOCK_TIMEOUT_S, settings.IDLE_TRANSACTION_TIMEOUT_S = 1.0, 0.2, 0.3
    monkeypatch.setenv("PGOPTIONS", "-c application_name=kept")
    # The tests' own options would replace those of the variable.
    monkeypatch.delitem(connection.settings_dict["OPTIONS"], "options", raising=False)
    limit_statements()
    yield
    connection.close()


def show(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return cursor.fetchone()[0]


def test_each_session_has_the_bounds_and_what_the_operator_set(limited: None) -> None:
    assert [show(name) for name in NAMES] == ["1s", "200ms", "300ms"]
    assert show("application_name") == "kept"


def test_a_statement_that_is_too_long_is_ended(limited: None) -> None:
    with pytest.raises(OperationalError) as caught, connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(20)")
    assert isinstance(caught.value.__cause__, psycopg.errors.QueryCanceled)
    assert show("lock_timeout") == "200ms", "the session goes on"


def test_who_waits_too_long_for_a_lock_is_answered_with_503(limited: None) -> None:
    group = Group.objects.create(name="g")
    with transaction.atomic():
        Group.objects.select_for_update().get(pk=group.pk)

        def wait() -> Exception:
            try:
                with transaction.atomic():
                    Group.objects.select_for_update().get(pk=group.pk)
            except DatabaseError as error:
                return error
            raise AssertionError

        (error,) = at_once(wait)
    assert isinstance(error.__cause__, psycopg.errors.LockNotAvailable)
    response = exception_handler(error, {})
    assert response is not None
    assert (response.status_code, response.headers["Retry-After"]) == (503, "2")


def test_a_process_that_freezes_in_a_transaction_loses_its_locks(limited: None) -> None:
    group = Group.objects.create(name="g")
    frozen = psycopg.connect(**connection_parameters())
    frozen.execute("SELECT * FROM auth_group WHERE id = %s FOR UPDATE", [group.pk])
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")
        cursor.execute("SET statement_timeout = '20s'")
    with transaction.atomic():
        assert Group.objects.select_for_update().get(pk=group.pk) == group
    with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
        frozen.execute("SELECT 1")
    frozen.close()


def connection_parameters() -> dict[str, Any]:
    skipped = ("cursor_factory", "context", "prepare_threshold")
    return {name: value for name, value in connection.get_connection_params().items() if name not in skipped}


def test_a_session_over_tcp_has_keepalives_which_the_url_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_DATABASE_URL", "postgresql://u:p@db/ktrdr?keepalives_idle=7")
    options = environment.database("KTRDR_DATABASE_URL", Path("unused"))["OPTIONS"]
    assert options["keepalives_interval"] == 10
    assert int(options["keepalives_idle"]) == 7


@pytest.mark.parametrize("module", ["ktrdr_site.wsgi"])
def test_the_web_server_has_the_bounds(module: str, tmp_path: Path) -> None:
    code = f"import {module}, os; print(os.environ['PGOPTIONS'])"
    variables = {
        **os.environ,
        "KTRDR_DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    assert "statement_timeout=30000" in done.stdout
    assert "lock_timeout=10000" in done.stdout
    connections.close_all()


@pytest.mark.parametrize("url", ["", "postgresql://somebody@127.0.0.1/somewhere"])
def test_statements_are_prepared_unless_the_setting_is_off(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_DATABASE_URL", url)
    prepared, unprepared = (
        environment.database("KTRDR_DATABASE_URL", Path("unused"), prepares=prepares)["OPTIONS"]
        for prepares in (True, False)
    )
    assert prepared["prepare_threshold"] == environment.PREPARE_AFTER
    assert unprepared["prepare_threshold"] is None
