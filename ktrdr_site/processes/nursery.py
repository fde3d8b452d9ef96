"""Forks the servers of the site from one process that has imported them all (only on Linux).

`up` forks the nursery before it has a thread or a connection, and the nursery never gets one. A forked server is what its
command line describes: the same module or script, environment, directory and title, without the second that its
imports take and with the memory of its code shared.
"""

import asyncio
import errno
import fcntl
import gc
import json
import multiprocessing
import os
import runpy
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import setproctitle

from ktrdr_site.processes.parent_death import die_with_parent

KIND = socket.SOCK_SEQPACKET
MAX_MESSAGE = 200_000
"""Bytes; it contains an environment."""
MAX_DESCRIPTORS = 8
FIRST_FREE = 100
"""Received descriptors are moved above it before they get their numbers."""
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


@dataclass(slots=True)
class Nursery:
    """The nursery, as `up` sees it. Start it before the event loop."""

    connection: socket.socket
    process: BaseProcess
    _started: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _ended: dict[int, asyncio.Future[int]] = field(default_factory=dict)
    _requests: int = 0
    _listening: bool = False

    @classmethod
    def start(cls, modules: Iterable[str], prepare: Callable[[], object]) -> "Nursery | None":
        """Fork the nursery, which imports the modules and calls `prepare`; None where forking is unsafe."""
        if sys.platform != "linux":
            return None
        ours, theirs = socket.socketpair(socket.AF_UNIX, KIND)
        process = multiprocessing.get_context("fork").Process(
            target=_run, args=(ours, theirs, tuple(modules), prepare, os.getpid()), daemon=False
        )
        gc.collect()
        gc.freeze()  # here too, so that the memory of what both have imported stays shared
        process.start()
        theirs.close()
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
            "number": number, "command": command, "environment": environment, "directory": str(directory),
            "descriptors": descriptors,
        }  # fmt: skip
        read_end, write_end = os.pipe()
        try:
            socket.send_fds(self.connection, [json.dumps(request).encode()], [write_end, *descriptors])
        except OSError:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
        return ForkedProcess(await started, reader, ended)

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
            self._started.pop(message["number"]).set_result(message["pid"])
        else:
            self._ended.pop(message["number"]).set_result(message["status"])

    def _give_up(self) -> None:
        """The nursery has ended, and with it all that it forked."""
        asyncio.get_running_loop().remove_reader(self.connection)
        self._listening = False
        for started in self._started.values():
            started.set_exception(ConnectionResetError(errno.ECONNRESET, "their nursery has ended"))
        for ended in self._ended.values():
            ended.set_result(STOPPED)
        self._started.clear()
        self._ended.clear()


def _run(
    theirs: socket.socket,
    connection: socket.socket,
    modules: tuple[str, ...],
    prepare: Callable[[], object],
    parent: int,
) -> None:
    """Run the nursery until its parent ends or closes the connection."""
    theirs.close()
    os.setsid()  # Ctrl-C in a terminal reaches only `up`
    die_with_parent(signal.SIGTERM, parent)()
    setproctitle.setproctitle(f"{setproctitle.getproctitle()} (nursery)")
    for name in modules:
        import_module(name)
    prepare()
    gc.collect()
    NurseryLoop(connection).run()


@dataclass(slots=True)
class NurseryLoop:
    connection: socket.socket
    _children: dict[int, tuple[int, BaseProcess]] = field(default_factory=dict)
    """Request number and process by pid."""

    def run(self) -> None:
        read_end, write_end = os.pipe()
        for end in (read_end, write_end):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select((self.connection.fileno(), read_end), (), ())
            if read_end in ready:
                os.read(read_end, 4096)
                self._report_ended()
            if self.connection.fileno() in ready and not self._serve():
                return

    def _serve(self) -> bool:
        """Fork a server; return False at the end of the connection."""
        content, received, _, _ = socket.recv_fds(self.connection, MAX_MESSAGE, MAX_DESCRIPTORS)
        if not content:
            return False
        request: dict[str, Any] = json.loads(content)
        gc.freeze()  # a collection in a child would write to, and so copy, every page with objects
        process = multiprocessing.get_context("fork").Process(
            target=_become, args=(request, received, self.connection, os.getpid()), daemon=False
        )
        process.start()
        assert process.pid is not None, "the process has been started"
        self._children[process.pid] = request["number"], process
        self._send(number=request["number"], pid=process.pid)
        for descriptor in received:
            os.close(descriptor)
        return True

    def _report_ended(self) -> None:
        for pid, (number, process) in tuple(self._children.items()):
            if process.exitcode is not None:
                del self._children[pid]
                self._send(number=number, status=process.exitcode)

    def _send(self, **message: int) -> None:
        self.connection.send(json.dumps(message).encode())


def _become(request: dict[str, Any], received: list[int], connection: socket.socket, nursery: int) -> None:
    """Turn this forked process into the server of the request."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent(signal.SIGTERM, nursery)()
    connection.close()
    _place([1, *request["descriptors"]], received)
    os.dup2(1, 2)
    _close_all_but({0, 1, 2, *request["descriptors"]})
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    _, *arguments = command = request["command"]
    setproctitle.setproctitle(f"{' '.join(command)} (data in {os.environ['KTRDR_DATA_DIR']})")
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


def _place(numbers: list[int], received: list[int]) -> None:
    """Give the received descriptors their numbers, and make them inheritable."""
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_FREE) for descriptor in received]
    for descriptor in received:
        os.close(descriptor)
    for descriptor, number in zip(high, numbers, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)


def _close_all_but(kept: set[int]) -> None:
    """Close what the nursery and its parent have open, as a new program would find it closed."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # the descriptor of the list itself
                os.close(int(name))


def _ignore(number: int, frame: FrameType | None) -> None:
    """Unlike SIG_IGN, a handler lets the kernel keep ended children until they are waited for."""
