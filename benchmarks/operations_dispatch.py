"""The way of an operation through the whole system, and of a no-op task through other task queues.

The system is `manage.py up` (web server, dispatcher, schedules, embedded PostgreSQL) at its default clocks; ten stub workers
report at once. procrastinate runs submission and ten tasks at a time in one process, django-q2 a cluster with two
workers, both on databases of the same server. The rounds are interleaved, and processor time is that of all processes with
the server's. Goals: 12 ms of processor time, half of procrastinate's rate, and from submission to start 15 ms at
the median and 33 ms at the 95th percentile on an idle machine.
"""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import aiohttp
import psycopg
import psycopg.sql

from benchmarks import _queue_peers
from benchmarks._figures import print_median
from benchmarks._noops import client, stubs, submit, through
from benchmarks._peers import Peer, peer
from benchmarks._system import System, processor_of_tree_s, processor_s, running, server_processor_s
from ktrdr_site.embedded.cluster import DATABASE, ROLE, ready_socket_directory
from worker_agent.testing import StubWorker

OURS = "KTRDR"
IDLE_ROUNDS = 60
IDLE_BLOCK = 15
OPERATIONS = 300
ROUNDS = 5
WORKERS = 10
WARM_UP = 100
PEERS = {"procrastinate": _queue_peers.PROCRASTINATE, "django-q2": _queue_peers.DJANGO_Q2}


@dataclass(slots=True)
class Rounds:
    """The figures of each round of one queue."""

    rates: list[float] = field(default_factory=list)
    """Operations per second."""
    costs: list[float] = field(default_factory=list)
    """Milliseconds of processor time per operation."""

    def add(self, number: int, seconds: float, processor: float) -> None:
        self.rates.append(number / seconds)
        self.costs.append(1000 * processor / number)


async def main() -> None:
    with running() as system, ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for name, program in PEERS.items():
            started = stack.enter_context(peer(program, *_own_database(system, name)))
            if started is not None:
                peers[name] = started
        async with client(system) as http:
            await _measure_idle(system, http, peers.get("procrastinate"))
            _report(await _measure_throughput(system, http, peers))


def _own_database(system: System, name: str) -> tuple[str, str, str]:
    """Create a database on the system's server; return the directory of its socket, the user and the name."""
    directory = ready_socket_directory(system.data / "postgres")
    assert directory is not None, "the system is running"
    database = name.replace("-", "_")
    with psycopg.connect(host=str(directory), user=ROLE, dbname=DATABASE, autocommit=True) as session:
        session.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(database)))
    return str(directory), ROLE, database


async def _measure_idle(system: System, http: aiohttp.ClientSession, other: Peer | None) -> None:
    """Measure from the moment a request is sent to the moment the worker is asked to start."""
    waits: list[float] = []
    theirs: list[float] = []
    async with StubWorker("idle-1", system.url, system.enrolment_token) as worker:
        await worker.register()
        for _ in range(IDLE_ROUNDS // IDLE_BLOCK):
            waits += [await _wait_for_start(http, worker) for _ in range(IDLE_BLOCK)]
            if other is not None:
                theirs += (await asyncio.to_thread(other.ask, f"idle {IDLE_BLOCK}"))["waits"]
    for name, share, goal in (("median", 0.5, 15), ("95th percentile", 0.95, 33)):
        value = 1000 * _quantile(waits, share)
        compared = _comparison("procrastinate", value, 1000 * _quantile(theirs, share)) if theirs else {}
        print_median(f"idle submit to start, {name}", [value], "ms", goal=f"at most {goal}", **compared)


async def _wait_for_start(http: aiohttp.ClientSession, worker: StubWorker) -> float:
    begun = time.perf_counter()
    before = worker.count("start")
    submitting = asyncio.create_task(submit(http))
    await worker.until(lambda: worker.count("start") > before)
    waited_s = time.perf_counter() - begun
    await submitting
    await worker.until(lambda: not worker.undelivered)
    await asyncio.sleep(0.05)
    return waited_s


async def _measure_throughput(
    system: System, http: aiohttp.ClientSession, peers: Mapping[str, Peer]
) -> dict[str, Rounds]:
    results = {name: Rounds() for name in (OURS, *peers)}
    async with stubs(system, WORKERS) as workers:
        await through(workers, http, WARM_UP)
        for other in peers.values():
            await asyncio.to_thread(other.ask, f"run {WARM_UP}")
        for _ in range(ROUNDS):
            used = processor_s(system)
            took = await through(workers, http, OPERATIONS)
            results[OURS].add(OPERATIONS, took.ended_s, processor_s(system) - used)
            for name, other in peers.items():
                used = server_processor_s(system) + processor_of_tree_s(other.pid)
                answer = await asyncio.to_thread(other.ask, f"run {OPERATIONS}")
                used = server_processor_s(system) + processor_of_tree_s(other.pid) - used
                results[name].add(OPERATIONS, answer["seconds"], used)
    return results


def _report(results: Mapping[str, Rounds]) -> None:
    ours = results[OURS]
    rate, cost = statistics.median(ours.rates), statistics.median(ours.costs)
    print_median("no-op operations end to end, 10 stub workers", ours.rates, "1/s")
    print_median("processor time of a no-op operation", ours.costs, "ms", goal="at most 12")
    for name, theirs in results.items():
        if name == OURS:
            continue
        other_rate, other_cost = statistics.median(theirs.rates), statistics.median(theirs.costs)
        goal = {"goal": "ratio at least 0.5"} if name == "procrastinate" else {}
        print_median(f"no-op tasks of {name}", theirs.rates, "1/s")
        print_median(f"processor time of a task of {name}", theirs.costs, "ms")
        print_median(f"rate beside {name}", [rate], "1/s", **_comparison(name, rate, other_rate), **goal)
        print_median(f"processor time beside {name}", [cost], "ms", **_comparison(name, cost, other_cost))


def _comparison(name: str, ours: float, theirs: float) -> dict[str, object]:
    return {"peer": f"{name} {theirs:.1f}", "ratio": round(ours / theirs, 3)}


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


if __name__ == "__main__":
    asyncio.run(main())
