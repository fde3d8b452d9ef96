"""Files in the data directory: DATA_DIR/artifacts/ab/abcdef..."""

import time
from dataclasses import dataclass
from datetime import timedelta
from io import BufferedReader
from pathlib import Path

from django.conf import settings


@dataclass(frozen=True, slots=True)
class LocalDisk:
    root: Path

    @property
    def drafts(self) -> Path:
        return self.root

    def path_of(self, sha256: str) -> Path:
        return self.root / sha256[:2] / sha256

    def put(self, draft: Path, sha256: str) -> None:
        target = self.path_of(sha256)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        draft.replace(target)

    def open(self, sha256: str) -> BufferedReader:
        return self.path_of(sha256).open("rb")

    def exists(self, sha256: str) -> bool:
        return self.path_of(sha256).exists()

    def delete(self, sha256: str) -> None:
        self.path_of(sha256).unlink(missing_ok=True)

    def old_names(self, prefix: str, age_s: float) -> list[str]:
        return [path.name for path in old_files(self.root / prefix, "*", age_s)]

    def download_address(self, sha256: str, lasts: timedelta) -> str | None:
        return None


def old_files(directory: Path, pattern: str, age_s: float) -> list[Path]:
    """Return the files of a directory, which may be missing, that have not changed for `age_s`."""
    oldest = time.time() - age_s
    if not directory.is_dir():
        return []
    return [path for path in directory.glob(pattern) if path.is_file() and path.stat().st_mtime < oldest]


def local_disk() -> LocalDisk:
    """Return the store of the data directory."""
    return LocalDisk(Path(settings.DATA_DIR) / "artifacts")


def path_of(sha256: str) -> Path:
    """Return where the store of the data directory has the file, or would have it."""
    return local_disk().path_of(sha256)
