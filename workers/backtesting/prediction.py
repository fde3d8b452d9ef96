"""Load the model and the bars of a backtest, and compute the model's predictions on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.market_data.bars import read_bars
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy
from workers.strategy.sections.model import sequence_length

if TYPE_CHECKING:
    from workers.learning.model_files import TrainedModel

MODEL_WEIGHTS, MODEL_DESCRIPTION = "model/model.safetensors", "model/model.json"


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    strategy: Strategy
    model: "TrainedModel"
    frames: dict[str, pd.DataFrame]
    """Bars by timeframe, up to the end of the test period; those before its start warm the indicators up."""
    test_bars: pd.DataFrame
    """Bars of the base timeframe inside the test period."""

    @property
    def base_bars(self) -> pd.DataFrame:
        """Bars of the base timeframe, including those before the test period."""
        return self.frames[self.strategy.base_timeframe]

    @property
    def earlier_bars(self) -> pd.DataFrame:
        """Bars of the base timeframe before the test period."""
        return self.base_bars.iloc[: len(self.base_bars) - len(self.test_bars)]


def load_inputs(parameters: BacktestParameters, files: Mapping[str, Path]) -> BacktestInputs:
    """Read the model and the bars. Raises InvalidInput if a file is missing or does not match."""
    if MODEL_WEIGHTS not in files or MODEL_DESCRIPTION not in files:
        raise InvalidInput("A backtest needs a trained model; set `model` to the id of a COMPLETED training.")
    model = _load_model(files)
    strategy = _load_strategy(parameters, model)
    base = strategy.base_timeframe
    if parameters.timeframe not in (None, base):
        raise InvalidInput(
            f"`timeframe` is {parameters.timeframe}, but the strategy's base timeframe is {base}; "
            "omit it or set it to the base timeframe."
        )
    frames = {}
    for timeframe in strategy.timeframes:
        path = files.get(f"bars/{parameters.symbol}/{timeframe}.parquet")
        if path is not None:
            frames[timeframe] = _until_end(read_bars(path), parameters)
    if base not in frames:
        raise InvalidInput(f"No {base} bars of {parameters.symbol} found; import them first.")
    test_bars = _from_start(frames[base], parameters)
    if len(test_bars) == 0:
        raise InvalidInput(
            f"No {base} bars of {parameters.symbol} found between {parameters.start_date or 'the beginning'} "
            f"and {parameters.end_date or 'the end'}."
        )
    return BacktestInputs(strategy, model, frames, test_bars)


def _load_model(files: Mapping[str, Path]) -> "TrainedModel":
    """Load the model; torch is imported only here, because a worker that imports market data does not need it."""
    try:
        from workers.learning.model_files import load_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InvalidInput(
            "This worker cannot load trained models because torch is not installed: "
            "install ktrdr-workers[training] and restart the worker."
        ) from error
    return load_model(files[MODEL_WEIGHTS], files[MODEL_DESCRIPTION])


def _load_strategy(parameters: BacktestParameters, model: "TrainedModel") -> Strategy:
    if parameters.strategy_yaml is None:
        return parse_strategy(model.description.strategy_text)
    try:
        strategy = parse_strategy(parameters.strategy_yaml)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error
    model.check_compatible(strategy)
    return strategy


def _until_end(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.end_date is None:
        return bars
    return bars[bars.index < pd.Timestamp(parameters.end_date, tz="UTC") + pd.Timedelta(days=1)]


def _from_start(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.start_date is None:
        return bars
    return bars[bars.index >= pd.Timestamp(parameters.start_date, tz="UTC")]


def predict(inputs: BacktestInputs, features: pd.DataFrame) -> pd.DataFrame:
    """Predict one row per bar of the test period that has all features. An inference error fails the backtest.

    `features`: from the first bar up to any bar; later bars are not read.
    """
    start = inputs.test_bars.index[0]
    first = int(features.index.searchsorted(start))
    # A sequence that ends at the first bar of the test period starts before it.
    needed = features.iloc[max(0, first - sequence_length(inputs.strategy.model) + 1) :]
    opens = pd.DatetimeIndex(inputs.base_bars.index)
    known_opens = opens[: opens.searchsorted(features.index[-1], side="right")]
    return pd.DataFrame(inputs.model.predict(needed, known_opens), index=needed.index).loc[start:]


def decision_array(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """Return the predictions as `decisions` reads them: float64[n, 3] probabilities or float64[n] forecasts."""
    values: NDArray[np.float64] = predictions.to_numpy(dtype=np.float64)
    return values[:, 0] if values.shape[1] == 1 else values
