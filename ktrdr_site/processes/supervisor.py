"""Keeps a handful of processes running, reads their output, and leaves none behind."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from ktrdr_site.processes.nursery import READ_ON_DEMAND, Nursery
from ktrdr_site.processes.parent_death import die_with_parent

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 30.0
"""A service that ran this long restarts with the first pause."""
LAST_OUTPUT_S = 1.0
PAUSE_S = 0.05
"""Between two readings of a service's output, so that the lines of a busy one are read together."""
MUCH = 16 * 1024
"""Bytes after which the next reading follows at once: the pipe holds four times as many."""


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    command: Callable[[], list[str]]
    """Called at each start, so that a port taken in the meantime can be replaced."""
    environment: dict[str, str]
    directory: Path
    pass_fds: tuple[int, ...] = ()
    nursery: Nursery | None = None
    """Has imported its code and forks it; without one it is started as a new program."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A service that ended without having been stopped."""

    name: str
    reason: str
    early_exits: int
    """In a row, this one included; 0 after a steady run."""
    restart_in_s: float

    def __str__(self) -> str:
        return f"{self.reason}; restarting in {self.restart_in_s:g} s"


class Process(Protocol):
    """A running service: a `subprocess.Process` of asyncio, or a forked one."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    @property
    def stdout(self) -> asyncio.StreamReader | None: ...
    async def wait(self) -> int: ...
    def terminate(self) -> None: ...


class Observer(Protocol):
    """Receives what happens to the services."""

    def on_start(self, name: str, pid: int) -> None: ...

    def on_line(self, name: str, line: str) -> None:
        """Receive one line of the service's output."""

    def on_exit(self, exit_: Exit) -> None: ...

    def on_kill(self, name: str, pid: int, grace_s: float) -> None:
        """Receive a process of the service that did not end within the grace."""


@dataclass(slots=True)
class _Running:
    service: Service
    task: asyncio.Task[None]
    process: Process | None = None
    stopping: bool = False
    early_exits: int = 0


@dataclass(slots=True)
class Supervisor:
    """Use from one event loop, in the main thread: the kernel binds children to the thread that forked them."""

    observer: Observer
    on_spawn: Callable[[int], None] = lambda pid: None
    """Called with the pid of each process."""
    _running: dict[str, _Running] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self._running

    def start(self, services: Iterable[Service]) -> None:
        for service in services:
            task = asyncio.create_task(self._keep(service.name), name=service.name)
            self._running[service.name] = _Running(service, task)

    def early_exits(self, name: str) -> int:
        """Return how often in a row the service ended soon after its start."""
        return self._running[name].early_exits

    async def stop(self, names: Iterable[str], grace_s: float) -> None:
        """Send SIGTERM to the main processes, which end their own children in order; kill the rest after the grace."""
        stopping = [self._running.pop(name) for name in tuple(names) if name in self._running]
        tree = {process: running.service.name for running in stopping for process in _tree(running)}
        for running in stopping:
            running.stopping = True
            if running.process is None or running.process.returncode is not None:
                running.task.cancel()
            else:
                running.process.terminate()
        deadline = time.monotonic() + grace_s
        while any(map(_is_alive, tree)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for process in filter(_is_alive, tree):
            self.observer.on_kill(tree[process], process.pid, grace_s)
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.gather(*(running.task for running in stopping), return_exceptions=True)

    async def stop_all(self, grace_s: float) -> None:
        await self.stop(tuple(self._running), grace_s)

    async def _keep(self, name: str) -> None:
        running = self._running[name]
        pause = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            try:
                reason = f"ended ({describe_status(await self._run_once(running))})"
            except OSError as error:
                reason = f"could not be started ({error.strerror})"
            if running.stopping:
                return
            if time.monotonic() - started > STEADY_AFTER_S:
                pause, running.early_exits = FIRST_PAUSE_S, 0
            else:
                running.early_exits += 1
            self.observer.on_exit(Exit(name, reason, running.early_exits, pause))
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self, running: _Running) -> int:
        service = running.service
        process = running.process = await self._launch(service)
        self.on_spawn(process.pid)
        self.observer.on_start(service.name, process.pid)
        if running.stopping:  # requested while the process was being created
            process.terminate()
        assert process.stdout is not None
        output = asyncio.create_task(self._read_lines(service.name, process.stdout))
        status = await process.wait()
        # A grandchild may still hold the pipe: do not wait for it.
        await asyncio.wait([output], timeout=LAST_OUTPUT_S)
        output.cancel()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # the rest of the service's process group
        return status

    async def _launch(self, service: Service) -> Process:
        """Start the service in a session of its own: forked from its nursery, or else as a new program."""
        command = service.command()
        if service.nursery is not None and service.nursery.is_alive:
            return await service.nursery.fork(
                command, service.environment, service.directory, service.pass_fds
            )
        return await asyncio.create_subprocess_exec(
            *command,
            env=service.environment,
            cwd=service.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=service.pass_fds,
            limit=READ_ON_DEMAND,
            # Ctrl-C in a terminal reaches only the supervisor, which then ends all others in order.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )

    async def _read_lines(self, name: str, pipe: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await pipe.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.observer.on_line(name, line.decode(errors="replace").rstrip())
            if len(chunk) < MUCH:
                await asyncio.sleep(PAUSE_S)
        if rest:
            self.observer.on_line(name, rest.decode(errors="replace").rstrip())


def describe_status(status: int) -> str:
    return f"exit status {status}" if status >= 0 else f"killed by {signal.Signals(-status).name}"


def _tree(running: _Running) -> list[psutil.Process]:
    if running.process is None:
        return []
    try:
        root = psutil.Process(running.process.pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
