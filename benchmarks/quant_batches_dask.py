"""Compare batches of a study with chunks of a dask.distributed cluster: the same trials, in two processes each.

Trials of kind `rules` over 5,000 bars. Batches: each process evaluates batches of 1,000 trials, as a worker does. Dask: a
LocalCluster with two processes of one thread and chunks of 250 trials (about a quarter of a second); each process reads the market
once, and results are not written to files. Figures: CPU of all processes and wall time, both without the start. Then one Dask worker
is killed in the middle, and the trials that Dask evaluates again are counted.

Dask is not a dependency: benchmarks/README.md describes how to install it.
"""

import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks._figures import print_figure, print_median
from benchmarks._race import Seconds
from benchmarks.quant_studies import BARS, STRATEGY, STUDY, PlainJob, walk
from workers.market_data.bars import write_bars
from workers.studies.directions import RuleDirections
from workers.studies.evaluation import Evaluator
from workers.studies.market import load_market
from workers.studies.messages import BatchParameters, Trial
from workers.studies.run import bind_study, run_batch

TRIALS, BATCH, CHUNK, PROCESSES, ROUNDS = 4_000, 1_000, 250, 2, 3
BARS_FILE = "bars/WALK/1d.parquet"
_evaluators: dict[str, Evaluator] = {}
"""Of this process, by the file of the bars."""


def parameters(numbers: range) -> BatchParameters:
    space = bind_study(STUDY, STRATEGY).space
    return BatchParameters(
        strategy_yaml=STRATEGY,
        study_yaml=STUDY,
        kind="rules",
        symbols=("WALK",),
        trials=tuple(Trial(number=number, point=space.point(number)) for number in numbers),
    )


def ranges(size: int) -> list[range]:
    return [range(first, first + size) for first in range(0, TRIALS, size)]


def evaluate_batch(path: str, batch: BatchParameters) -> int:
    return len(run_batch(batch, PlainJob({BARS_FILE: Path(path)}))["number"])


def evaluate_chunk(path: str, chunk: BatchParameters, marks: str = "") -> list[tuple[int, float | None]]:
    """Evaluate without files; with `marks`, append the first number to that file before it starts."""
    if marks:
        with Path(marks).open("a") as file:
            file.write(f"{os.getpid()} {chunk.trials[0].number}\n")
    if path not in _evaluators:
        bound = bind_study(STUDY, STRATEGY)
        market = load_market(bound.strategy, chunk, {BARS_FILE: Path(path)})
        _evaluators[path] = Evaluator(bound, market, RuleDirections(bound.strategy, market))
    outcomes = [_evaluators[path].evaluate(trial) for trial in chunk.trials]
    return [(outcome.number, outcome.value) for outcome in outcomes]


def measure(evaluate: Callable[[], int], workers: Sequence[int]) -> Seconds:
    """Return the seconds of each round; CPU is that of this process and of the workers, by their PIDs."""
    processes = [psutil.Process(), *map(psutil.Process, workers)]
    seconds = Seconds()
    for _ in range(ROUNDS):
        cpu, wall = cpu_of(processes), time.perf_counter()
        assert evaluate() == TRIALS
        seconds.cpu.append(cpu_of(processes) - cpu)
        seconds.wall.append(time.perf_counter() - wall)
    return seconds


def cpu_of(processes: Sequence[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure_batches(path: str) -> Seconds:
    batches = [(path, parameters(numbers)) for numbers in ranges(BATCH)]
    with multiprocessing.get_context("forkserver").Pool(PROCESSES) as pool:
        pool.starmap(evaluate_batch, [(path, parameters(range(50)))] * PROCESSES * 2, chunksize=1)
        workers = [child.pid for child in multiprocessing.active_children() if child.pid]
        return measure(lambda: sum(pool.starmap(evaluate_batch, batches, chunksize=1)), workers)


def measure_dask(distributed: Any, path: str, marks: Path) -> tuple[Seconds, int]:
    """Return the seconds of each round, and the trials that started again after a worker was killed."""
    chunks = [parameters(numbers) for numbers in ranges(CHUNK)]
    cluster = distributed.LocalCluster(
        n_workers=PROCESSES, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        workers = list(client.run(os.getpid).values())
        client.run(evaluate_chunk, path, parameters(range(50)))

        def submit(marks: str = "") -> list[Any]:
            return [client.submit(evaluate_chunk, path, chunk, marks, pure=False) for chunk in chunks]

        seconds = measure(
            lambda: sum(len(future.result()) for future in distributed.as_completed(submit())), workers
        )
        futures = submit(str(marks))
        next(iter(distributed.as_completed(futures)))
        psutil.Process(workers[0]).kill()
        assert sum(len(future.result()) for future in futures) == TRIALS
    starts = [line.split()[1] for line in marks.read_text().splitlines()]
    return seconds, CHUNK * (len(starts) - len(set(starts)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        bars = walk(BARS)
        bars.attrs["calendar"] = "XNYS"
        write_bars(bars, path)
        show("batches", measure_batches(str(path)))
        if not (packages := os.environ.get("KTRDR_DASK_PACKAGES", "")):
            print("Dask is left out: see benchmarks/README.md")
            return
        # Dask's processes need the folder too.
        os.environ["PYTHONPATH"] = packages
        sys.path.append(packages)
        distributed = importlib.import_module("distributed")
        seconds, repeated = measure_dask(distributed, str(path), Path(folder) / "marks")
    show("Dask", seconds)
    print_figure("Dask: trials evaluated again after a worker was killed", repeated, "trials")


def show(name: str, seconds: Seconds) -> None:
    print_median(f"{name}: CPU of a trial", [cpu / TRIALS * 1e3 for cpu in seconds.cpu], "ms")
    print_median(f"{name}: rate", [TRIALS / wall for wall in seconds.wall], "1/s")


if __name__ == "__main__":
    main()
