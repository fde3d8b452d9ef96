"""Count false alarms and caught leaks of the look-ahead audit, and measure its share of training and backtest.

Honest runs: a training and a backtest of each model type, output format and kind of market, with one and two threads;
an odd seed adds a weekly or daily timeframe. Leaks are planted in inputs, indicators, scales and predictions, in
every row or in 1 % of the rows, by the hash of the bar's time. The default sizes take a minute; `--full` takes about
a quarter of an hour.
Targets: no false alarm in 500 honest runs, 100 of 100 dense leaks, 95 of 100 leaks in 1 % of the rows, at most 15 %
of the time.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from benchmarks._audit_cases import BARS, MARKETS, NETWORKS, Case, Workplace
from benchmarks._figures import print_figure
from benchmarks._leaks import (
    NothingLeaks,
    leak_in_indicators,
    leak_in_inputs,
    leak_in_predictions,
    scales_of_all_rows,
)
from workers.backtesting import decision_source
from workers.learning import training_pipeline
from workers.strategy.lookahead import LookAheadError


@dataclass(slots=True)
class Tally:
    runs: int = 0
    reported: int = 0
    shares: list[float] = field(default_factory=list)
    """The audit's part of the CPU seconds of each run that passed, of the thread that runs it: torch's other threads
    spin while they wait."""

    def count(self, work: Callable[[], dict[str, Any]]) -> None:
        """Do one run, and count whether the audit reported a leak."""
        with measure_audits() as audit_seconds:
            started = time.thread_time()
            try:
                work()
            except LookAheadError:
                self.runs += 1
                self.reported += 1
                return
            self.runs += 1
            self.shares.append(sum(audit_seconds) / (time.thread_time() - started))


@contextmanager
def measure_audits() -> Iterator[list[float]]:
    """Yield a list to which every audit appends its CPU seconds."""
    seconds: list[float] = []

    def measure(audit: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def run_and_measure(*arguments: Any, **named: Any) -> dict[str, Any]:
            started = time.thread_time()
            try:
                return audit(*arguments, **named)
            finally:
                seconds.append(time.thread_time() - started)

        return run_and_measure

    with (
        patch.object(training_pipeline, "audit_training", measure(training_pipeline.audit_training)),
        patch.object(decision_source, "audit_decisions", measure(decision_source.audit_decisions)),
    ):
        yield seconds


def cases(number: int) -> Iterator[Case]:
    grid = itertools.product(MARKETS, ("classification", "regression"), (1, 2), NETWORKS)
    for seed, (calendar, output_format, threads, network) in enumerate(
        itertools.islice(itertools.cycle(grid), number)
    ):
        yield Case(network, output_format, calendar, threads, seed + seed // 64)


def count_false_alarms(number: int) -> tuple[Tally, Tally]:
    trainings, backtests = Tally(), Tally()
    for case in cases(number):
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(case, Path(folder))
            trainings.count(workplace.train)
            backtests.count(workplace.backtest)
    return trainings, backtests


def count_caught(number: int, share: float) -> Tally:
    """Plant one leak per run, in turn in a training and in a backtest of an honest model.

    A run is replaced by the next one if its model predicts a constant, which leaks nothing.
    """
    tally = Tally()
    for case in cases(2 * number):
        if tally.runs == number:
            break
        leaks = [
            (Workplace.train, partial(leak_in_inputs, share, case.seed)),
            (Workplace.backtest, partial(leak_in_inputs, share, case.seed)),
            (Workplace.train, partial(leak_in_indicators, share, case.seed)),
            (Workplace.backtest, partial(leak_in_predictions, share, case.seed)),
            (Workplace.train, scales_of_all_rows),
        ]
        run, leak = leaks[case.seed % (5 if share == 1.0 else 4)]
        with tempfile.TemporaryDirectory() as folder:
            workplace = Workplace(case, Path(folder))
            if run is Workplace.backtest:
                workplace.train()
            with leak(), suppress(NothingLeaks):
                tally.count(partial(run, workplace))
    return tally


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="500 honest runs and 100 leaks of each kind")
    runs, leaks = (250, 100) if parser.parse_args().full else (16, 20)
    count_false_alarms(5)
    trainings, backtests = count_false_alarms(runs)
    alarms = trainings.reported + backtests.reported
    print_figure(
        f"false alarms of the audit in {trainings.runs + backtests.runs} honest runs", alarms, "runs"
    )
    for name, tally in (("training", trainings), ("backtest", backtests)):
        low, middle, high = (round(100 * float(share), 1) for share in np.quantile(tally.shares, (0, 0.5, 1)))
        print_figure(f"share of the audit in a {name}, {BARS:,} bars", middle, "%", lowest=low, highest=high)
    for name, share in (("every row", 1.0), ("1 % of the rows", 0.01)):
        tally = count_caught(leaks, share)
        print_figure(f"leaks in {name} caught, of {tally.runs}", tally.reported, "runs")


if __name__ == "__main__":
    main()
