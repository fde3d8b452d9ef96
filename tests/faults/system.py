"""The whole product as processes, each of which a test may kill: web, dispatcher, schedules, agents, database."""

import os
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg

from ktrdr_site.embedded import cluster
from ktrdr_site.stack.services import web_command
from tests.clocks import clock_factor, product_settings
from tests.faults.api import Api
from tests.faults.certificates import Certificates
from tests.faults.marks import Marks
from tests.faults.processes import Processes, free_port, tree
from tests.prepared import place
from tests.waiting import until, until_exit

WAITS_S = {"KTRDR_CANCEL_GRACE_S": 1.0, "KTRDR_REMOVAL_AFTER_S": 8.0, "KTRDR_CLEANUP_INTERVAL_S": 3.0}
BACKEND = ("web", "dispatcher", "schedules")


def environment(directory: Path) -> dict[str, str]:
    outer = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("KTRDR_", "DJANGO_", "PYTEST", "WORKER"))
    }
    return {
        **outer,
        "OMP_NUM_THREADS": "1",
        "KTRDR_DATA_DIR": str(directory / "var"),
        "KTRDR_SECRET_KEY": secrets.token_urlsafe(48),
        "KTRDR_WORKER_TOKEN": secrets.token_urlsafe(24),
        "KTRDR_MARKS": str(directory / "marks"),
        "PYTHONUNBUFFERED": "1",
    }


@dataclass
class System:
    """`expected` lists the agents; `heal` starts again whatever a test ended."""

    directory: Path
    waits_s: dict[str, float] = field(default_factory=lambda: dict(WAITS_S))
    """Settings that differ from those of other systems, on an idle machine."""
    settings: dict[str, str] = field(default_factory=dict)
    expected: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Agent -> arguments of `start_agent`."""
    backend: tuple[str, ...] = BACKEND
    """Processes of the backend that `heal` starts again."""
    host: str = "127.0.0.1"
    """Where the web server listens."""
    certificates: Certificates | None = None
    """Where there are some, every agent serves https by them, and the backend asks by nothing else."""
    clock_factor: int = field(default_factory=clock_factor)
    """Of the waits of the running processes."""

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        if self.certificates is not None:
            self.settings |= self.certificates.settings
        self.port = free_port()
        self.processes = Processes(self.directory, environment(self.directory))
        self.marks = Marks(self.directory / "marks")
        self.api = Api(f"http://{self.host}:{self.port}", logs=self.logs)
        self.set_clocks(self.clock_factor)

    def set_clocks(self, factor: int) -> None:
        """For processes that start from now on."""
        self.clock_factor = self.api.clock_factor = factor
        self.processes.environment |= {**product_settings(factor, **self.waits_s), **self.settings}

    @property
    def scheme(self) -> str:
        """Of the agents' addresses."""
        return "https" if self.certificates is not None else "http"

    def logs(self) -> str:
        return "".join(self.processes.log(name) for name in self.processes.running)

    # Starting -------------------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        return self.processes.call("manage.py", *arguments)

    def prepare(self) -> None:
        place(self.directory / "var")
        self.manage("prepare")
        self.api.token = (self.directory / "var" / "api-token").read_text().strip()

    def start_web(self, name: str = "web") -> None:
        self.processes.start(name, *web_command(f"{self.host}:{self.port}", 2)[1:])

    def start_dispatcher(self, name: str = "dispatcher") -> None:
        self.processes.start(name, "manage.py", "run_dispatcher")

    def start_schedules(self, name: str = "schedules") -> None:
        self.processes.start(name, "manage.py", "run_schedules")

    def start_studies(self, name: str = "studies") -> None:
        self.processes.start(name, "manage.py", "run_studies")

    def start_backend(self) -> None:
        for name in self.backend:
            if not self.processes.is_up(name):
                getattr(self, f"start_{name}")()

    def start_agent(
        self,
        name: str,
        *,
        process: str = "",
        port: int | None = None,
        public_url: str = "",
        api_url: str = "",
        module: str = "tests.faults.marking_worker",
        **variables: str,
    ) -> int:
        """An agent whose worker id is `name`, in a process called `process` (the same name unless said otherwise)."""
        port = port or free_port()
        self.processes.start(
            process or name,
            "-m", module, "--port", str(port), "--api-url", api_url or self.api.url,
            "--worker-id", name, "--public-url", public_url or f"{self.scheme}://127.0.0.1:{port}",
            "--data-dir", str(self.directory / f"agent-{process or name}"),
            WORKER_ID=name, **variables,
        )  # fmt: skip
        return port

    def heal(self) -> None:
        """Start again whatever is missing, stop everything else, and wait until all agents are idle.

        Where the machine has become slower, all processes start again with longer waits.
        """
        if self.processes.running and (factor := clock_factor()) > self.clock_factor:
            self.stop()
            self.set_clocks(factor)
        for name in set(self.processes.running) - {*self.backend, *self.expected}:
            self.processes.kill(name)
        self.start_backend()
        for name, arguments in self.expected.items():
            if not self.processes.is_up(name):
                self.start_agent(name, **arguments)
        until(self.api.ready, "the backend is ready", 40, lambda: f"{self.api.get('/readyz')}{self.logs()}")
        for name in self.expected:
            self.until_available(name)

    # Looking --------------------------------------------------------------------------------------------

    def until_available(self, name: str, timeout_s: float = 40) -> dict[str, Any]:
        return self.until_worker(name, "AVAILABLE", timeout_s)

    def until_worker(self, name: str, status: str, timeout_s: float = 40) -> dict[str, Any]:
        def is_so() -> dict[str, Any] | None:
            worker = self.api.worker(name)
            return worker if worker and worker["status"] == status else None

        return until(is_so, f"{name} is {status}", timeout_s, lambda: f"{self.api.worker(name)}{self.logs()}")

    def job(self, agent: str, operation_id: str) -> psutil.Process:
        """The process of the operation's newest attempt, which `agent` runs."""
        mark = until(lambda: self.marks.all("start", operation_id), f"{operation_id} has begun")[-1]
        assert mark.rest[0] == agent, f"{operation_id} runs at {mark.rest[0]}"
        return psutil.Process(mark.pid)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Read in the database itself."""
        with psycopg.connect(
            host=str(self.socket_directory()), user=cluster.ROLE, dbname=cluster.DATABASE
        ) as session:
            return session.execute(statement.encode()).fetchall()

    def sweeps(self) -> int:
        """Health sweeps completed so far."""
        statement = "SELECT count(*) FROM registry_sweep WHERE kind = 'health' AND completed_at IS NOT NULL"
        return int(self.rows(statement)[0][0])

    def until_sweeps(self, more: int = 1, timeout_s: float = 30) -> None:
        """Wait until so many more sweeps have completed."""
        before = self.sweeps()
        until(lambda: self.sweeps() >= before + more, f"{more} more sweeps", timeout_s, self.logs)

    def cluster(self) -> dict[str, psutil.Process]:
        """django-q2's processes. They look alike: told apart by the order in which a fresh cluster starts them."""
        kinds = ("sentinel", "worker", "monitor", "pusher")
        found: list[psutil.Process] = []

        def complete() -> bool:
            found[:] = sorted(
                self.processes.tree("schedules")[1:], key=lambda one: (one.create_time(), one.pid)
            )
            return len(found) == len(kinds)

        until(complete, "the cluster has all of its processes", 30, lambda: f"{found}{self.logs()}")
        return dict(zip(kinds, found, strict=True))

    # The database ---------------------------------------------------------------------------------------

    @property
    def _postmaster_file(self) -> Path:
        return self.directory / "var" / "postgres" / "cluster" / "postmaster.pid"

    def socket_directory(self) -> Path:
        return Path(self._postmaster_file.read_text().splitlines()[4])

    def postmaster(self) -> psutil.Process:
        return psutil.Process(int(self._postmaster_file.read_text().splitlines()[0]))

    def everything(self) -> list[psutil.Process]:
        """Every process of the system, the database and its watcher included."""
        ours = [one for name in self.processes.running for one in self.processes.tree(name)]
        return [
            *ours,
            *([watcher] if (watcher := self.postmaster().parent()) else []),
            *tree(self.postmaster().pid),
        ]

    def stop(self) -> None:
        self.processes.stop()

    def kill_everything(self) -> None:
        """The power fails: every process at once, no word said."""
        for process in self.everything():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        for process in self.processes.running.values():
            until_exit(process, 10)
        self.processes.running.clear()


@contextmanager
def running(directory: Path, agents: int, certificates: Certificates | None = None) -> Iterator[System]:
    """A system with everything started and `agents` agents named agent-1, agent-2, ..."""
    system = System(directory, certificates=certificates)
    system.expected = {f"agent-{number}": {} for number in range(1, agents + 1)}
    try:
        system.prepare()
        system.heal()
        yield system
    finally:
        system.stop()
