"""Turns what a job prints into lines of the operation's log."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from worker_agent.protocol import MAX_TEXT


class LinesOfOutput:
    """A text stream that passes each complete line on. A carriage return starts the line again, as on a terminal."""

    def __init__(self, inner: TextIO, write_line: Callable[[str], None]) -> None:
        self.inner = inner
        self._write_line = write_line
        self._pending = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        with self._lock:
            *lines, self._pending = (self._pending + text).split("\n")
            for line in lines:
                self._pass_on(line)
            self._pending = self._pending[self._pending.rfind("\r", 0, -1) + 1 :]
            if len(self._pending) > MAX_TEXT:
                self._pass_on(self._pending)
                self._pending = ""
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def end(self) -> None:
        """Pass on a last line that has no line break."""
        with self._lock:
            self._pass_on(self._pending)
            self._pending = ""

    def _pass_on(self, line: str) -> None:
        shown = line.rstrip("\r").rpartition("\r")[2]
        if shown.strip():
            self._write_line(shown)

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)  # flush, fileno and encoding of the process's own stream


@contextmanager
def redirect_output(write_line: Callable[[str], None]) -> Iterator[None]:
    """Pass on the lines that Python code writes to standard output and standard error inside."""
    output, errors = (LinesOfOutput(stream, write_line) for stream in (sys.stdout, sys.stderr))
    try:
        with redirect_stdout(output), redirect_stderr(errors):
            yield
    finally:
        output.end()
        errors.end()
