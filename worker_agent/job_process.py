"""The agent's side of a job's process: start it, listen to it, end it for certain.

The process comes from a fork server that has imported the heavy modules, so a job starts in milliseconds. It has
a session of its own; whatever it leaves behind becomes a child of the agent and is ended with it.
"""

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import psutil

from worker_agent import kernel
from worker_agent.job import Assignment, run_job
from worker_agent.protocol import ErrorClass, LogLevel
from worker_agent.running import RunningOperation

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
TERM_GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""
EXIT_GRACE_S = 5.0
"""For a process that has said its last word."""

Context = ForkServerContext | SpawnContext


def context(preload: tuple[str, ...]) -> Context:
    """The fork server with `preload` imported; on macOS, where forking after such imports is unsafe, plain spawn.

    One thread each for torch, BLAS and numba unless the environment says otherwise: two workers with their
    defaults on two cores were measured 6.5 times slower.
    """
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    server = multiprocessing.get_context("forkserver")
    # `base` too, since the module that defines a worker needs it: each job would load it anew.
    server.set_forkserver_preload(["worker_agent.fork_server", "worker_agent.base", *preload])
    return server


def warm_up(of: Context) -> None:
    """Starts the fork server now, so that the first job finds it with its modules imported; does not wait for them.

    In a thread that lives as long as the agent: the kernel ends the server with the thread that started it.
    """
    if isinstance(of, ForkServerContext):
        from multiprocessing.forkserver import ensure_running

        ensure_running()


@dataclass(slots=True)
class Ending:
    """How the process ended. `message` is its last word, None where it had none."""

    message: dict[str, Any] | None
    exit_code: int
    killed_by_us: bool
    out_of_memory: bool

    def error(self) -> dict[str, Any]:
        """For a process that ended without a last word."""
        if self.exit_code >= 0:
            text = f"The job's process ended with exit status {self.exit_code} and without a result."
            return {"class": ErrorClass.JOB, "message": text}
        name = _signal_name(-self.exit_code)
        if self.out_of_memory and self.exit_code == -signal.SIGKILL:
            return {
                "class": ErrorClass.OUT_OF_MEMORY,
                "message": "The kernel killed the job's process for want of memory.",
            }
        return {"class": ErrorClass.JOB, "message": f"The job's process was ended by {name}."}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


@dataclass(slots=True)
class JobProcess:
    operation: RunningOperation
    on_checkpoint: Callable[[int, dict[str, str]], None]
    """Called in the listening thread with the step and the files' paths."""
    _process: BaseProcess | None = None
    _pipe: Connection | None = None
    _ended: "asyncio.Future[Ending] | None" = None
    _killed: bool = False
    _last_word: dict[str, Any] | None = None
    _kills_before: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(
        self, of: Context, run: Callable[..., Any], worker: type, model: type, assignment: Assignment
    ) -> None:
        ours, theirs = of.Pipe(duplex=True)
        self._kills_before = kernel.out_of_memory_kills()
        self._process = of.Process(
            target=run_job,
            args=(run, worker, model, theirs, assignment),
            name=f"job {assignment.operation_id}",
            daemon=False,
        )
        self._process.start()
        theirs.close()
        self._pipe = ours
        loop = asyncio.get_running_loop()
        self._ended = loop.create_future()
        thread = threading.Thread(target=self._listen, args=(loop,), name="job-listener", daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    async def wait(self) -> Ending:
        """Until the process is gone and all it said was taken in."""
        assert self._ended is not None, "the job was not started"
        return await asyncio.shield(self._ended)

    async def end(self, reason: str, grace_s: float) -> None:
        """Asks, then SIGTERM, then SIGKILL, to the whole group; returns when the process is gone."""
        self._ask(reason)
        if await self._gone_within(grace_s):
            return
        self._killed = True
        self._signal(signal.SIGTERM)
        if await self._gone_within(min(TERM_GRACE_S, max(0.5, grace_s))):
            return
        self._signal(signal.SIGKILL)
        await self.wait()

    def kill(self) -> None:
        """Without asking."""
        self._killed = True
        self._signal(signal.SIGKILL)

    def _ask(self, reason: str) -> None:
        assert self._pipe is not None
        try:
            self._pipe.send_bytes(json.dumps({"reason": reason}).encode())
        except (OSError, ValueError):  # it is gone already
            return

    async def _gone_within(self, seconds: float) -> bool:
        assert self._ended is not None
        done, _ = await asyncio.wait({self._ended}, timeout=seconds)
        return bool(done)

    def _signal(self, number: signal.Signals) -> None:
        """To the job's group, and one by one to descendants that left it."""
        if self.pid is None:
            return
        family = _descendants(self.pid)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _listen(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._pipe is not None
        assert self._process is not None
        try:
            while self._last_word is None:
                self._take(json.loads(self._pipe.recv_bytes()))
        except (EOFError, OSError):
            pass
        except (ValueError, KeyError, TypeError) as error:
            # Our own code writes this pipe; whoever else does has ended the job.
            self.operation.add_log(f"The job said something unreadable: {error}", LogLevel.ERROR)
            self._signal(signal.SIGKILL)
        self._process.join(EXIT_GRACE_S if self._last_word else None)
        if self._process.exitcode is None:
            # Its last word is said, but a thread or an atexit hook keeps it: it ends now.
            self._signal(signal.SIGKILL)
            self._process.join()
        _end_group(self._process.pid)
        ending = Ending(
            self._last_word,
            self._process.exitcode or 0,
            self._killed,
            kernel.out_of_memory_kills() > self._kills_before,
        )
        self._pipe.close()
        loop.call_soon_threadsafe(self._announce, ending)

    def _announce(self, ending: Ending) -> None:
        assert self._ended is not None
        if not self._ended.done():
            self._ended.set_result(ending)

    def _take(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "progress":
                self.operation.set_progress(message)
            case "metric":
                self.operation.add_metric(message["name"], message["step"], message["value"], message["time"])
            case "log":
                self.operation.add_log(message["message"], LogLevel(message["level"]), message["time"])
            case "artifact":
                self.operation.artifacts[message["name"]] = Path(message["path"])
            case "checkpoint":
                self.on_checkpoint(message["step"], message["files"])
            case "end":
                self._last_word = message


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end_group(pid: int | None) -> None:
    """What the job left in its group."""
    if pid is None:
        return
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def all_live(pids: set[int]) -> bool:
    """Whether none of these has ended; a child that nobody has waited for yet has."""
    try:
        return all(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE for pid in pids)
    except psutil.NoSuchProcess:
        return False


def end_orphans(keep: set[int]) -> int:
    """Ends every descendant of this process that is not in `keep`: what a job left in other sessions.

    They are ours since this process adopts orphans. Returns how many there were.
    """
    found = [process for process in psutil.Process().children(recursive=True) if process.pid not in keep]
    for process in found:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(found, timeout=2)
    return len(found)
