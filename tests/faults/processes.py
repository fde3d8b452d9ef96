"""Processes that a test starts, may kill, and leaves none of behind."""

import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ktrdr_site.processes.parent_death import die_with_parent
from tests.calibration import stretched
from tests.waiting import until_exit

ROOT = Path(__file__).resolve().parent.parent.parent
LOG_SHOWN = 4000


PORTS = range(20_000, 32_000)
"""Below those that the kernel gives to connections."""


def ports_in_turn() -> Iterator[int]:
    """Yield the ports that belong to this process of the tests, one after the other.

    A port is free from its choice to the start of its server, which takes long on a loaded machine: chosen at random,
    it would meanwhile be chosen again.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    share = PORTS[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))]
    start = secrets.randbelow(
        len(share)
    )  # another run of the tests on this machine probably starts elsewhere
    yield from itertools.cycle((*share[start:], *share[:start]))


_ports = ports_in_turn()


def free_port() -> int:
    """Return a port that is still free when the server that is told of it starts."""
    for port in _ports:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports never end")


def tree(pid: int) -> list[psutil.Process]:
    """The process and all of its descendants; empty where it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def signal_all(processes: list[psutil.Process], signum: int) -> None:
    for process in processes:
        try:
            process.send_signal(signum)
        except psutil.NoSuchProcess:
            continue


@dataclass
class Processes:
    directory: Path
    environment: dict[str, str]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _ever: list[psutil.Process] = field(default_factory=list)
    """Descendants seen when their ancestor was killed: they outlive it where the product has a bug."""

    def call(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """In a session of its own, with its output in `NAME.log`; it ends with the tests, also where those are killed."""
        with (self.directory / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *command],
                cwd=ROOT,
                env={**self.environment, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),
            )
        self.running[name] = process
        return process

    def is_up(self, name: str) -> bool:
        process = self.running.get(name)
        return process is not None and process.poll() is None

    def pid(self, name: str) -> int:
        return self.running[name].pid

    def tree(self, name: str) -> list[psutil.Process]:
        return tree(self.pid(name))

    def kill(self, name: str, signum: int = signal.SIGKILL, wait_s: float = 20) -> list[psutil.Process]:
        """Signals the one process and waits for its end; returns what had been its descendants."""
        below = self.tree(name)[1:]
        self._ever += below
        process = self.running.pop(name)
        process.send_signal(signum)
        until_exit(process, wait_s)
        return below

    def kill_at_once(self, *names: str, wait_s: float = 20) -> None:
        """As when their machine loses its power: none is waited for before the last is gone."""
        self._ever += [process for name in names for process in self.tree(name)[1:]]
        gone = [self.running.pop(name) for name in names]
        for process in gone:
            process.kill()
        for process in gone:
            until_exit(process, wait_s)

    def signal_group(self, name: str, signum: int, wait_s: float = 20) -> None:
        """As a shell or an init does it: the whole group at once."""
        self._ever += self.tree(name)
        process = self.running.pop(name)
        os.killpg(process.pid, signum)
        until_exit(process, wait_s)

    def log(self, name: str) -> str:
        path = self.directory / f"{name}.log"
        if not path.exists():
            return f"no log of {name}"
        return f"\n--- {name}.log\n{path.read_text(errors='replace')[-LOG_SHOWN:]}"

    def stop(self) -> None:
        """Ends what was started, and what that started."""
        left = [process for one in self.running.values() for process in tree(one.pid)] + self._ever
        signal_all(left, signal.SIGCONT)
        for process in self.running.values():
            process.terminate()
        _, alive = psutil.wait_procs(left, timeout=stretched(8))
        signal_all(alive, signal.SIGKILL)
        for process in self.running.values():
            until_exit(process, 5)
        self.running.clear()
