"""The seam between stored files and the disk or service that keeps their bytes."""

from datetime import timedelta
from io import BufferedReader
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """Keeps files under their SHA-256. A file is complete or absent. Every method may raise OSError."""

    @property
    def drafts(self) -> Path:
        """The directory of this machine in which files are received. It may not exist yet."""

    def put(self, draft: Path, sha256: str) -> None:
        """Store a complete file with this SHA-256; the draft may be gone afterwards."""

    def open(self, sha256: str) -> BufferedReader:
        """Open a file for reading. A part is read after `seek`, without the bytes before it. Raises FileNotFoundError."""

    def exists(self, sha256: str) -> bool: ...

    def delete(self, sha256: str) -> None:
        """Remove the file if it exists."""

    def old_names(self, prefix: str, age_s: float) -> list[str]:
        """Return the SHA-256 of the files that start with the two digits `prefix` and were put at least `age_s` ago."""

    def download_address(self, sha256: str, lasts: timedelta) -> str | None:
        """Return a URL that gives everybody the file for a while; None if only this process can send it."""
