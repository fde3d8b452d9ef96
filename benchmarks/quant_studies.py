"""Measure studies: a search of 10,000 pairs over 5,000 bars with its report, and how often a winner is believed.

The search: all pairs of two moving averages, from one batch worker's point of view: two batches of 5,000 trials and the
report, in this process. Goal: 2 s of wall time on two cores, at most 5 s; at most 500 MB.
The verdict: studies of 200 trials at the level of daily returns, over 2,000 days and a holdout of 500. On noise none may be
believed; with an edge of an annual ratio of 1.5 on a plateau of similar trials at least 80 %.
"""

import argparse
import json
import math
import resource
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from exchange_calendars import get_calendar
from numpy.typing import NDArray

from benchmarks._figures import print_figure
from workers.market_data.bars import write_bars
from workers.studies.messages import (
    BATCH_FILES,
    MAX_TRIALS,
    BatchFiles,
    BatchParameters,
    ReportParameters,
    Trial,
    Verdict,
)
from workers.studies.report import run_report
from workers.studies.run import bind_study, run_batch
from workers.studies.statistics.deflation import deflate
from workers.studies.statistics.moments import block_moments, sharpes
from workers.studies.statistics.overfitting import estimate_overfitting
from workers.studies.statistics.snooping import SnoopingTest
from workers.studies.statistics.verdict import Evidence, judge

Floats = NDArray[np.float64]

BARS, PAIRS = 5_000, 10_000
DAYS, HELD_OUT, TRIALS, EDGE, WIDTH = 2_000, 500, 200, 1.5, 0.25
PER_YEAR = 252

STRATEGY = """
name: moving_average_cross
version: "3.0"
training_data:
  symbols: {mode: single, symbol: WALK}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  fast: {type: sma, period: 20}
  slow: {type: sma, period: 100}
model: {type: rules}
decisions: {long: fast > slow, exit_long: fast < slow}
"""
STUDY = """
study: "1.0"
name: pairs
search:
  method: grid
  parameters:
    /indicators/fast/period: {range: [2, 101]}
    /indicators/slow/period: {range: [110, 209]}
"""


@dataclass
class PlainJob:
    inputs: dict[str, Path]
    resume: None = None
    cancelled: bool = False
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None: ...

    def log(self, line: str, level: str = "info") -> None: ...

    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None: ...

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content


def walk(n: int) -> pd.DataFrame:
    random = np.random.default_rng(5)
    close = 100.0 * np.exp(np.cumsum(random.normal(0.0002, 0.01, n)))
    opens = np.append(100.0, close[:-1])
    days = get_calendar("XNYS", start="1995-01-03").sessions[:n]
    index = pd.DatetimeIndex(days, name="time").tz_localize("UTC")
    high, low = np.maximum(opens, close) * 1.002, np.minimum(opens, close) * 0.998
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index)


def write_walk(path: Path, n: int) -> None:
    """Write `n` daily bars of a random walk with their calendar, as an import does."""
    bars = walk(n)
    bars.attrs["calendar"] = "XNYS"
    write_bars(bars, path)


def search(folder: Path, pairs: int) -> dict[str, float]:
    """Run the batches and the report; return wall and CPU seconds of both."""
    files = {"bars/WALK/1d.parquet": folder / "bars.parquet"}
    write_walk(files["bars/WALK/1d.parquet"], BARS)
    common: dict[str, Any] = {
        "strategy_yaml": STRATEGY, "study_yaml": STUDY, "kind": "rules", "symbols": ("WALK",)
    }  # fmt: skip
    space = bind_study(STUDY, STRATEGY).space
    wall, cpu = time.perf_counter(), time.process_time()
    batches = []
    for first in range(0, pairs, MAX_TRIALS):
        numbers = range(first, min(first + MAX_TRIALS, pairs))
        trials = tuple(Trial(number=number, point=space.point(number)) for number in numbers)
        job = PlainJob(files)
        run_batch(BatchParameters(trials=trials, **common), job)
        name = f"batch-{first}"
        for file in BATCH_FILES:
            files[f"{name}/{file}"] = folder / f"{name}-{file}"
            files[f"{name}/{file}"].write_bytes(job.artifacts[file])
        batches.append(BatchFiles(name=name))
    batch_wall, batch_cpu = time.perf_counter() - wall, time.process_time() - cpu
    result = run_report(
        ReportParameters(study="benchmark", batches=tuple(batches), **common), PlainJob(files)
    )
    print(json.dumps(result["figures"] | {"verdict": result["verdict"]}))
    return {
        "batches": batch_wall,
        "batches_cpu": batch_cpu,
        "all": time.perf_counter() - wall,
        "all_cpu": time.process_time() - cpu,
    }


def similar_trials(random: np.random.Generator, *, edge: float) -> Floats:
    """Return float64[200, days]: trials on a grid of two parameters, similar to their neighbours, the edge on a plateau."""
    axes = np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 1, TRIALS // 20))
    places = np.stack(axes, -1).reshape(-1, 2)
    distance = ((places[:, None] - places[None]) ** 2).sum(-1)
    similarity = np.exp(-distance / (2 * WIDTH**2)) + 1e-6 * np.eye(TRIALS)
    returns = np.linalg.cholesky(similarity) @ random.normal(0, 0.01, (TRIALS, DAYS + HELD_OUT))
    plateau = np.exp(-((places - random.random(2)) ** 2).sum(-1) / (2 * WIDTH**2))
    return returns + edge / math.sqrt(PER_YEAR) * 0.01 * (plateau / plateau.max())[:, None]


def independent_trials(random: np.random.Generator, *, edge: float) -> Floats:
    """Return float64[200, days]: trials that have nothing in common, one of them with the edge."""
    returns = random.normal(0, 0.01, (TRIALS, DAYS + HELD_OUT))
    returns[random.integers(TRIALS)] += edge / math.sqrt(PER_YEAR) * 0.01
    return returns


def judge_returns(returns: Floats, seed: int) -> Verdict:
    """Judge the trial with the highest ratio of a study, as its report does."""
    searched, held_out = returns[:, :DAYS], returns[:, DAYS:]
    moments = block_moments(searched)
    ratios = sharpes(moments, DAYS)
    winner, annual = int(ratios.argmax()), math.sqrt(PER_YEAR)
    test = SnoopingTest(DAYS, seed)
    test.add(searched)
    snooping, overfitting = test.result(), estimate_overfitting(moments, DAYS)
    assert snooping is not None
    assert overfitting is not None
    deflation = deflate(searched[winner], snooping.expected_best, TRIALS, TRIALS)
    held = float(held_out[winner].mean() / held_out[winner].std(ddof=1)) * annual
    evidence = Evidence(
        deflation.dsr,
        overfitting.pbo,
        overfitting.loss_probability,
        snooping.spa_p,
        held,
        float(ratios[winner]) * annual,
        deflation.needed * annual,
        TRIALS,
    )
    return judge(evidence)[0]


def share_believed(studies: int, *, edge: float, similar: bool) -> float:
    make = similar_trials if similar else independent_trials
    believed = sum(
        judge_returns(make(np.random.default_rng([seed, similar]), edge=edge), seed) is Verdict.BELIEVED
        for seed in range(studies)
    )
    return believed / studies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        search(Path(folder), 100)  # compiles
    with tempfile.TemporaryDirectory() as folder:
        seconds = search(Path(folder), options.pairs)
    print_figure(f"study of {options.pairs:,} pairs x {BARS:,} bars, with report", seconds["all"], "s")
    print_figure("the same, CPU seconds", seconds["all_cpu"], "s")
    print_figure("its batches", seconds["batches"], "s")
    print_figure("memory of all of it", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MiB")
    for name, edge in (("noise", 0.0), ("edge of 1.5", EDGE)):
        for similar in (True, False):
            kind = "similar" if similar else "independent"
            share = share_believed(options.studies, edge=edge, similar=similar)
            print_figure(f"believed: {name}, {kind} trials", share, "share")


if __name__ == "__main__":
    main()
