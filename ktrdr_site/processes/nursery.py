"""Forks servers from processes that have imported their code (only on Linux).

The nursery of the site has the code of web server, dispatcher, schedules, studies and task cluster; that of the workers has
the code of agents and fork server, and none of the secrets of the site. Neither ever has a thread or another
connection than the one to `up`. A forked server is what its command line describes: the same module or script,
environment, directory and title, without the seconds that its imports take and with the memory of its code shared.
"""

import asyncio
import errno
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from ktrdr_site.processes.nursery_loop import KIND, MAX_MESSAGE, load, run_nursery
from ktrdr_site.processes.parent_death import die_with_parent

READ_ON_DEMAND = 1
"""Limit of a stream that reads almost nothing ahead, so that lines nobody waits for do not wake up this process."""
STOPPED = -signal.SIGTERM
"""The status of a server whose nursery has ended, and which the kernel has told to end therefore."""


@dataclass(slots=True)
class ForkedProcess:
    """Like `asyncio.subprocess.Process`, but a child of the nursery."""

    pid: int
    stdout: asyncio.StreamReader
    ended: asyncio.Future[int]

    @property
    def returncode(self) -> int | None:
        return self.ended.result() if self.ended.done() else None

    async def wait(self) -> int:
        return await asyncio.shield(self.ended)

    def terminate(self) -> None:
        if not self.ended.done():
            os.kill(self.pid, signal.SIGTERM)


class NurseryProcess(Protocol):
    """A forked process or a new program."""

    @property
    def pid(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def terminate(self) -> None: ...
    def join(self) -> None: ...


class Program(subprocess.Popen[bytes]):
    """A new program with the methods of `multiprocessing.Process`."""

    def is_alive(self) -> bool:
        return self.poll() is None

    def join(self) -> None:
        self.wait()


@dataclass(slots=True)
class Nursery:
    """A nursery, as `up` sees it. Start it before the event loop."""

    connection: socket.socket
    process: NurseryProcess
    _started: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _ended: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _requests: int = 0
    _listening: bool = False

    @classmethod
    def start(cls, modules: Iterable[str], prepare: Callable[[], object]) -> "Nursery | None":
        """Import the modules, call `prepare` and fork a nursery; None where forking is unsafe.

        The nursery changes little of what it has from this process, so they share it.
        """
        if sys.platform != "linux":
            return None
        load(modules, prepare)
        ours, theirs = socket.socketpair(socket.AF_UNIX, KIND)
        process = multiprocessing.get_context("fork").Process(
            target=_enter, args=(ours, theirs, os.getpid()), daemon=False
        )
        process.start()
        theirs.close()
        ours.setblocking(False)
        return cls(ours, process)

    @classmethod
    def start_program(
        cls, modules: Iterable[str], prepare: str, environment: dict[str, str], directory: Path
    ) -> "Nursery | None":
        """Start a nursery as a new program with this environment; None where forking is unsafe.

        It imports the modules and calls `prepare`, written MODULE:FUNCTION.
        """
        if sys.platform != "linux":
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, KIND)
        with theirs:
            process = Program(
                [
                    sys.executable, "-m", "ktrdr_site.processes.nursery_loop",
                    f"--connection={theirs.fileno()}", f"--prepare={prepare}", *modules,
                ],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )  # fmt: skip
        ours.setblocking(False)
        return cls(ours, process)

    @property
    def is_alive(self) -> bool:
        return self.process.is_alive()

    async def fork(
        self, command: list[str], environment: dict[str, str], directory: Path, descriptors: tuple[int, ...]
    ) -> ForkedProcess:
        """Start a server. Raises OSError if the nursery has ended."""
        loop = asyncio.get_running_loop()
        if not self._listening:
            loop.add_reader(self.connection, self._receive)
            self._listening = True
        self._requests += 1
        number = self._requests
        started = self._started[number] = loop.create_future()
        ended = self._ended[number] = loop.create_future()
        request = {
            "command": command, "environment": environment, "directory": str(directory),
            "descriptors": descriptors,
        }  # fmt: skip
        message = json.dumps({"number": number}).encode()
        read_end, write_end = os.pipe()
        try:
            with _file_of(json.dumps(request).encode()) as file:
                socket.send_fds(self.connection, [message], [file.fileno(), write_end, *descriptors])
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        reader = asyncio.StreamReader(limit=READ_ON_DEMAND)
        pipe = os.fdopen(read_end, "rb")
        try:
            await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            return ForkedProcess(await started, reader, ended)
        except asyncio.CancelledError:  # stopped before it had started
            if not started.cancel() and started.exception() is None:
                _kill(started.result())
            raise

    def close(self) -> None:
        """End the nursery, after all servers have ended."""
        self.connection.close()
        self.process.terminate()
        self.process.join()

    def _receive(self) -> None:
        content = self.connection.recv(MAX_MESSAGE)
        if not content:
            self._give_up()
            return
        message = json.loads(content)
        if "pid" in message:
            started = self._started.pop(message["number"])
            if started.cancelled():
                _kill(message["pid"])
            else:
                started.set_result(message["pid"])
        else:
            self._ended.pop(message["number"]).set_result(message["status"])

    def _give_up(self) -> None:
        """The nursery has ended, and with it all that it forked."""
        asyncio.get_running_loop().remove_reader(self.connection)
        self._listening = False
        for started in self._started.values():
            if not started.cancelled():
                started.set_exception(ConnectionResetError(errno.ECONNRESET, "their nursery has ended"))
        for ended in self._ended.values():
            ended.set_result(STOPPED)
        self._started.clear()
        self._ended.clear()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _enter(
    ours: socket.socket,
    connection: socket.socket,
    parent: int,
) -> None:
    ours.close()
    os.setsid()  # Ctrl-C in a terminal reaches only `up`
    die_with_parent(signal.SIGTERM, parent)()
    run_nursery(connection)


def _file_of(content: bytes) -> IO[bytes]:
    """Return an open file in memory from which the content can be read."""
    file = os.fdopen(os.memfd_create("request"), "w+b")
    file.write(content)
    file.seek(0)
    return file
