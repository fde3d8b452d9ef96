"""`python -m worker_agent.job.forking.server`: forks job processes from a process with loaded and warm libraries.

The first job waits until the modules are loaded: forked earlier it would load them itself, into memory that nobody shares.
After that the server warms up between two requests, one step at a time, so an early job waits for one step only and does
the rest itself. The server never starts a thread: a thread does not survive a fork, and the locks that it held stay locked.
"""

import argparse
import gc
import logging
import os
import pkgutil
import select
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from types import FrameType

from worker_agent.job import linux, process_tree
from worker_agent.job.forking import keeper, messages
from worker_agent.job.forking.huge_pages import join_pages
from worker_agent.job.forking.resident_files import release_files
from worker_agent.job.forking.wake_up import WakeUp
from worker_agent.job.thread_limits import limit_threads
from worker_agent.monitoring import logs
from worker_agent.program import harden_process

log = logging.getLogger(__name__)

COLLECT_AFTER = 10_000
"""New objects between two garbage collections during the warm-up, whose objects are kept anyway."""


def main() -> None:
    harden_process()
    limit_threads()
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    add_options(parser)
    parser.add_argument("--preload", default="", help="modules to import, separated by commas")
    parser.add_argument("--warm-up", default="", help="MODULE:FUNCTION that returns an iterator of steps")
    options = parser.parse_args()
    preload = tuple(name for name in options.preload.split(",") if name)
    serve(options, preload, (options.warm_up,) if options.warm_up else ())


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of every fork server."""
    parser.add_argument("--listener", type=int, required=True, help="descriptor of the listening socket")
    parser.add_argument("--parent", type=int, default=os.getppid(), help="process whose end ends this one")
    parser.add_argument("--name", default="fork-server", help="worker id in the lines of the log")


def serve(options: argparse.Namespace, preload: tuple[str, ...], warm_ups: tuple[str, ...]) -> None:
    """Serve until SIGTERM, and then until the last job has ended."""
    logs.configure(options.name)
    linux.die_with_parent(options.parent, signal.SIGTERM)
    linux.adopt_orphans()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # a terminal sends it to the agent too, which ends the job in order
    listener = socket.socket(fileno=options.listener)
    with WakeUp(signal.SIGCHLD) as wake_up:
        server = ForkServer(listener, warm_steps(preload, warm_ups), wake_up)
        signal.signal(signal.SIGTERM, server.leave)
        server.run()


def warm_steps(preload: tuple[str, ...], warm_ups: tuple[str, ...]) -> Iterator[None]:
    """Import all modules at the first step, then take the steps of the functions."""
    for name in preload:
        import_module(name)
    yield
    for function in warm_ups:
        yield from pkgutil.resolve_name(function)()


@dataclass(slots=True)
class ForkServer:
    listener: socket.socket
    steps: Iterator[None]
    wake_up: WakeUp
    is_warm: bool = False
    leaving: bool = False
    keepers: set[int] = field(default_factory=set)
    thresholds: tuple[int, int, int] = field(default_factory=gc.get_threshold)
    """Of garbage collection, in jobs."""

    def run(self) -> None:
        gc.set_threshold(COLLECT_AFTER, *self.thresholds[1:])
        self._warm_up()
        self.listener.setblocking(False)
        signals, requests = self.wake_up.fileno(), self.listener.fileno()
        while not self.leaving or self.keepers:
            waiting = (signals,) if self.leaving else (signals, requests)
            ready, _, _ = select.select(waiting, (), (), None if self.is_warm else 0)
            if not ready:
                self._warm_up()
            if signals in ready:
                self.wake_up.read()
                self._reap()
            if requests in ready:
                self._accept()

    def leave(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGTERM: accept no more requests. Without a job end at once, in the middle of a step too."""
        self.leaving = True
        if not self.keepers:
            os._exit(0)

    def _warm_up(self) -> None:
        """Take one step. A step that fails is the last: jobs do themselves what is missing."""
        try:
            next(self.steps)
        except StopIteration:
            self.is_warm = True
        except ImportError as error:  # a worker without torch
            self.is_warm = True
            log.warning("warming up ended early: %s", error)
        except Exception:
            self.is_warm = True
            log.exception("warming up failed")
        if self.is_warm:
            gc.collect()
            release_files()
            join_pages()
            log.info("fork server is warm: threads=%s", process_tree.count_threads())

    def _accept(self) -> None:
        try:
            connection, _ = self.listener.accept()
        except OSError as error:  # the peer has gone, or no descriptor is left
            log.warning("could not accept a request: %s", error.strerror)
            return
        with connection:
            if (uid := messages.peer_uid(connection)) != os.geteuid():
                log.warning("refused a request of another user: uid=%s", uid)
                return
            self._fork_keeper(connection)

    def _fork_keeper(self, connection: socket.socket) -> None:
        server = os.getpid()
        gc.freeze()  # a collection in a child would write to, and so copy, every page with objects
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            log.error("could not fork: %s", error.strerror)
            return
        if pid == 0:
            status = 1
            try:
                gc.set_threshold(*self.thresholds)
                self.wake_up.close()
                self.listener.close()
                status = keeper.keep(connection, server)
            except BaseException:
                log.exception("the keeper of a job failed")
            finally:
                os._exit(status)
        self.keepers.add(pid)

    def _reap(self) -> None:
        """Reap ended keepers. A killed one leaves its job to this process, which kills it."""
        killed = False
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            killed = killed or (pid in self.keepers and os.WIFSIGNALED(status))
            self.keepers.discard(pid)
        if killed:
            process_tree.kill_children(keep=self.keepers)


if __name__ == "__main__":
    main()
