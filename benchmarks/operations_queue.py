"""Dispatch with 100,000 operations waiting, of 50 users with 400 demands, after 30,000 earlier backtests.

The same system (`manage.py up`, default clocks, stub workers that report at once) first runs the same number of operations
from a queue that contains nothing else. Targets: at least 0.8 of that rate, and an operation of a user without anything
running starts within 2 s while every worker has work. The workers meet half of the demands. Processor time is that of the
system with its database.
"""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks import _full_queue
from benchmarks._database import set_up_django
from benchmarks._figures import print_figure
from benchmarks._system import System, processor_s, running
from worker_agent.testing import StubWorker

WORKERS = 10
WAITING, DEMANDS, HISTORY = 100_000, 400, 30_000
MEASURED = 600
"""Operations per measurement."""
WARM_UP = 50
NEWCOMERS = 20
WORK_S = 0.5
TIME_LIMIT_S = 300.0


async def main() -> None:
    with running() as system:
        set_up_django(system.data)
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(_worker(system, number)) for number in range(WORKERS)]
            await asyncio.gather(*(worker.register() for worker in workers))
            await asyncio.to_thread(_full_queue.add_waiting, WARM_UP, 1)
            await _until_run(workers, WARM_UP)
            empty_rate, empty_cost = await _measure(system, workers, alone=True)
            await asyncio.to_thread(_full_queue.add_history, HISTORY)
            await asyncio.to_thread(_full_queue.add_waiting, WAITING, DEMANDS, 1_000_000)
            await _until_run(workers, _count(workers) + WARM_UP)
            full_rate, full_cost = await _measure(system, workers, alone=False)
            print_figure("dispatch from an otherwise empty queue", empty_rate, "1/s")
            print_figure("its processor time per operation", 1000 * empty_cost, "ms")
            name = f"dispatch with {WAITING:,} waiting, {DEMANDS} demands"
            print_figure(name, full_rate, "1/s", peer="empty queue", ratio=full_rate / empty_rate)
            print_figure(
                "its processor time per operation",
                1000 * full_cost,
                "ms",
                peer="empty queue",
                ratio=full_cost / empty_cost,
            )
            await _newcomers(system, workers)


def _worker(system: System, number: int) -> StubWorker:
    return StubWorker(
        f"stub-{number}",
        system.url,
        system.enrolment_token,
        operation_type=_full_queue.OPERATION_TYPE,
        capabilities={"memory_gb": DEMANDS // 2},
    )


def _count(workers: Sequence[StubWorker]) -> int:
    return sum(len(worker.runs) for worker in workers)


async def _until_run(workers: Sequence[StubWorker], number: int) -> None:
    async with asyncio.timeout(TIME_LIMIT_S):
        while _count(workers) < number:
            await asyncio.sleep(0.01)


async def _measure(system: System, workers: Sequence[StubWorker], *, alone: bool) -> tuple[float, float]:
    """Run MEASURED operations; return how many per second, and the seconds of processor time of each."""
    if alone:
        await asyncio.to_thread(_full_queue.add_waiting, MEASURED, 1, 10_000)
    before, used, begun = _count(workers), processor_s(system), time.perf_counter()
    await _until_run(workers, before + MEASURED)
    seconds = time.perf_counter() - begun
    return MEASURED / seconds, (processor_s(system) - used) / MEASURED


async def _newcomers(system: System, workers: Sequence[StubWorker]) -> None:
    """Measure the time from the first submission of a user to the start, while all workers work for 50 others.

    A worker becomes free every WORK_S / WORKERS seconds.
    """
    for worker in workers:
        worker.work_s = WORK_S
    await _until_run(workers, _count(workers) + 2 * WORKERS)
    waits = []
    for number in range(NEWCOMERS):
        begun = time.perf_counter()
        operation_id = await asyncio.to_thread(_full_queue.add_newcomer, number)
        async with asyncio.timeout(TIME_LIMIT_S):
            while not any(operation_id in worker.operations for worker in workers):
                await asyncio.sleep(0.005)
        waits.append(time.perf_counter() - begun)
    print_figure(
        f"wait of a new user's operation, {WORK_S} s operations of others, median",
        statistics.median(waits),
        "s",
    )
    print_figure("the longest of them", max(waits), "s")


if __name__ == "__main__":
    asyncio.run(main())
