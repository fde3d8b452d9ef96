"""The base that every worker is built on: a subclass says what it can do, and everything else is here.

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
import logging
import secrets
import signal
from collections.abc import Sequence
from importlib import metadata
from typing import Any, ClassVar

from aiohttp import web
from pydantic import BaseModel, JsonValue

from worker_agent import kernel, logs
from worker_agent.agent import Agent
from worker_agent.api import application
from worker_agent.job import Job
from worker_agent.options import Options, read_options
from worker_agent.work import OperationSpec

__all__ = ["Job", "OperationSpec", "WorkerAPIBase"]

log = logging.getLogger(__name__)


class WorkerAPIBase:
    """Subclass it with the class attributes and `run`, or with `operations` for several kinds of work."""

    worker_type: ClassVar[str]
    operation_type: ClassVar[str] = ""
    start_path: ClassVar[str] = ""
    Parameters: ClassVar[type[BaseModel]] = BaseModel
    operations: ClassVar[tuple[OperationSpec, ...]] = ()
    """Instead of the three above, where a worker can do more than one thing."""
    preload: ClassVar[tuple[str, ...]] = ()
    """Modules that the jobs need and that are slow to import."""
    default_port: ClassVar[int] = 5003

    def run(self, parameters: Any, job: Job) -> dict[str, Any]:
        """The work, in the job's own process. What it returns becomes the operation's result."""
        raise NotImplementedError(f"{type(self).__name__} has no run()")

    @classmethod
    def specs(cls) -> tuple[OperationSpec, ...]:
        return cls.operations or (OperationSpec(cls.operation_type, cls.start_path, cls.Parameters, cls.run),)

    def capabilities(self) -> dict[str, JsonValue]:
        """What this worker has beyond what is found by itself (cores, memory, GPU)."""
        return {}

    @property
    def version(self) -> str:
        try:
            return metadata.version("ktrdr-workers")
        except metadata.PackageNotFoundError:
            return "source"

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> None:
        """Runs the agent until it is told to leave."""
        options = read_options(cls.__doc__, cls.default_port, arguments)
        logs.configure(options.worker_id)
        kernel.adopt_orphans()
        try:
            asyncio.run(cls().serve(options))
        except OSError as error:
            raise SystemExit(f"cannot serve at {options.host}:{options.port}: {error}") from error

    async def serve(self, options: Options, ready: asyncio.Event | None = None) -> None:
        """Serves and works until SIGTERM, SIGINT or a drain."""
        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        agent = Agent(self, options, instance_id=secrets.token_hex(8))
        runner = web.AppRunner(application(agent), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, options.host, options.port, ssl_context=options.tls).start()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, agent.shut_down)
            log.info("%s listens at %s:%s", options.worker_id, options.host, options.port)
            if ready is not None:
                ready.set()
            await agent.run()
        finally:
            await runner.cleanup()
