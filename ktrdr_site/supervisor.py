"""Keeps a handful of processes running, passes their output on under a prefix, and leaves none behind."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ktrdr_site.parent_death import die_with_parent

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 30.0
"""A service that ran this long starts again with the first pause."""
LAST_WORDS_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    name: str
    command: Callable[[], list[str]]
    """Asked at each start, so that a port which was taken meanwhile can be another."""
    environment: dict[str, str]
    directory: Path
    pass_fds: tuple[int, ...] = ()


@dataclass(slots=True)
class _Running:
    service: Service
    task: asyncio.Task[None]
    process: asyncio.subprocess.Process | None = None
    stopping: bool = False
    ended_early: int = 0


@dataclass(slots=True)
class Supervisor:
    """Use from one event loop, in the main thread: the kernel binds children to the thread that forked them."""

    say: Callable[[str, str], None]
    """Called with the name of who speaks and one line."""
    started: Callable[[int], None] = lambda pid: None
    """Called with the number of each process."""
    _running: dict[str, _Running] = field(default_factory=dict)

    def start(self, services: Iterable[Service]) -> None:
        for service in services:
            task = asyncio.create_task(self._keep(service.name), name=service.name)
            self._running[service.name] = _Running(service, task)

    def ended_early(self, name: str) -> int:
        """How often in a row the service ended soon after its start."""
        return self._running[name].ended_early

    async def stop(self, names: Iterable[str], grace_s: float) -> None:
        """SIGTERM to the main processes, which end their own children in order; what is left after the grace is killed."""
        chosen = [self._running.pop(name) for name in tuple(names) if name in self._running]
        tree = [process for running in chosen for process in _tree(running)]
        for running in chosen:
            running.stopping = True
            if running.process is None or running.process.returncode is not None:
                running.task.cancel()
            else:
                running.process.terminate()
        gone_by = time.monotonic() + grace_s
        while any(map(_is_alive, tree)) and time.monotonic() < gone_by:
            await asyncio.sleep(0.05)
        for process in filter(_is_alive, tree):
            self.say("up", f"process {process.pid} did not end in {grace_s:g} s and is killed")
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await asyncio.gather(*(running.task for running in chosen), return_exceptions=True)

    async def stop_all(self, grace_s: float) -> None:
        await self.stop(tuple(self._running), grace_s)

    async def _keep(self, name: str) -> None:
        running = self._running[name]
        pause = FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            try:
                how = f"ended ({in_words(await self._run_once(running))})"
            except OSError as error:
                how = f"cannot be started ({error.strerror})"
            if running.stopping:
                return
            if time.monotonic() - started > STEADY_AFTER_S:
                pause, running.ended_early = FIRST_PAUSE_S, 0
            else:
                running.ended_early += 1
            self.say(name, f"{how}; starts again in {pause:g} s")
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    async def _run_once(self, running: _Running) -> int:
        service = running.service
        process = running.process = await asyncio.create_subprocess_exec(
            *service.command(),
            env=service.environment,
            cwd=service.directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=service.pass_fds,
            # Ctrl-C in a terminal reaches the supervisor alone, which then ends all others in order.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        self.started(process.pid)
        if running.stopping:  # asked while the process was being made
            process.terminate()
        assert process.stdout is not None
        output = asyncio.create_task(self._pass_on(service.name, process.stdout))
        status = await process.wait()
        # A grandchild may still hold the pipe: the service is over all the same.
        await asyncio.wait([output], timeout=LAST_WORDS_S)
        output.cancel()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # what the service left in its group
        return status

    async def _pass_on(self, name: str, pipe: asyncio.StreamReader) -> None:
        rest = b""
        while chunk := await pipe.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.say(name, line.decode(errors="replace").rstrip())
        if rest:
            self.say(name, rest.decode(errors="replace").rstrip())


def in_words(status: int) -> str:
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
