"""Load the strategy, its model if it has one, and the bars of a backtest."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from worker_agent.protocol import InvalidInput
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.market_data.bars import read_bars
from workers.strategy.grammar import RulesStrategy, Strategy, StrategyError, TrainedStrategy, parse_strategy

if TYPE_CHECKING:
    from workers.learning.model_files import TrainedModel

REFERENCE = "reference/{}.parquet"
MODEL_WEIGHTS, MODEL_DESCRIPTION = "model/model.safetensors", "model/model.json"


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    strategy: Strategy
    frames: dict[str, pd.DataFrame]
    """Bars by key (`1d`, `SPY/1d`), up to the end of the test period; those before its start warm the indicators up."""
    test_bars: pd.DataFrame
    """Bars of the base timeframe inside the test period."""
    reference: "pd.Series[float] | None"
    """Closes of the series that the returns are compared with."""

    @property
    def base_bars(self) -> pd.DataFrame:
        """Bars of the base timeframe, including those before the test period."""
        return self.frames[self.strategy.base_timeframe]

    @property
    def earlier_bars(self) -> pd.DataFrame:
        """Bars of the base timeframe before the test period."""
        return self.base_bars.iloc[: len(self.base_bars) - len(self.test_bars)]


@dataclass(frozen=True, slots=True)
class ModelInputs(BacktestInputs):
    strategy: TrainedStrategy
    model: "TrainedModel"


@dataclass(frozen=True, slots=True)
class RulesInputs(BacktestInputs):
    strategy: RulesStrategy


def load_inputs(parameters: BacktestParameters, files: Mapping[str, Path]) -> ModelInputs | RulesInputs:
    """Read the strategy, its model and the bars. Raises InvalidInput if a file is missing or does not match."""
    given = None if parameters.strategy_yaml is None else _parse(parameters.strategy_yaml)
    if isinstance(given, RulesStrategy):
        if MODEL_WEIGHTS in files:
            raise InvalidInput("A rules strategy needs no model; omit `model`.")
        return RulesInputs(given, *_load_bars(given, parameters, files), _load_reference(parameters, files))
    if MODEL_WEIGHTS not in files or MODEL_DESCRIPTION not in files:
        raise InvalidInput(
            "A backtest needs a trained model or a rules strategy; set `model` to the id of a COMPLETED training."
        )
    model = _load_model(files)
    strategy = model.strategy
    if isinstance(given, TrainedStrategy):
        model.check_compatible(given)
        strategy = given.with_input_order(model.description.input_names)
    frames, test_bars = _load_bars(strategy, parameters, files)
    return ModelInputs(strategy, frames, test_bars, _load_reference(parameters, files), model)


def _parse(text: str) -> Strategy:
    try:
        return parse_strategy(text)
    except StrategyError as error:
        raise InvalidInput(str(error)) from error


def _load_bars(
    strategy: Strategy, parameters: BacktestParameters, files: Mapping[str, Path]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    base = strategy.base_timeframe
    if parameters.timeframe not in (None, base):
        raise InvalidInput(
            f"`timeframe` is {parameters.timeframe}, but the strategy's base timeframe is {base}; "
            "omit it or set it to the base timeframe."
        )
    frames = {}
    for key, name in strategy.files_of(parameters.symbol).items():
        path = files.get(f"bars/{name}.parquet")
        if path is not None:
            frames[key] = _until_end(read_bars(path), parameters)
    if base not in frames:
        raise InvalidInput(f"No {base} bars of {parameters.symbol} found; import them first.")
    test_bars = _from_start(frames[base], parameters)
    if len(test_bars) == 0:
        raise InvalidInput(
            f"No {base} bars of {parameters.symbol} found between {parameters.start_date or 'the beginning'} "
            f"and {parameters.end_date or 'the end'}."
        )
    return frames, test_bars


def _load_reference(parameters: BacktestParameters, files: Mapping[str, Path]) -> "pd.Series[float] | None":
    if parameters.reference is None:
        return None
    path = files.get(REFERENCE.format(parameters.reference))
    if path is None:
        raise InvalidInput(
            f"No bars of {parameters.reference} found; import them first, or omit `reference`."
        )
    return _until_end(read_bars(path), parameters)["close"]


def _load_model(files: Mapping[str, Path]) -> "TrainedModel":
    """Load the model; torch is imported only here, because rules and imports of market data do not need it."""
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


def _until_end(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.end_date is None:
        return bars
    return bars[bars.index < pd.Timestamp(parameters.end_date, tz="UTC") + pd.Timedelta(days=1)]


def _from_start(bars: pd.DataFrame, parameters: BacktestParameters) -> pd.DataFrame:
    if parameters.start_date is None:
        return bars
    return bars[bars.index >= pd.Timestamp(parameters.start_date, tz="UTC")]
