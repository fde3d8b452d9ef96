"""Files by content on the agent's disk: a bounded cache, the least recently used first out."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worker_agent.client import BackendClient
from worker_agent.protocol import ArtifactRef

DEFAULT_BYTES = 5 * 1024**3


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(slots=True)
class FileCache:
    directory: Path
    most_bytes: int = DEFAULT_BYTES

    async def fetch(self, refs: Iterable[ArtifactRef], client: BackendClient) -> dict[str, Path]:
        """SHA-256 -> file, each fetched where it is not here. Raises what `get_file` raises, OSError."""
        wanted = {ref.sha256: ref for ref in refs}
        found = {}
        for sha256, ref in wanted.items():
            path = self.directory / sha256[:2] / sha256
            if not (path.exists() and path.stat().st_size == ref.size):
                await asyncio.to_thread(self.make_room, ref.size, set(wanted))
                await client.get_file(sha256, path, ref.size)
            os.utime(path)
            found[sha256] = path
        return found

    def make_room(self, size: int, keep: set[str]) -> None:
        """Removes the least recently used until `size` bytes more fit; what `keep` names stays."""
        files = [path for path in self.directory.glob("??/*") if path.is_file()]
        stats = sorted(
            ((path.stat().st_mtime, path.stat().st_size, path) for path in files), key=lambda row: row[:2]
        )
        total = sum(row[1] for row in stats)
        for _, bytes_, path in stats:
            if total + size <= self.most_bytes:
                return
            if path.name not in keep:
                path.unlink(missing_ok=True)
                total -= bytes_
