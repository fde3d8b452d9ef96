"""Several trials at once, each in a process of its own: whatever a trial creates is named after the number of its process."""

import importlib
import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from tests.deployments.command import TrialFailed
from tests.deployments.leftovers import adopt_orphans, interfaces, require_nothing_left
from tests.deployments.results import Results

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True, slots=True)
class Outcome:
    results: Results
    passed: bool


def run_trials(names: Sequence[str], at_once: int, release: str) -> Iterator[Outcome]:
    """Run this many at a time, in this order; yield each outcome when its trial has ended. A signal ends them all."""
    waiting, running = list(names), dict[Connection, tuple[str, BaseProcess]]()
    try:
        while waiting or running:
            while waiting and len(running) < at_once:
                name = waiting.pop(0)
                receiving, sending = SPAWN.Pipe(duplex=False)
                process = SPAWN.Process(target=_run, args=(sending, name, release), name=name)
                process.start()
                sending.close()
                running[receiving] = name, process
            for connection in wait(list(running)):
                assert isinstance(connection, Connection)
                name, process = running.pop(connection)
                yield _outcome(connection, name)
                process.join()
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()


def _outcome(connection: Connection, name: str) -> Outcome:
    try:
        outcome: Outcome = connection.recv()
    except EOFError:
        return Outcome(Results(name), passed=False)
    return outcome


def _run(sending: Connection, name: str, release: str) -> None:
    # Ctrl-C reaches all processes of the terminal, and this one also by SIGTERM: it must not interrupt its own clean-up.
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, _end)
    adopt_orphans()
    results, start = Results(name), time.monotonic()
    trial: Callable[..., None] = importlib.import_module(f"tests.deployments.{name}").trial
    before, passed = interfaces(), True
    try:
        trial(results, **({"release": release} if name == "upgrade" else {}))
        require_nothing_left(before)
    except Exception as error:
        passed = False
        if not isinstance(error, TrialFailed):
            traceback.print_exc()
        print(f"{name}: FAILED: {error}", flush=True)
    results.add("duration", f"{(time.monotonic() - start) / 60:.1f} min")
    sending.send(Outcome(results, passed))


def _end(number: int, _: object) -> None:
    """As Ctrl-C: every mount, namespace and machine is removed, once."""
    signal.signal(number, lambda *_: None)
    sys.exit(128 + number)
