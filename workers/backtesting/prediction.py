"""What a model says of the bars under test: its files and bars read, and its predictions on them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting.parameters import BacktestParameters
from workers.market_data.bars import read_bars
from workers.strategy.grammar import Strategy, StrategyError, parse_strategy

if TYPE_CHECKING:
    from workers.learning.model_files import TrainedModel

MODEL_WEIGHTS, MODEL_DESCRIPTION = "model/model.safetensors", "model/model.json"


@dataclass(frozen=True, slots=True)
class Prepared:
    strategy: Strategy
    model: "TrainedModel"
    frames: dict[str, pd.DataFrame]
    """Bars by timeframe, up to the end of the test; what lies before its start warms the indicators up."""
    test: pd.DataFrame
    """Bars of the base timeframe inside the test period."""

    @property
    def base(self) -> pd.DataFrame:
        """Bars of the base timeframe, those before the test included."""
        return self.frames[self.strategy.base_timeframe]

    @property
    def before(self) -> pd.DataFrame:
        """Bars of the base timeframe before the test."""
        return self.base.iloc[: len(self.base) - len(self.test)]


def load(parameters: BacktestParameters, inputs: Mapping[str, Path]) -> Prepared:
    """Raises InvalidInput where a file is missing or does not fit."""
    missing = [name for name in (MODEL_WEIGHTS, MODEL_DESCRIPTION) if name not in inputs]
    if missing:
        raise InvalidInput("A backtest needs a trained model: name a COMPLETED training as `model`.")
    model = _model(inputs)
    strategy = _strategy(parameters, model)
    base = strategy.base_timeframe
    if parameters.timeframe not in (None, base):
        raise InvalidInput(
            f"The strategy's bars are {base}; a backtest on {parameters.timeframe} would be another strategy."
        )
    frames = {}
    for timeframe in strategy.timeframes:
        path = inputs.get(f"bars/{parameters.symbol}/{timeframe}.parquet")
        if path is not None:
            frames[timeframe] = _until(read_bars(path), parameters)
    if base not in frames:
        raise InvalidInput(f"There are no {base} bars of {parameters.symbol}.")
    test = _from(frames[base], parameters)
    if len(test) == 0:
        raise InvalidInput(
            f"There are no {base} bars of {parameters.symbol} between {parameters.start_date or 'the beginning'} "
            f"and {parameters.end_date or 'the end'}."
        )
    return Prepared(strategy, model, frames, test)


def spread_of(parameters: BacktestParameters, bars: pd.DataFrame) -> NDArray[np.float64] | None:
    """float64[n]: the data's own spread as a fraction of the price; None where the request names one or there is none."""
    if parameters.spread is not None or "spread" not in bars.columns:
        return None
    return (bars["spread"] / bars["close"]).to_numpy(np.float64)


def _model(inputs: Mapping[str, Path]) -> "TrainedModel":
    """Imported here: a worker that imports market data needs no torch."""
    try:
        from workers.learning.model_files import load_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise InvalidInput(
            "This worker has no torch, which every trained model needs: "
            "install ktrdr-workers[training] on it, and start it again."
        ) from error
    return load_model(inputs[MODEL_WEIGHTS], inputs[MODEL_DESCRIPTION])


def _strategy(parameters: BacktestParameters, model: "TrainedModel") -> Strategy:
    if parameters.strategy_yaml is None:
        return parse_strategy(model.description.strategy_text)
    try:
        strategy = parse_strategy(parameters.strategy_yaml)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error
    model.fits(strategy)
    return strategy


def _until(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.end_date is None:
        return bars
    return bars[bars.index < pd.Timestamp(parameters.end_date, tz="UTC") + pd.Timedelta(days=1)]


def _from(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.start_date is None:
        return bars
    return bars[bars.index >= pd.Timestamp(parameters.start_date, tz="UTC")]


def predict(prepared: Prepared, features: pd.DataFrame) -> pd.DataFrame:
    """One row per bar under test that has all inputs. An inference error fails the backtest.

    `features`: from the beginning of the bars up to any bar; what comes after it is not looked at.
    """
    from workers.learning.networks import sequence_length

    start = prepared.test.index[0]
    first = int(features.index.searchsorted(start))
    # A sequence that ends at the first bar under test begins before it.
    needed = features.iloc[max(0, first - sequence_length(prepared.strategy.model) + 1) :]
    bars = pd.DatetimeIndex(prepared.base.index)
    known = bars[: bars.searchsorted(features.index[-1], side="right")]
    return pd.DataFrame(prepared.model.predict(needed, known), index=needed.index).loc[start:]


def values(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """float64[n, 3] probabilities or float64[n] forecasts, as `decisions` wants them."""
    found: NDArray[np.float64] = predictions.to_numpy(dtype=np.float64)
    return found[:, 0] if found.shape[1] == 1 else found
