"""An invalid setting stops the start with one sentence that names it; without settings the site starts."""

import os
import secrets
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from ktrdr_site import environment, site_secrets

ROOT = Path(__file__).resolve().parents[2]

WRONG = {
    "KTRDR_DATABASE_URL": ["mysql://u:secret@h/db", "postgresql://h", "nonsense", "sqlite:///x.db"],
    "KTRDR_DEBUG": ["maybe"],
    "KTRDR_CSRF_TRUSTED_ORIGINS": ["example.org", "https://example.org/path"],
    "KTRDR_WORKER_NETWORKS": ["10.0.0.1/8", "everywhere"],
    "KTRDR_HEALTH_INTERVAL_S": ["0", "-1", "ten", "nan", "inf"],
    "KTRDR_HEALTH_TIMEOUT_S": ["0"],
    "KTRDR_SESSION_IDLE_DAYS": ["0", "x"],
    "KTRDR_REQUIRE_SECOND_FACTOR": ["on", "STAFF", "superuser"],
    "KTRDR_SESSION_MAX_DAYS": ["-1", "inf"],
    "KTRDR_STATEMENT_TIMEOUT_S": ["0"],
    "KTRDR_LOCK_TIMEOUT_S": ["x"],
    "KTRDR_IDLE_TRANSACTION_TIMEOUT_S": ["x"],
    "KTRDR_HEALTH_FAILURES": ["0", "2.5"],
    "KTRDR_LOST_AFTER_S": ["x"],
    "KTRDR_REMOVAL_AFTER_S": ["x"],
    "KTRDR_CLEANUP_INTERVAL_S": ["x"],
    "KTRDR_PROGRESS_CACHE_S": ["x"],
    "KTRDR_CANCEL_GRACE_S": ["x"],
    "KTRDR_MAX_ATTEMPTS": ["0"],
    "KTRDR_MAX_RUNNING_PER_USER": ["-1", "many"],
    "KTRDR_MAX_PENDING_PER_USER": ["-1", "1.5"],
    "KTRDR_RETRY_BACKOFF_S": ["x"],
    "KTRDR_ARTIFACT_RETENTION_DAYS": ["0"],
    "KTRDR_ARTIFACT_STORE": ["disk", "s3://", "s3:bucket", "https://bucket/x", "s3://bucket/x?y"],
    "KTRDR_DELETED_RETENTION_DAYS": ["0"],
    "KTRDR_LOG_FORMAT": ["xml"],
    "KTRDR_HTTPS": ["perhaps"],
}


def manage(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KTRDR_", "DJANGO_"))}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def read_settings(variables: dict[str, str], data_dir: Path) -> str:
    """Read the settings in a fresh interpreter; return the message of their refusal."""
    done = manage("check", KTRDR_DATA_DIR=str(data_dir), **variables)
    assert done.returncode == 1, done.stdout
    return done.stderr


@pytest.mark.parametrize(("name", "value"), [(name, values[0]) for name, values in WRONG.items()])
def test_a_wrong_value_stops_the_start_with_a_sentence_that_names_it(
    name: str, value: str, tmp_path: Path
) -> None:
    message = read_settings({name: value}, tmp_path)
    assert message.startswith(f"KTRDR cannot start: {name}=")
    assert message.count("\n") == 1
    assert "secret" not in message


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (environment.seconds, "KTRDR_HEALTH_INTERVAL_S"),
        (environment.count, "KTRDR_HEALTH_FAILURES"),
    ],
)
def test_every_kind_of_wrong_number_is_refused(
    read: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value in WRONG[name]:
        monkeypatch.setenv(name, value)
        with pytest.raises(ImproperlyConfigured, match=name):
            read(name, 10)  # type: ignore[operator]


@pytest.mark.parametrize("url", WRONG["KTRDR_DATABASE_URL"])
def test_only_postgresql_is_a_database(url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KTRDR_DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="only PostgreSQL"):
        environment.database("KTRDR_DATABASE_URL", tmp_path)


def test_a_data_directory_that_cannot_be_created_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("KTRDR_DATA_DIR", str(tmp_path / "file" / "var"))
    with pytest.raises(ImproperlyConfigured, match=r"KTRDR_DATA_DIR=.*a directory that this user may write"):
        environment.data_directory("KTRDR_DATA_DIR", tmp_path)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KTRDR_MAX_ATTEMPTS", "")
    assert environment.count("KTRDR_MAX_ATTEMPTS", 3) == 3


def test_a_secret_is_created_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = site_secrets.secret_file(path)
    assert site_secrets.secret_file(path) == first
    assert len(first) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == first + "\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret"]


def test_an_empty_secret_file_is_refused_and_not_used(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(ImproperlyConfigured, match="is empty"):
        site_secrets.secret_file(tmp_path / "secret")


def test_check_loads_no_heavy_library_and_starts_no_database(tmp_path: Path) -> None:
    heavy = ("torch", "numpy", "pandas", "numba", "talib", "pyarrow", "aiohttp", "optuna")
    program = (
        "import sys\n"
        "from django.core.management import execute_from_command_line\n"
        "execute_from_command_line(['manage.py', 'check'])\n"
        "import ktrdr_site.urls\n"
        f"found = [name for name in {heavy!r} if name in sys.modules]\n"
        "sys.exit(f'loaded: {found}' if found else 0)\n"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KTRDR_")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**kept, "KTRDR_DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "ktrdr_site.settings"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["secret-key"]


@pytest.mark.parametrize(
    "key",
    [
        "short",
        "sekret",
        "x" * 100,
        "abcabcabc" * 10,
        "django-insecure-" + "a1b2c3d4e5f6g7h8i9j0" * 2,
        "0123456789" * 3,
    ],
)
def test_a_secret_key_that_can_be_guessed_stops_the_start_and_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: str
) -> None:
    monkeypatch.setenv("KTRDR_SECRET_KEY", key)
    with pytest.raises(ImproperlyConfigured, match="KTRDR_SECRET_KEY can be guessed") as refused:
        site_secrets.secret_key("KTRDR_SECRET_KEY", tmp_path / "secret-key")
    assert key not in str(refused.value)
    assert len(str(refused.value)) < 300
    assert not (tmp_path / "secret-key").exists()


def test_a_random_secret_key_is_accepted_and_a_missing_one_generated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for key in (secrets.token_urlsafe(48), "0f1e2d3c4b5a69788796a5b4c3d2e1f0", secrets.token_urlsafe(24)):
        monkeypatch.setenv("KTRDR_SECRET_KEY", key)
        assert site_secrets.secret_key("KTRDR_SECRET_KEY", tmp_path / "secret-key") == key
    monkeypatch.setenv("KTRDR_SECRET_KEY", " ")
    assert len(site_secrets.secret_key("KTRDR_SECRET_KEY", tmp_path / "secret-key")) == 64
