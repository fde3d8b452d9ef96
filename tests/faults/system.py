"""The whole product as processes, each of which a test may kill: web, dispatcher, schedules, agents, database."""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
T = TypeVar("T")

CLOCKS = {
    "KTRDR_HEALTH_INTERVAL_S": "1",
    "KTRDR_HEALTH_TIMEOUT_S": "1",
    "KTRDR_HEALTH_FAILURES": "2",
    "KTRDR_LOST_AFTER_S": "3",
    "KTRDR_REMOVAL_AFTER_S": "8",
    "KTRDR_CLEANUP_INTERVAL_S": "3",
    "KTRDR_RETRY_BACKOFF_S": "0.2",
    "KTRDR_CANCEL_GRACE_S": "1",
}
"""The waits of the overview, about ten times faster."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def until(
    condition: Callable[[], T], what: str, timeout_s: float = 30.0, explain: Callable[[], object] = lambda: ""
) -> T:
    """The first true value of `condition`; polls, since the event is in another process."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {timeout_s:g} s still not: {what}. {explain()}")
        time.sleep(0.02)


@dataclass
class System:
    directory: Path
    settings: dict[str, str] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.marks_file = self.directory / "marks"
        self.port = free_port()
        self.environment = {
            **{
                key: value
                for key, value in os.environ.items()
                if not key.startswith(("KTRDR_", "DJANGO_", "PYTEST"))
            },
            **CLOCKS,
            "KTRDR_DATA_DIR": str(self.directory / "var"),
            "KTRDR_SECRET_KEY": secrets.token_urlsafe(48),
            "KTRDR_WORKER_TOKEN": secrets.token_urlsafe(24),
            "KTRDR_MARKS": str(self.marks_file),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    # Processes ------------------------------------------------------------------------------------------

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.directory / f"{name}.log").open("ab")
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**self.environment, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self.processes[name] = process
        return process

    def prepare(self) -> None:
        self.manage("migrate", "--noinput", "-v0")
        self.manage(
            "shell",
            "-v0",
            "-c",
            "from django.contrib.auth import get_user_model as u; u().objects.create_superuser('tester')",
        )
        self.token = self.manage("create_api_token", "tester").strip().split()[-1]

    def start_web(self, name: str = "web") -> None:
        self.start(
            name, "-m", "gunicorn", "ktrdr_site.wsgi", f"--bind=127.0.0.1:{self.port}",
            "--worker-class=gthread", "--workers=2", "--threads=4", "--graceful-timeout=5",
        )  # fmt: skip
        until(self.web_answers, "the web server answers", explain=lambda: self.log(name))

    def web_answers(self) -> bool:
        try:
            return self.http().get("/health").status_code == 200
        except httpx.HTTPError:
            return False

    def start_dispatcher(self, name: str = "dispatcher") -> None:
        self.start(name, "manage.py", "run_dispatcher")

    def start_schedules(self, name: str = "schedules") -> None:
        self.start(name, "manage.py", "run_schedules")

    def start_agent(
        self,
        name: str,
        port: int | None = None,
        public_url: str | None = None,
        api_url: str | None = None,
        wait: bool = True,
    ) -> int:
        port = port or free_port()
        self.start(
            name, "-m", "tests.faults.marking_worker", "--port", str(port), "--api-url", api_url or self.url,
            "--worker-id", name, "--public-url", public_url or f"http://127.0.0.1:{port}",
            "--data-dir", str(self.directory / f"agent-{name}"), WORKER_ID=name,
        )  # fmt: skip
        if wait:
            until(lambda: self.worker(name), f"{name} is registered", explain=lambda: self.log(name))
        return port

    def kill(self, name: str, signum: int = signal.SIGKILL) -> None:
        process = self.processes.pop(name)
        process.send_signal(signum)
        process.wait(20)

    def descendants(self, name: str) -> list[psutil.Process]:
        return psutil.Process(self.processes[name].pid).children(recursive=True)

    def log(self, name: str) -> str:
        path = self.directory / f"{name}.log"
        return (
            f"\n--- {name}.log\n{path.read_text(errors='replace')[-4000:]}"
            if path.exists()
            else f"no log of {name}"
        )

    def stop(self) -> None:
        """Ends what this system started, and what that started."""
        tree = []
        for process in self.processes.values():
            try:
                tree += [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
        for process in self.processes.values():
            process.terminate()
        _, alive = psutil.wait_procs(tree, timeout=10)
        for left in alive:
            left.kill()
        for process in self.processes.values():
            process.wait(5)
        self.processes.clear()

    # The API, as a user ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"} if hasattr(self, "token") else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10)

    def submit(self, **body: Any) -> str:
        parameters = body.pop("parameters", {})
        with self.http() as http:
            answer = http.post(
                "/operations", json={"operation_type": "marking", "parameters": parameters, **body}
            )
        assert answer.status_code == 202, answer.text
        return str(answer.json()["operation_id"])

    def operation(self, operation_id: str) -> dict[str, Any]:
        with self.http() as http:
            answer = http.get(f"/operations/{operation_id}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def cancel(self, operation_id: str) -> int:
        with self.http() as http:
            return http.delete(f"/operations/{operation_id}/cancel").status_code

    def worker(self, name: str) -> dict[str, Any] | None:
        with self.http() as http:
            answer = http.get(f"/workers/{name}")
        return dict(answer.json()) if answer.status_code == 200 else None

    def until_status(self, operation_id: str, *statuses: str, timeout_s: float = 30.0) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            try:
                operation = self.operation(operation_id)
            except httpx.HTTPError:
                return None
            return operation if operation["status"] in statuses else None

        return until(
            reached, f"{operation_id} is {' or '.join(statuses)}", timeout_s, lambda: self.story(operation_id)
        )

    def story(self, operation_id: str) -> str:
        with self.http() as http:
            operation = http.get(f"/operations/{operation_id}").json()
            events = http.get(f"/operations/{operation_id}/events").json()
        logs = "".join(self.log(name) for name in self.processes)
        return json.dumps({"operation": operation, "events": events}, indent=1)[:6000] + logs

    # What really ran ------------------------------------------------------------------------------------

    def marks(self, word: str | None = None, operation_id: str | None = None) -> list[list[str]]:
        if not self.marks_file.exists():
            return []
        rows = [line.split() for line in self.marks_file.read_text().splitlines()]
        return [row for row in rows if word in (None, row[0]) and operation_id in (None, row[1])]


@contextmanager
def running(directory: Path, agents: int = 2, **settings: str) -> Iterator[System]:
    """A system with everything started and `agents` agents named agent-1, agent-2, ..."""
    system = System(directory, settings)
    try:
        system.prepare()
        system.start_web()
        system.start_dispatcher()
        system.start_schedules()
        for number in range(1, agents + 1):
            system.start_agent(f"agent-{number}", wait=False)
        for number in range(1, agents + 1):
            until(
                lambda n=number: system.worker(f"agent-{n}"),
                f"agent-{number} is registered",
                explain=lambda: system.log("agent-1"),
            )
        yield system
    finally:
        system.stop()
