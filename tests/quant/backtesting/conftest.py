"""A small trained model, and the input files of a backtest of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pytest

from tests.quant.learning.conftest import STRATEGY, RecordedJob, synthetic
from workers.backtesting.backtest_inputs import MODEL_DESCRIPTION, MODEL_WEIGHTS
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.market_data.bars import write_bars

TRAINED_UNTIL = "2017-06-30"


@dataclass
class BacktestJob:
    """Records the calls of a backtest."""

    inputs: Mapping[str, Path]
    steps: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    artifacts: dict[str, bytes] = field(default_factory=dict)

    def progress(self, percentage: float, step: str | None = None) -> None:
        assert 0 <= percentage <= 100
        self.steps.append(step or "")

    def log(self, line: str, level: str = "info") -> None:
        self.lines.append(f"{level}: {line}")

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content


NewJob = Callable[..., BacktestJob]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Inputs of a backtest of AAA: its bars, and a model trained on AAA and BBB up to June 2017."""
    directory = tmp_path_factory.mktemp("trained")
    files = {}
    for number, symbol in enumerate(("AAA", "BBB")):
        files[f"bars/{symbol}/1d.parquet"] = directory / f"{symbol}.parquet"
        write_bars(synthetic(number, persistence=0.35), directory / f"{symbol}.parquet")
    job = RecordedJob(files)
    run_training(TrainingParameters(strategy_yaml=STRATEGY, end_date=TRAINED_UNTIL), job)
    for name in (MODEL_WEIGHTS, MODEL_DESCRIPTION):
        files[name] = directory / Path(name).name
        files[name].write_bytes(job.artifacts[Path(name).name])
    return files


@pytest.fixture
def new_job(trained: dict[str, Path], tmp_path: Path) -> NewJob:
    """Return a function that makes a job with the trained model; `bars` replace those of AAA."""

    def make(bars: pd.DataFrame | None = None) -> BacktestJob:
        if bars is None:
            return BacktestJob(trained)
        path = tmp_path / f"bars-{len(list(tmp_path.iterdir()))}.parquet"
        write_bars(bars, path)
        return BacktestJob({**trained, "bars/AAA/1d.parquet": path})

    return make
