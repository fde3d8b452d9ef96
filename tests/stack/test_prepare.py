"""`manage.py prepare`: what a deployment runs before its servers."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.system import ROOT, environment

pytestmark = pytest.mark.stack


def manage(*arguments: str, data_dir: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment(KTRDR_DATA_DIR=str(data_dir), **variables),
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_makes_schema_static_files_and_the_first_user_and_repeated_it_changes_nothing(
    tmp_path: Path,
) -> None:
    first = manage("prepare", data_dir=tmp_path)
    assert first.returncode == 0, first.stderr
    secrets = {name: (tmp_path / name).read_text() for name in ("admin-password", "api-token", "secret-key")}
    assert (tmp_path / "static" / "staticfiles.json").exists()
    assert manage("migrate", "--check", data_dir=tmp_path).returncode == 0
    assert manage("prepare", data_dir=tmp_path).returncode == 0
    assert {name: (tmp_path / name).read_text() for name in secrets} == secrets


@pytest.mark.parametrize("command", ["backup", "list_workers", "migrate", "cleanup", "doctor"])
def test_no_other_command_creates_a_database(tmp_path: Path, command: str) -> None:
    arguments = [str(tmp_path / "ktrdr.tar")] if command == "backup" else []
    done = manage(command, *arguments, data_dir=tmp_path)
    assert done.returncode == 1
    assert (
        "does not contain a database; create one with manage.py up or manage.py prepare"
        in done.stdout + done.stderr
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    url = "postgresql://ktrdr:secret-word@127.0.0.1:1/ktrdr"
    done = manage("prepare", data_dir=tmp_path, KTRDR_DATABASE_URL=url)
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: KTRDR cannot start: the database cannot be reached")
    assert "secret-word" not in done.stderr
