"""The process of a nursery: imports modules and then forks servers until its connection to `up` ends.

`python -m ktrdr_site.processes.nursery_loop --connection=FD --prepare=MODULE:FUNCTION MODULE...` is the nursery of the workers, a new
program because the memory of `up` contains the secrets of the site.
"""

import argparse
import fcntl
import gc
import json
import multiprocessing
import os
import pkgutil
import runpy
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any

import setproctitle

from ktrdr_site.processes.descriptors import detach_all_but
from ktrdr_site.processes.parent_death import die_with_parent

KIND = socket.SOCK_SEQPACKET
MAX_MESSAGE = 1000
MAX_DESCRIPTORS = 8
FIRST_FREE = 100
"""Received descriptors are moved above it before they get their numbers."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--connection", type=int, required=True, help="descriptor of the socket to `up`")
    parser.add_argument("--prepare", required=True, help="MODULE:FUNCTION to call after the imports")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="modules to import")
    options = parser.parse_args()
    connection = socket.socket(fileno=options.connection)
    load(options.modules, lambda: pkgutil.resolve_name(options.prepare)())
    run_nursery(connection)


def load(modules: Iterable[str], prepare: Callable[[], object]) -> None:
    """Import the modules and call `prepare`, in the process from which servers are forked.

    A collection of garbage in a fork would write to, and so copy, every page with objects: those of now are exempt.
    """
    gc.disable()
    for name in modules:
        import_module(name)
    prepare()
    gc.freeze()
    gc.enable()


def run_nursery(connection: socket.socket) -> None:
    """Run the nursery until `up` closes the connection. The process must be bound to the end of `up` already."""
    setproctitle.setproctitle(f"{setproctitle.getproctitle()} (nursery)")
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
        number = json.loads(content)["number"]
        gc.freeze()  # a collection in a child would write to, and so copy, every page with objects
        process = multiprocessing.get_context("fork").Process(
            target=_become, args=(received, self.connection, os.getpid()), daemon=False
        )
        process.start()
        assert process.pid is not None, "the process has been started"
        self._children[process.pid] = number, process
        self._send(number=number, pid=process.pid)
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


def _become(received: list[int], connection: socket.socket, nursery: int) -> None:
    """Turn this forked process into the server of the request.

    Only this process reads the request: its environment may contain secrets, which the next server must not get.
    """
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    die_with_parent(signal.SIGTERM, nursery)()
    connection.close()
    with os.fdopen(received[0], "rb") as file:
        request: dict[str, Any] = json.load(file)
    _place([1, *request["descriptors"]], received[1:])
    os.dup2(1, 2)
    detach_all_but({0, 1, 2, *request["descriptors"]})
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    _, *arguments = command = request["command"]
    setproctitle.setproctitle(f"{' '.join(command)} (data in {os.environ.get('KTRDR_DATA_DIR', 'var')})")
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


def _ignore(number: int, frame: FrameType | None) -> None:
    """Unlike SIG_IGN, a handler lets the kernel keep ended children until they are waited for."""


if __name__ == "__main__":
    main()
