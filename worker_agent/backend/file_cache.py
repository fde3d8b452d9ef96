"""A bounded cache of files by content on the agent's disk; the least recently used are removed first."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker_agent.backend.client import BackendClient
from worker_agent.protocol import ArtifactRef

DEFAULT_BYTES = 5 * 1024**3


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(slots=True)
class FileCache:
    directory: Path
    max_bytes: int = DEFAULT_BYTES

    async def fetch(
        self, refs: Iterable[ArtifactRef], client: BackendClient, attempt_secret: str
    ) -> dict[str, Path]:
        """Return SHA-256 -> file; download what is missing. Raises OSError and the errors of `client.get_file`."""
        refs_by_sha256 = {ref.sha256: ref for ref in refs}
        paths = {}
        for sha256, ref in refs_by_sha256.items():
            path = self.directory / sha256[:2] / sha256
            if not (path.exists() and path.stat().st_size == ref.size):
                await asyncio.to_thread(self.make_room, ref.size, set(refs_by_sha256))
                await client.get_file(sha256, path, ref.size, attempt_secret)
            os.utime(path)
            paths[sha256] = path
        return paths

    def make_room(self, size: int, keep: set[str]) -> None:
        """Remove the least recently used files until `size` more bytes fit; never those named in `keep`."""
        files = [path for path in self.directory.glob("??/*") if path.is_file()]
        by_age = sorted(
            ((path.stat().st_mtime, path.stat().st_size, path) for path in files), key=lambda row: row[:2]
        )
        total = sum(row[1] for row in by_age)
        for _, file_size, path in by_age:
            if total + size <= self.max_bytes:
                return
            if path.name not in keep:
                path.unlink(missing_ok=True)
                total -= file_size
