"""The base class of every worker: a subclass describes its operations and runs them; the agent does the rest.

class EchoWorker(WorkerAPIBase):
    worker_type = "echo"
    operation_type = "echo"
    start_path = "/echo/start"
    Parameters = EchoParameters

    def run(self, parameters: EchoParameters, job: Job) -> dict: ...

if __name__ == "__main__":
    EchoWorker.main()
"""

import asyncio
import inspect
import logging
import secrets
import signal
from collections.abc import Sequence
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, JsonValue

from worker_agent.agent import Agent
from worker_agent.attempt.job_files import open_to_jobs
from worker_agent.job.job import Job
from worker_agent.job.user import VARIABLE, JobUser, UnusableJobUser, job_user
from worker_agent.monitoring import logs
from worker_agent.operation_spec import OperationSpec
from worker_agent.options import Options, read_options
from worker_agent.program import forbid_inspection, harden_process
from worker_agent.server.endpoints import create_application
from worker_agent.version import version

__all__ = ["Job", "OperationSpec", "WorkerAPIBase"]

log = logging.getLogger(__name__)


class NoParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class WorkerAPIBase:
    """Set the class attributes and define `run`, or set `operations` for several operation types."""

    worker_type: ClassVar[str]
    operation_type: ClassVar[str] = ""
    start_path: ClassVar[str] = ""
    Parameters: ClassVar[type[BaseModel]] = NoParameters
    Result: ClassVar[type[BaseModel] | None] = None
    """Describes the result for pages and lists (`worker_agent.results`); what `run` returns is not checked against it."""
    timeout_s: ClassVar[int | None] = None
    """Seconds that an attempt may run, if neither the request nor the site's settings for the type have a limit."""
    max_attempts: ClassVar[int | None] = None
    """How often its worker may be lost before an operation fails, if not as often as the site's settings say."""
    max_running: ClassVar[int | None] = None
    """How many operations of the type may run at the same time, on all workers together."""
    operations: ClassVar[tuple[OperationSpec, ...]] = ()
    """Replaces the attributes above in a worker with several operation types."""
    secrets: ClassVar[tuple[str, ...]] = ()
    """Names of the stored secrets that jobs need, for `job.secrets`. Staff grant them to the worker's type."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that jobs need and that are slow to import."""
    warm_up: ClassVar[str] = ""
    """`MODULE:FUNCTION`, called without arguments where jobs are forked from, after the modules have been imported.

    It returns an iterator: each step loads or compiles something that jobs need, in a second at most, and leaves no thread
    behind. Jobs may start between two steps."""
    default_port: ClassVar[int] = 5003

    def run(self, parameters: Any, job: Job) -> Any:
        """Do the work, in the job's own process, and return the operation's result: a dict, or a pydantic model."""
        raise NotImplementedError(f"{type(self).__name__} does not define run()")

    @classmethod
    def specs(cls) -> tuple[OperationSpec, ...]:
        own = OperationSpec(
            cls.operation_type,
            cls.start_path,
            cls.Parameters,
            cls.run,
            cls.timeout_s,
            cls.max_attempts,
            cls.max_running,
            inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0],
            cls.Result,
        )
        return cls.operations or (own,)

    def capabilities(self) -> dict[str, JsonValue]:
        """Return capabilities beyond those detected automatically (cores, memory, GPU)."""
        return {}

    @property
    def version(self) -> str:
        """Of the agent. The site compares it with that of other workers: results may depend on it."""
        return version()

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> None:
        """Run the agent until it shuts down."""
        harden_process()
        forbid_inspection()
        options = read_options(cls.__doc__, cls.default_port, arguments)
        logs.configure(options.worker_id)
        try:
            asyncio.run(cls().serve(options))
        except OSError as error:
            raise SystemExit(f"cannot listen on {options.host}:{options.port}: {error}") from error

    async def serve(self, options: Options, ready: asyncio.Event | None = None) -> None:
        """Serve requests and run operations until SIGTERM, SIGINT or a drain."""
        job_user = usable_job_user(options)
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        agent = Agent(self, options, secrets.token_hex(8), job_user)
        runner = web.AppRunner(
            create_application(agent), access_log=None, handle_signals=False, auto_decompress=False
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, options.host, options.port, ssl_context=options.tls).start()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, agent.shut_down)
            log.info("%s is listening on %s:%s", options.worker_id, options.host, options.port)
            if ready is not None:
                ready.set()
            await agent.run()
        finally:
            await runner.cleanup()
        log.info("%s has stopped", options.worker_id)


def usable_job_user(options: Options) -> JobUser | None:
    """Return the user of the agent's jobs, None for the agent's own; exit with the reason if it cannot be used."""
    try:
        user = job_user()
        if user is not None:
            user.check(open_to_jobs(options.data_dir, options.home))
    except (UnusableJobUser, OSError) as error:
        raise SystemExit(f"{VARIABLE}: {error}") from error
    return user
