"""Everything on one machine: in which order it starts and stops."""

import asyncio
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import connection

from ktrdr_site.embedded import cluster, lease
from ktrdr_site.processes.guard import Guard
from ktrdr_site.processes.supervisor import Supervisor
from ktrdr_site.stack import preparation
from ktrdr_site.stack.job_socket import JobSocket, open_job_socket
from ktrdr_site.stack.journal import Journal
from ktrdr_site.stack.preloading import Nurseries
from ktrdr_site.stack.preparation import NotReadyError
from ktrdr_site.stack.services import Plan, fork_server, servers, workers
from ktrdr_site.stack.site_client import get
from ktrdr_site.stack.startup import Startup
from ktrdr_site.stack.terminal import Terminal, terminal_for
from registry.models import Worker

READY_TIMEOUT_S = 60
READY_POLL_S = 0.05
HOPELESS_STARTS = 4
# Together below the 15 s within which every process must have ended. The servers also get what the workers left over.
WORKERS_GRACE_S = 7
SERVERS_GRACE_S = 4
DATABASE_GRACE_S = 3

T = TypeVar("T")
log = structlog.get_logger(__name__)


async def run(plan: Plan, nurseries: Nurseries, guard: Guard) -> int:
    """Run until a signal, or with `exit_after_demo` until the demo is over. Raises NotReadyError."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    terminal = terminal_for(sys.stdout, on_closed=stop.set)
    with (
        _data_directory_lock(plan.data_dir),
        _listening_socket(plan) as listener,
        _job_socket(plan) as jobs,
    ):
        plan = replace(plan, port=listener.getsockname()[1])
        _create_log_directory(plan.log_dir)
        journal = Journal(plan.log_dir, terminal, plan.verbose)
        system = System(plan, terminal, journal, Supervisor(journal, guard.watch), stop, nurseries, jobs)
        with journal.with_own_log():
            async with terminal.animate():
                try:
                    return await system.serve(listener)
                finally:
                    await system.stop_everything()


@dataclass(slots=True)
class System:
    plan: Plan
    terminal: Terminal
    journal: Journal
    supervisor: Supervisor
    stop: asyncio.Event
    nurseries: Nurseries
    jobs: JobSocket | None
    """None where jobs are spawned, or without workers."""
    startup: Startup = field(init=False)
    _starting_jobs: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.startup = Startup(self.plan, self.terminal)

    async def serve(self, listener: socket.socket) -> int:
        """Start everything, run the demo where it is due, and serve until `stop`; return the exit status."""
        plan = self.plan
        first_start = not (plan.data_dir / "api-token").exists()
        self.terminal.show(f"Starting KTRDR, data directory {plan.data_dir}")
        self.terminal.show()
        token = await self._start_database()
        if not await self._start_servers(listener, token):
            return 0
        self.terminal.show(f"KTRDR is ready at {plan.url}/dashboard/")
        runs_demo = plan.exit_after_demo or (plan.demo and first_start)
        succeeded = await self._unless_stopped(self._run_demo() if runs_demo else self._wait_for_all())
        if not self.stop.is_set():
            self._show_directions(runs_demo)
        if plan.exit_after_demo:
            return 0 if succeeded else 1
        await self.stop.wait()
        return 0

    async def stop_everything(self) -> None:
        """Stop the workers first: their last reports need the web server, which needs the database."""
        self.terminal.abandon_all()
        shown = not self.supervisor.is_empty
        if shown:
            self.terminal.show()
            self.terminal.begin("KTRDR")
        if self._starting_jobs is not None:
            self._starting_jobs.cancel()
        await self.startup.settle()
        deadline = time.monotonic() + WORKERS_GRACE_S + SERVERS_GRACE_S
        await self.supervisor.stop([*self.plan.worker_names, *self.plan.dispatcher_names], WORKERS_GRACE_S)
        await self.supervisor.stop_all(max(deadline - time.monotonic(), 0.0))
        await asyncio.to_thread(lease.release, self.plan.data_dir / "postgres", DATABASE_GRACE_S)
        if shown:
            self.terminal.finish("KTRDR", "stopped")

    async def _start_database(self) -> str:
        """Return the token with which workers enrol."""
        self.terminal.begin("database")
        await asyncio.to_thread(preparation.connect)
        token = preparation.worker_token(self.plan.data_dir)
        self.startup.previous_instances = await asyncio.to_thread(_prepare_database, self.plan.data_dir)
        self.terminal.finish("database", "ready", _describe_database(self.plan))
        return token

    async def _start_servers(self, listener: socket.socket, token: str) -> bool:
        """Return whether the web server answers; False when asked to stop before."""
        self.terminal.begin("web")
        await asyncio.to_thread(preparation.collect_static, self.plan.data_dir)
        self.supervisor.start(servers(self.plan, listener, self.nurseries.site))
        # Their registrations wait in the queue of the socket until the web server accepts them.
        self.supervisor.start(workers(self.plan, token, self.jobs, self.nurseries.workers))
        self.startup.begin(["schedules", "dispatcher", *(["workers"] if self.plan.worker_names else [])])
        self._starting_jobs = asyncio.create_task(self._start_fork_server())
        if not await self._ready_or_stopped():
            return False
        self.terminal.finish("web", "ready")
        return True

    async def _start_fork_server(self) -> None:
        """Start it after the workers have registered: to load its libraries keeps a core busy for seconds."""
        if self.jobs is not None:
            await self.startup.workers_started.wait()
            self.supervisor.start([fork_server(self.plan, self.jobs, self.nurseries.workers)])

    async def _ready_or_stopped(self) -> bool:
        """Raises NotReadyError when the web server will never answer."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self.stop.is_set():
            status, _ = await get(self.plan, "/health")
            if status == 200:
                return True
            if self.supervisor.early_exits("web") >= HOPELESS_STARTS or time.monotonic() > deadline:
                raise NotReadyError(f"the web server does not start; see {self.plan.log_dir / 'web.log'}")
            await asyncio.sleep(READY_POLL_S)
        return False

    async def _unless_stopped(self, work: Coroutine[None, None, T]) -> T | None:
        """Return the result of the work; None where it was stopped before."""
        working = asyncio.create_task(work)
        stopped = asyncio.create_task(self.stop.wait())
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if working.done():
            return working.result()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        return None

    async def _wait_for_all(self) -> bool:
        await self.startup.wait()
        self.terminal.show()
        return True

    async def _run_demo(self) -> bool:
        """Return whether it succeeded. A stop ends only the watching: the operations are kept and resumed later."""
        # Only a first start loads the HTTP client.
        from ktrdr_site.demo.run import open_demo, show_result
        from ktrdr_site.demo.scenario import SUMMARY, DemoError

        token = (self.plan.data_dir / "api-token").read_text().strip()
        try:
            async with open_demo(self.plan.url, token, self.terminal) as demo:
                # The uploads wait in the queue while the workers start.
                imports, _ = await asyncio.gather(
                    demo.start_imports(), self.startup.wait(), return_exceptions=True
                )
                if isinstance(imports, BaseException):
                    raise imports
                self.terminal.show()
                self.terminal.show(SUMMARY)
                self.terminal.show()
                show_result(self.terminal, self.plan.url, await demo.run(imports))
        except DemoError as error:
            self.terminal.warn("demo", f"failed: {error}", self.journal.tail(error.process))
            return False
        except Exception:  # a defect of the demo must not end the site
            log.exception("demo failed")
            self.terminal.warn("demo", f"failed; the traceback is in {self.plan.log_dir / 'up.log'}")
            return False
        return True

    def _show_directions(self, after_demo: bool) -> None:
        plan = self.plan
        if after_demo:  # the line with the address is far above
            self.terminal.show(f"  Dashboard  {plan.url}/dashboard/")
        self.terminal.show(f"  Login      user admin, password in {plan.data_dir / 'admin-password'}")
        self.terminal.show(f"  Logs       {plan.log_dir}")
        if not plan.exit_after_demo:
            self.terminal.show("  Stop       Ctrl-C")


@contextmanager
def _job_socket(plan: Plan) -> Iterator[JobSocket | None]:
    if not plan.worker_names or sys.platform != "linux":
        yield None
        return
    with open_job_socket(plan.data_dir) as jobs:
        yield jobs


def _prepare_database(data_dir: Path) -> dict[str, str]:
    """Return the instance ids of the workers that an earlier start may have left."""
    try:
        preparation.prepare_database(data_dir)
        return dict(Worker.objects.values_list("worker_id", "instance_id"))
    finally:
        connection.close()


def _describe_database(plan: Plan) -> str:
    database = settings.DATABASES["default"]
    if database["ENGINE"] != "ktrdr_site.embedded":
        return f"PostgreSQL at {database['HOST']}"
    link = plan.log_dir / "database.log"
    if not link.is_symlink():
        link.symlink_to(Path("..", "postgres", cluster.SERVER_LOG))
    return "embedded PostgreSQL"


def _create_log_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise NotReadyError(f"the log directory {directory} cannot be created ({error.strerror})") from error


@contextmanager
def _data_directory_lock(data_dir: Path) -> Iterator[None]:
    descriptor = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReadyError(
                f"data directory in use: {data_dir} belongs to another `manage.py up`; "
                "stop that one or choose another --data-dir"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _listening_socket(plan: Plan) -> Iterator[socket.socket]:
    """Open the socket here and hand it down, so that a restart of the web server refuses no connection."""
    with socket.socket(socket.AF_INET6 if ":" in plan.host else socket.AF_INET) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((plan.host, plan.port))
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise NotReadyError(
                f"port {plan.port} on {plan.host} {reason}; choose another with --port"
            ) from None
        listener.listen(1024)
        yield listener
