"""Measure studies in a started system, from submission to report, with two backtesting and two training workers.

Search: all pairs of two moving averages over 5,000 bars. Goal: 2 s, at most 5 s.
Own backtest: from submission to start, while a search of the same pairs with four stops occupies both workers. At most 15 s.
Walk-forward: 20 learning rates in 10 folds, 200 trainings, as the ratio of its time to that of the bare training loops
divided by the number of workers. Goal: 1.05, at most 1.25. The loops are timed in this process, with the same batches.
Search and walk-forward use both workers (`budget: {parallel: 2}`), because the goals are those of two cores.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from ktrdr_client import Client, Study

from benchmarks._figures import print_figure
from benchmarks._system import running
from benchmarks.quant_studies import BARS, STRATEGY, STUDY, PlainJob, walk, write_walk
from workers.studies import training_trials
from workers.studies.messages import BatchParameters, Trial
from workers.studies.run import bind_study
from workers.studies.training_batch import run_training_batch

WORKERS = 2
LONGEST_S = 600
LONGEST_BUSY_S = 60
LEARNED_BARS, RATES, FOLDS = 2_000, 20, 10
BOTH = f"budget: {{parallel: {WORKERS}}}\n"
CROWDED = (
    STUDY.replace("name: pairs", "name: stops")
    + "    /backtest/stop_loss: {choices: [0.02, 0.04, 0.06, 0.08]}\n"
    + f"budget: {{parallel: {2 * WORKERS}}}\n"
)
LEARNER = """
name: learner
version: "3.0"
training_data: {symbols: {mode: single, symbol: LEARNED}, timeframes: {mode: single, timeframe: 1d}}
indicators: {mom_5: {type: roc, period: 5}, mom_20: {type: roc, period: 20}}
nn_inputs:
  - {raw_indicator: mom_5, timeframes: all, normalization: zscore}
  - {raw_indicator: mom_20, timeframes: all, normalization: zscore}
model: {type: mlp, architecture: {hidden_layers: [32, 16]}}
decisions: {output_format: classification}
training:
  labels: {source: forward_return, horizon: 5, threshold: 0.005}
  batch_size: 32
  epochs: 20
  learning_rate: 0.01
"""
WALK_FORWARD = f"""
study: "1.0"
name: rates
search:
  method: grid
  parameters:
    /training/learning_rate: {{choices: [{", ".join(f"{0.001 * (1 + step):.3f}" for step in range(RATES))}]}}
validation: {{scheme: walk_forward, train: 500, test: 150}}
"""


def seconds_of(study: Study) -> float:
    """Return the time from the submission to the report by the site's clock."""
    begin, end = (datetime.fromisoformat(study.data[name]) for name in ("created_at", "ended_at"))
    return (end - begin).total_seconds()


def wait_until_busy(client: Client) -> None:
    """Return when each worker for batches has one. Raises TimeoutError."""
    ends = time.monotonic() + LONGEST_BUSY_S
    while not all(row["current_operation_id"] for row in client.workers(worker_type="backtesting")):
        if time.monotonic() > ends:
            raise TimeoutError("a worker had no batch")
        time.sleep(0.02)


def wait_before_start_s(client: Client) -> float:
    """Return the time from the submission of a backtest to its start, while a study keeps all workers busy."""
    study = client.studies.submit(CROWDED, STRATEGY)
    wait_until_busy(client)
    own = client.backtests.start("WALK", strategy=STRATEGY).wait(LONGEST_S)
    created, started = (datetime.fromisoformat(own.data[name]) for name in ("created_at", "started_at"))
    assert study.refresh().status == "RUNNING", "the study ended before the backtest did; it was too short"
    study.cancel()
    return (started - created).total_seconds()


@contextmanager
def counted_loops() -> Iterator[list[float]]:
    """Collect the processor time of each training loop of this process, in seconds."""
    loops: list[float] = []

    train_loop = training_trials.train

    def train(loop: Any) -> Any:
        started = time.process_time()
        trained = train_loop(loop)
        loops.append(time.process_time() - started)
        return trained

    with patch.object(training_trials, "train", train):
        yield loops


def bare_loops() -> list[float]:
    """Return the processor time of each training loop of the walk-forward, with one thread as in a job."""
    torch.set_num_threads(1)
    bound = bind_study(WALK_FORWARD, LEARNER)
    trials = tuple(Trial(number=number, point=bound.space.point(number)) for number in range(RATES))
    parameters = BatchParameters(
        trials=trials, strategy_yaml=LEARNER, study_yaml=WALK_FORWARD, kind="training", symbols=("LEARNED",)
    )
    with tempfile.TemporaryDirectory(prefix="ktrdr-bench-") as folder:
        path = Path(folder) / "bars.parquet"
        write_walk(path, LEARNED_BARS)
        with counted_loops() as loops:
            run_training_batch(parameters, PlainJob({"bars/LEARNED/1d.parquet": path}))
    return loops


def main() -> None:
    workers = f"backtesting={WORKERS},training={WORKERS}"
    with running("--workers", workers) as system, Client(system.url, system.token) as client:
        for symbol, bars in (("WALK", BARS), ("LEARNED", LEARNED_BARS)):
            client.market_data.import_(walk(bars), symbol, "1d")
        for number in range(3):
            study = client.studies.submit(STUDY + BOTH, STRATEGY).wait(LONGEST_S)
            name = f"search of 10,000 pairs over {BARS:,} bars, POST to COMPLETED, round {number + 1}"
            print_figure(name, seconds_of(study), "s", goal="at most 5")
        print_figure(
            "own backtest beside a full study, POST to start",
            wait_before_start_s(client),
            "s",
            goal="at most 15",
        )
        learned = client.studies.submit(WALK_FORWARD + BOTH, LEARNER).wait(LONGEST_S)
        trainings = int(learned.data["trials"]["completed"]) * FOLDS
    loops = bare_loops()
    assert len(loops) == trainings == RATES * FOLDS, (len(loops), trainings)
    share = sum(loops) / WORKERS
    name = f"walk-forward of {trainings} trainings by bare loops / {WORKERS} workers"
    print_figure(
        name, seconds_of(learned), "s", peer=share, ratio=seconds_of(learned) / share, goal="at most 1.25"
    )


if __name__ == "__main__":
    main()
