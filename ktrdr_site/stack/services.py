"""The processes of one machine: their command lines and environments."""

import os
import socket
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from django.conf import settings

from ktrdr_site.processes.nursery import Nursery
from ktrdr_site.processes.supervisor import Service
from ktrdr_site.stack.job_socket import JobSocket

MANAGE = str(settings.BASE_DIR / "manage.py")
FIRST_PORTS = {"training": 5004, "backtesting": 5003}
HIDDEN_FROM_WORKERS = frozenset(
    {
        "KTRDR_SECRET_KEY", "KTRDR_SECRET_KEY_FALLBACKS", "KTRDR_DATABASE_URL", "KTRDR_EMAIL_URL",
        "KTRDR_WORKER_TOKEN_FILE", "KTRDR_WORKER_TOKEN", "KTRDR_FORK_SERVER", "WORKER_ID", "WORKER_PORT", "WORKER_TYPE",
    }
)  # fmt: skip
"""Secrets of the site, and what `up` sets itself."""
FORK_SERVER = "fork-server"
WEB_THREADS = 8


@dataclass(frozen=True, slots=True)
class Plan:
    """The options of `manage.py up`."""

    host: str
    port: int
    data_dir: Path
    workers: dict[str, int]
    demo: bool
    exit_after_demo: bool
    verbose: bool
    dispatchers: int = 1
    web_processes: int = 2

    @property
    def log_dir(self) -> Path:
        return self.data_dir / "logs"

    @property
    def worker_names(self) -> list[str]:
        return [f"{kind}-{number}" for kind, count in self.workers.items() for number in range(1, count + 1)]

    @property
    def dispatcher_names(self) -> list[str]:
        others = (f"dispatcher-{number}" for number in range(2, self.dispatchers + 1))
        return ["dispatcher", *others]

    @property
    def reachable_host(self) -> str:
        """The host by which this machine reaches its web server."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104  # nosec B104 # nothing is bound
        return f"[{host}]" if ":" in host else host

    @property
    def url(self) -> str:
        return f"http://{self.reachable_host}:{self.port}"


def workers(plan: Plan, token: str, jobs: JobSocket | None, nursery: Nursery | None) -> list[Service]:
    """Return the worker services. They get the enrolment token, but neither the database nor the secret key.

    Without a socket each worker starts a fork server of its own, or spawns its jobs where forking is unsafe.
    """
    environment = environment_without_secrets() | {"KTRDR_WORKER_TOKEN": token, "KTRDR_API_URL": plan.url}
    if jobs is not None:
        environment["KTRDR_FORK_SERVER"] = str(jobs.path)
    return [
        Service(
            f"{kind}-{number}",
            partial(_worker_command, plan, kind, number),
            environment,
            settings.BASE_DIR,
            nursery=nursery,
        )
        for kind, count in plan.workers.items()
        for number in range(1, count + 1)
    ]


def fork_server(plan: Plan, jobs: JobSocket, nursery: Nursery | None) -> Service:
    """Return the process from which the jobs of all workers are forked. Jobs inherit its environment."""
    descriptor = jobs.listener.fileno()
    kinds = [kind for kind, count in plan.workers.items() if count]
    command = [
        sys.executable, "-m", "workers.fork_server", f"--listener={descriptor}", *kinds,
    ]  # fmt: skip
    return Service(
        FORK_SERVER, lambda: command, environment_without_secrets(), settings.BASE_DIR, (descriptor,), nursery
    )


def environment_without_secrets() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if name not in HIDDEN_FROM_WORKERS}
    return environment | {"PYTHONUNBUFFERED": "1"}


def _worker_command(plan: Plan, kind: str, number: int) -> list[str]:
    name = f"{kind}-{number}"
    port = FIRST_PORTS[kind] + 10 * (number - 1)
    return [
        sys.executable, "-m", "workers", {"backtesting": "backtest"}.get(kind, kind),
        "--host", "127.0.0.1",
        "--port", str(_free_port(port)),
        "--api-url", plan.url,
        "--worker-id", name,
        "--data-dir", str(plan.data_dir / "workers" / name),
    ]  # fmt: skip


def _free_port(preferred: int) -> int:
    """Return the preferred port, or any free one if another program uses it."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port left on this machine")


def other_hosts(host: str) -> list[str]:
    """Return the hosts to allow beyond the settings: on every address, others use at least the machine's own name."""
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104  # nosec B104 # nothing is bound
    return [socket.gethostname()] if everywhere and "KTRDR_ALLOWED_HOSTS" not in os.environ else []


def servers(plan: Plan, listener: socket.socket, nursery: Nursery | None) -> list[Service]:
    home = settings.BASE_DIR
    environment = {**os.environ, "KTRDR_DATA_DIR": str(plan.data_dir), "PYTHONUNBUFFERED": "1"}
    if hosts := other_hosts(plan.host):
        environment["KTRDR_ALLOWED_HOSTS"] = ",".join(dict.fromkeys([*settings.ALLOWED_HOSTS, *hosts]))
    web = partial(web_command, f"fd://{listener.fileno()}", plan.web_processes)

    def run(name: str, command: str) -> Service:
        return Service(name, lambda: [sys.executable, MANAGE, command], environment, home, nursery=nursery)

    return [
        Service("web", web, environment, home, (listener.fileno(),), nursery),
        run("schedules", "run_schedules"),
        run("studies", "run_studies"),
        *(run(name, "run_dispatcher") for name in plan.dispatcher_names),
    ]


def web_command(address: str, processes: int) -> list[str]:
    """Return the command that serves the site at `address`, in gunicorn's notation.

    A connection is kept open for longer than HTTP clients keep theirs (httpx: 5 s). Were it shorter, the server could
    close a connection at the moment at which a client sends its next request over it.
    """
    return [
        sys.executable, "-m", "gunicorn", "ktrdr_site.wsgi",
        f"--bind={address}",
        f"--name=ktrdr_site.wsgi, data in {settings.DATA_DIR}",
        "--preload",  # loaded once for all processes
        "--worker-class=ktrdr_site.web.buffered_worker.BufferedWorker",
        f"--workers={processes}", f"--threads={WEB_THREADS}",
        "--graceful-timeout=3", "--timeout=60", "--keep-alive=15", "--log-level=warning",
        "--logger-class=ktrdr_site.gunicorn_log.Logger",
        "--worker-tmp-dir=/dev/shm" if Path("/dev/shm").is_dir() else "--worker-tmp-dir=/tmp",  # noqa: S108  # nosec B108 # gunicorn makes its own in it
    ]  # fmt: skip
