"""Work in threads: the kernels of the simulation release the lock of the interpreter."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

MAX_THREADS = 16
AHEAD = 4
"""Tasks in flight for each thread."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def count_threads() -> int:
    """Return the cores that the job may use, at most 16."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, cores)


def map_in_threads(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """Yield the result of each task in their order; only a few tasks are taken in advance."""
    threads, waiting = count_threads(), iter(tasks)
    with ThreadPoolExecutor(threads) as pool:
        running = [pool.submit(work, task) for task in islice(waiting, threads * AHEAD)]
        while running:
            yield running.pop(0).result()
            running += [pool.submit(work, task) for task in islice(waiting, 1)]
