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

import argparse
import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from worker_agent import kernel
from worker_agent.files import DEFAULT_BYTES
from worker_agent.job import Job
from worker_agent.protocol import Identifier, OperationType

__all__ = ["Job", "OperationSpec", "Options", "WorkerAPIBase"]

log = logging.getLogger(__name__)

SHUTDOWN_GRACE_S = 4.0


@dataclass(frozen=True, slots=True)
class OperationSpec:
    """One kind of work. `run(worker, parameters, job)` is called in the job's own process; it is found there by its
    name, so it has to be a method or a function of a module."""

    operation_type: str
    start_path: str
    Parameters: type[BaseModel]
    run: Callable[[Any, Any, Job], dict[str, Any]]

    def announced(self) -> OperationType:
        return OperationType(
            operation_type=self.operation_type,
            start_path=self.start_path,
            parameters_schema=self.Parameters.model_json_schema(),
        )


@dataclass(frozen=True, slots=True)
class Options:
    """How the agent was started."""

    host: str
    port: int
    api_url: str
    worker_id: str
    public_url: str
    data_dir: Path
    token: str
    cache_bytes: int = DEFAULT_BYTES
    shutdown_grace_s: float = SHUTDOWN_GRACE_S


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
        logging.basicConfig(
            level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
        )
        options = cls.options(arguments)
        kernel.adopt_orphans()
        try:
            asyncio.run(cls().serve(options))
        except OSError as error:
            raise SystemExit(f"cannot serve at {options.host}:{options.port}: {error}") from error

    @classmethod
    def options(cls, arguments: Sequence[str] | None = None) -> Options:
        parser = argparse.ArgumentParser(description=cls.__doc__, allow_abbrev=False)
        env = os.environ
        parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: %(default)s)")
        parser.add_argument(
            "--port",
            type=int,
            default=int(env.get("WORKER_PORT") or cls.default_port),
            help="0: any free one",
        )
        parser.add_argument("--api-url", default=env.get("KTRDR_API_URL", "http://127.0.0.1:8000"))
        parser.add_argument("--worker-id", default=env.get("WORKER_ID"), help="default: host name and port")
        parser.add_argument(
            "--public-url", default=env.get("KTRDR_PUBLIC_URL"), help="how the backend reaches this worker"
        )
        parser.add_argument(
            "--data-dir", type=Path, default=None, help="reports not yet acknowledged, cached files"
        )
        found = parser.parse_args(arguments)
        port = found.port or free_port(found.host)
        worker_id = found.worker_id or f"{socket.gethostname()}-{port}"
        try:
            TypeAdapter(Identifier).validate_python(worker_id)
        except ValidationError:
            parser.error(f"--worker-id: {worker_id!r} has to be letters, digits, '.', '_', ':' or '-'")
        if urlsplit(found.api_url).scheme not in ("http", "https"):
            parser.error(f"--api-url: {found.api_url!r} does not begin with http:// or https://")
        home = Path(env.get("KTRDR_DATA_DIR", "var")) / "workers" / worker_id.replace(":", "_")
        return Options(
            host=found.host,
            port=port,
            api_url=found.api_url.rstrip("/"),
            worker_id=worker_id,
            public_url=(found.public_url or f"http://{own_address(found.host, found.api_url)}:{port}").rstrip(
                "/"
            ),
            data_dir=(found.data_dir or home).resolve(),
            token=token_from_environment(),
            cache_bytes=int(env.get("KTRDR_CACHE_BYTES", DEFAULT_BYTES)),
            shutdown_grace_s=float(env.get("KTRDR_SHUTDOWN_GRACE_S", SHUTDOWN_GRACE_S)),
        )

    async def serve(self, options: Options, ready: asyncio.Event | None = None) -> None:
        """Serves and works until SIGTERM, SIGINT or a drain."""
        from worker_agent.agent import Agent
        from worker_agent.api import application

        options.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        agent = Agent(self, options, instance_id=secrets.token_hex(8))
        runner = web.AppRunner(application(agent), access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, options.host, options.port).start()
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, agent.shut_down)
            log.info("%s listens at %s:%s", options.worker_id, options.host, options.port)
            if ready is not None:
                ready.set()
            await agent.run()
        finally:
            await runner.cleanup()


def token_from_environment() -> str:
    """KTRDR_WORKER_TOKEN, or the content of the file that KTRDR_WORKER_TOKEN_FILE names."""
    if path := os.environ.get("KTRDR_WORKER_TOKEN_FILE"):
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise SystemExit(f"KTRDR_WORKER_TOKEN_FILE: {error}") from error
    return os.environ.get("KTRDR_WORKER_TOKEN", "")


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def own_address(host: str, api_url: str) -> str:
    """The address by which others reach this machine: the one from which the backend is reached."""
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104  (a comparison)
        return host
    parts = urlsplit(api_url)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing; it only chooses the way.
            probe.connect((parts.hostname or "127.0.0.1", parts.port or 80))
            return str(probe.getsockname()[0])
    except OSError:
        return socket.gethostname()
