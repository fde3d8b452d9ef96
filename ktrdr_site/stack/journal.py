"""Where the output of all processes goes: in full to `DATA_DIR/logs/NAME.log`, warnings also to the terminal."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from ktrdr_site.processes.supervisor import Exit
from ktrdr_site.stack.log_files import LogFile
from ktrdr_site.stack.log_lines import find_warning
from ktrdr_site.stack.terminal import Terminal

OWN_NAME = "up"
REPEAT_AFTER_S = 60.0
"""The same warning of the same process is shown again only after this time; the file has each."""
log = structlog.get_logger(__name__)


class Journal:
    """Observer of the supervisor, and the only writer of the log files."""

    def __init__(self, directory: Path, terminal: Terminal, verbose: bool) -> None:
        self.directory = directory
        self._terminal = terminal
        self._verbose = verbose
        self._files: dict[str, LogFile] = {}
        self._unwritable: set[str] = set()
        self._shown: dict[tuple[str, str], float] = {}

    def on_start(self, name: str, pid: int) -> None:
        self._file(name).tail.clear()
        log.info("process started", process=name, pid=pid)

    def on_line(self, name: str, line: str) -> None:
        self.write(name, line)
        if not self._verbose and (warning := find_warning(line)) and self._is_new(name, warning.event):
            self._terminal.warn(name, str(warning))

    def on_exit(self, exit_: Exit) -> None:
        log.warning(
            "process ended; restarting", process=exit_.name, reason=exit_.reason, pause_s=exit_.restart_in_s
        )
        if exit_.early_exits == 1:
            self._terminal.warn(exit_.name, str(exit_), self.tail(exit_.name))
        else:
            self._terminal.warn(exit_.name, f"{exit_}; log: {self._file(exit_.name).path}")

    def on_kill(self, name: str, pid: int, grace_s: float) -> None:
        log.warning(
            "process killed: it did not end in time", process=name, pid=pid, grace_s=round(grace_s, 1)
        )
        self._terminal.warn(name, f"process {pid} did not end within {grace_s:.0f} s and was killed")

    def tail(self, name: str) -> list[str]:
        """Return the last lines of the process and the path of its log; nothing for a process that is not ours."""
        if name not in self._files:
            return []
        file = self._files[name]
        return [*file.tail, f"full log: {file.path}"]

    def write(self, name: str, line: str) -> None:
        if self._verbose:
            self._terminal.pass_on(name, line)
        try:
            self._file(name).write(line)
        except OSError as error:
            if name not in self._unwritable:
                self._unwritable.add(name)
                self._terminal.warn(OWN_NAME, f"{self._file(name).path} cannot be written ({error.strerror})")

    @contextmanager
    def with_own_log(self) -> Iterator[None]:
        """Write what this process logs to `up.log` instead of the terminal."""
        root = logging.getLogger()
        replaced = root.handlers[:]
        handler = _ToJournal(self)
        handler.setFormatter(replaced[0].formatter if replaced else None)
        root.handlers = [handler]
        try:
            yield
        finally:
            root.handlers = replaced
            for file in self._files.values():
                file.close()

    def _file(self, name: str) -> LogFile:
        if name not in self._files:
            self._files[name] = LogFile(self.directory / f"{name}.log")
        return self._files[name]

    def _is_new(self, name: str, event: str) -> bool:
        now = time.monotonic()
        self._shown = {key: shown for key, shown in self._shown.items() if now - shown < REPEAT_AFTER_S}
        is_new = (name, event) not in self._shown
        self._shown.setdefault((name, event), now)
        return is_new


class _ToJournal(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            if record.name.startswith(f"{__package__}."):  # the terminal has already shown it
                self._journal.write(OWN_NAME, line)
            else:
                self._journal.on_line(OWN_NAME, line)
