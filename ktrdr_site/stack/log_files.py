"""Log files of bounded size, each with a single writer."""

import os
from collections import deque
from pathlib import Path

from worker_agent.visible_text import one_line

MAX_BYTES = 10_000_000
KEPT_FILES = 4
"""Rotated files beside the current one: NAME.log.1 is the newest."""
TAIL_LINES = 15


class LogFile:
    """Appends lines and rotates by size. Needs no other writer: the supervisor reads each child's pipe and writes here."""

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES, kept_files: int = KEPT_FILES) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        """The last lines of the current run."""
        self._max_bytes = max_bytes
        self._kept_files = kept_files
        self._descriptor: int | None = None
        self._size = 0

    def write(self, line: str) -> None:
        """Append one line. Raises OSError where the file cannot be written; the tail has the line all the same."""
        line = one_line(line)
        self.tail.append(line)
        data = (line + "\n").encode(errors="replace")
        if self._descriptor is not None and self._size + len(data) > self._max_bytes:
            self._rotate()
        if self._descriptor is None:
            self._descriptor = self._open()
        # Unbuffered, so that a killed supervisor loses nothing that it has read.
        while data:
            written = os.write(self._descriptor, data)
            self._size += written
            data = data[written:]

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        if self.path.exists() and self.path.stat().st_size >= self._max_bytes:
            self._shift()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(descriptor).st_size
        return descriptor

    def _rotate(self) -> None:
        self.close()
        self._shift()

    def _shift(self) -> None:
        """Rename NAME.log to NAME.log.1, NAME.log.1 to NAME.log.2 and so on; the oldest is replaced."""
        paths = [self.path, *(self._rotated_path(number) for number in range(1, self._kept_files + 1))]
        for older, newer in zip(reversed(paths), reversed(paths[:-1]), strict=False):
            if newer.exists():
                newer.replace(older)

    def _rotated_path(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
