"""`manage.py up` as a user starts it, on a directory and a port of its own, with the waits of the product shortened."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from ktrdr_site.processes.parent_death import die_with_parent
from tests.authorities import authorities
from tests.calibration import stretched
from tests.clocks import clock_factor, product_settings
from tests.waiting import is_alive, until

ROOT = Path(__file__).resolve().parents[2]
STOPS_WITHIN_S = 15
REQUEST_TIMEOUT_S = 60


def program(factor: int) -> list[str]:
    """Return `manage.py`; on a loaded machine with longer graces."""
    return ["manage.py"] if factor == 1 else ["-m", "tests.stack.patient_manage", str(factor)]


def environment(**variables: str) -> dict[str, str]:
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(("KTRDR_", "DJANGO_", "PYTEST"))
    }
    return {**kept, "OMP_NUM_THREADS": "1", **variables}


def _careless(bind: Callable[[], None]) -> Callable[[], None]:
    """Start like from a shell whose file mode mask protects nothing."""

    def enter() -> None:
        os.umask(0)
        bind()

    return enter


class Up:
    """One `manage.py up`. `url` and `token` are known once it is ready."""

    def __init__(self, data_dir: Path, *arguments: str, **variables: str) -> None:
        self.data_dir = data_dir
        self.lines: list[str] = []
        factor = clock_factor()
        self.process = subprocess.Popen(
            [sys.executable, *program(factor), "up", "--port", "0", "--data-dir", str(data_dir), *arguments],
            cwd=ROOT,
            env=environment(**product_settings(factor, KTRDR_HEALTH_TIMEOUT_S=5.0), **variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=_careless(die_with_parent(signal.SIGTERM)),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as pipe:
            for line in pipe:
                self.lines.append(line.rstrip("\n"))

    def close(self) -> None:
        """Wait until the process has ended and all of its output has been read."""
        self.process.wait()
        self._reader.join(5)

    @property
    def output(self) -> str:
        """The end of what it has shown and of each log, to explain a failure."""
        ends = [f"{path.name}: {path.read_text()[-4000:]}" for path in self.log_paths()]
        return "\n".join([*self.lines[-200:], *ends])

    def log_paths(self) -> list[Path]:
        return sorted(path for path in (self.data_dir / "logs").glob("*.log*") if path.exists())

    def logged(self) -> list[tuple[str, str]]:
        """(name of the process, line) of all that the processes have logged; `up` and the database are not among them."""
        return [
            (path.name.partition(".")[0], line)
            for path in self.log_paths()
            if not path.name.startswith(("up.", "database."))
            for line in path.read_text().splitlines(keepends=True)
            if line.endswith("\n")  # the last one may be half written
        ]

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        def ready() -> str | None:
            assert self.process.poll() is None, self.output
            found = [re.match(r"KTRDR is ready at (http://\S+)/dashboard/$", line) for line in self.lines]
            return next((match[1] for match in found if match), None)

        self.url = until(ready, "ready", timeout_s, lambda: self.output) or ""
        self.token = (self.data_dir / "api-token").read_text().strip()

    def http(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=REQUEST_TIMEOUT_S,
            verify=authorities(),
        )

    def get(self, path: str) -> Any:
        with self.http() as http:
            answer = http.get(path)
        assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    def agents(self) -> dict[str, psutil.Process]:
        """Return the agents by the id of their worker."""
        found = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                line = " ".join(process.cmdline())
                if " -m workers " in line and (match := re.search(r"--worker-id[ =](\S+)", line)):
                    found[match[1]] = process
        return found

    def child(self, word: str) -> psutil.Process:
        """Return the oldest process below `up` whose command line contains the word."""

        def find() -> psutil.Process | None:
            for process in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    if word in " ".join(process.cmdline()):
                        return process
                except psutil.NoSuchProcess:
                    continue
            return None

        process = until(find, f"{word} runs", 20, lambda: self.output)
        assert process
        return process

    def end(self, number: signal.Signals) -> None:
        """Send the signal and wait until no process of this system is left."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        until(
            lambda: (
                self.process.poll() is not None and not self.processes() and not any(map(is_alive, family))
            ),
            "no process left",
            STOPS_WITHIN_S,
            self._who_is_left,
        )

    def processes(self) -> list[psutil.Process]:
        """Whatever runs on this data directory: by its environment or its command line."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        mark = str(self.data_dir)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            # The environment last: agents and `up` keep theirs to themselves.
            return mark in " ".join(process.cmdline()) or mark in process.environ().get("KTRDR_DATA_DIR", "")
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    def _who_is_left(self) -> str:
        left = []
        for process in self.processes():
            try:
                left.append(f"{process.pid} {' '.join(process.cmdline())[:200]}")
            except psutil.NoSuchProcess:
                continue
        return "\n".join([*left, self.output])


@contextmanager
def up(data_dir: Path, *arguments: str, **variables: str) -> Iterator[Up]:
    system = Up(data_dir, *arguments, **variables)
    try:
        yield system
    finally:
        if system.process.poll() is None:
            system.process.terminate()
            try:
                system.process.wait(stretched(STOPS_WITHIN_S))
            except subprocess.TimeoutExpired:
                system.process.kill()
        for process in system.processes():
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        system.close()
