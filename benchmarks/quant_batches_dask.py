"""Compare batches of a study with chunks of a dask.distributed cluster: the same trials, in two processes each.

Trials of kind `rules` over 5,000 bars. Batches: each process evaluates one after the other of 1,000 trials, as a worker does.
Dask: a LocalCluster with two processes of one thread, chunks of 250 trials (about a quarter of a second), the market read once per
process; results without files. CPU seconds of all processes, start included for neither, and wall seconds. Then one worker of each is
killed in the middle: the chunks that Dask evaluates again, beside the trials since the last checkpoint that a batch does.

Dask is no dependency. Install it elsewhere and name the folder:
pip install --target DIR dask distributed; KTRDR_DASK_PACKAGES=DIR python -m benchmarks.quant_batches_dask
"""

import importlib
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks._figures import print_figure, print_median
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


def cpu_of(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measure_batches(path: str) -> tuple[list[float], list[float]]:
    """Return CPU and wall seconds of each round."""
    batches = [(path, parameters(numbers)) for numbers in ranges(BATCH)]
    cpu, wall = [], []
    with multiprocessing.get_context("forkserver").Pool(PROCESSES) as pool:
        pool.starmap(evaluate_batch, [(path, parameters(range(50)))] * PROCESSES * 2, chunksize=1)
        ours = [psutil.Process(), *(psutil.Process(child.pid) for child in multiprocessing.active_children())]
        for _ in range(ROUNDS):
            started, spent = time.perf_counter(), cpu_of(ours)
            assert sum(pool.starmap(evaluate_batch, batches, chunksize=1)) == TRIALS
            cpu.append(cpu_of(ours) - spent)
            wall.append(time.perf_counter() - started)
    return cpu, wall


def measure_dask(distributed: Any, path: str, marks: Path) -> tuple[list[float], list[float], int]:
    """Return CPU and wall seconds of each round, and the trials that started twice after a worker was killed."""
    chunks = [parameters(numbers) for numbers in ranges(CHUNK)]
    cpu, wall = [], []
    cluster = distributed.LocalCluster(
        n_workers=PROCESSES, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, distributed.Client(cluster) as client:
        workers = list(client.run(os.getpid).values())
        client.run(evaluate_chunk, path, parameters(range(50)))
        ours = [psutil.Process(), *(psutil.Process(pid) for pid in workers)]
        for _ in range(ROUNDS):
            started, spent = time.perf_counter(), cpu_of(ours)
            futures = [client.submit(evaluate_chunk, path, chunk, pure=False) for chunk in chunks]
            done = sum(len(future.result()) for future in distributed.as_completed(futures))
            assert done == TRIALS
            cpu.append(cpu_of(ours) - spent)
            wall.append(time.perf_counter() - started)
        futures = [client.submit(evaluate_chunk, path, chunk, str(marks), pure=False) for chunk in chunks]
        next(iter(distributed.as_completed(futures)))
        psutil.Process(workers[0]).kill()
        assert sum(len(future.result()) for future in futures) == TRIALS
    starts = [line.split()[1] for line in marks.read_text().splitlines()]
    return cpu, wall, CHUNK * (len(starts) - len(set(starts)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.parquet"
        bars = walk(BARS)
        bars.attrs["calendar"] = "XNYS"
        write_bars(bars, path)
        show("batches", *measure_batches(str(path)))
        if not (packages := os.environ.get("KTRDR_DASK_PACKAGES", "")):
            print("Dask is left out: see the docstring")
            return
        # Dask's processes need the folder too.
        os.environ["PYTHONPATH"] = packages
        sys.path.append(packages)
        distributed = importlib.import_module("distributed")
        cpu, wall, repeated = measure_dask(distributed, str(path), Path(folder) / "marks")
    show("Dask", cpu, wall)
    print_figure("Dask: trials evaluated again after a worker was killed", repeated, "trials")


def show(name: str, cpu: list[float], wall: list[float]) -> None:
    print_median(f"{name}: CPU of a trial", [seconds / TRIALS * 1e3 for seconds in cpu], "ms")
    print_median(f"{name}: rate", [TRIALS / seconds for seconds in wall], "1/s")


if __name__ == "__main__":
    main()
