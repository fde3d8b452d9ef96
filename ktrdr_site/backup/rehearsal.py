"""Rehearses a restore: into an embedded PostgreSQL and a data directory that exist only for this purpose."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from django.conf import settings

from ktrdr_site.backup import tables
from ktrdr_site.backup.manifest import TABLES, BackupError, Manifest
from ktrdr_site.backup.restoring import read_manifest


def rehearse(source: Path) -> None:
    """Restore the archive into a temporary installation, save that one, and compare rows and artifacts.

    Needs twice the size of the backup below TMPDIR. Raises BackupError with the differences.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="ktrdr-") as directory:
            again = Path(directory) / "again.tar"
            data_dir = Path(directory) / "var"
            _manage(data_dir, "restore", str(source.absolute()))
            _manage(data_dir, "backup", str(again), "--allow-empty", "--allow-missing")
            compare(read_manifest(source), read_manifest(again))
    except OSError as error:
        raise BackupError(
            f"the restore cannot be rehearsed below {tempfile.gettempdir()}: {error.strerror}"
        ) from error


def compare(saved: Manifest, restored: Manifest) -> None:
    """Raise BackupError unless both have the same artifacts and rows.

    If a migration came between both, only the tables that must be empty before a restore are compared, by their rows.
    """
    lost = sorted(set(saved.artifacts) - set(restored.artifacts))
    if lost:
        raise BackupError(f"the restored copy lacks {len(lost)} artifacts, among them {lost[0]}")
    is_same_code = saved.migrations == restored.migrations
    for name in sorted(saved.tables) if is_same_code else tables.MUST_BE_EMPTY:
        before, after = saved.tables[name].rows, restored.tables[name].rows
        if before != after:
            raise BackupError(f"the restored copy has {after} rows in {name}, the backup {before}")
        member = f"{TABLES}{name}.copy.gz"
        if is_same_code and saved.members[member].sha256 != restored.members[member].sha256:
            raise BackupError(f"the restored copy has other content in {name}")


def _manage(data_dir: Path, *arguments: str) -> None:
    """Run a command in the temporary installation, without the settings of this one. Raises BackupError."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KTRDR_")}
    done = subprocess.run(  # noqa: S603  (our own command)
        [sys.executable, "manage.py", *arguments],
        cwd=settings.BASE_DIR,
        env=environment | {"KTRDR_DATA_DIR": str(data_dir), "KTRDR_DATABASE_URL": ""},  # not those of .env
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise BackupError(f"the rehearsal of the restore failed: {reason[0]}")
