"""The target directions of a trial on each symbol, from inputs that are computed once for the whole batch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import decisions
from workers.backtesting.backtest_inputs import ModelInputs, load_inputs
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.prediction import decision_array, predict
from workers.strategy.definition import Strategy
from workers.strategy.features import build_features
from workers.strategy.trained_strategy import TrainedStrategy
from workers.studies.market import Market
from workers.studies.messages import SearchData

Directions = NDArray[np.int8]


class DirectionSource(Protocol):
    """Decides trials; safe to use from several threads."""

    def directions(self, strategy: Strategy, allow_short: bool | None) -> list[Directions]:
        """Return int8[bars of the period] for each symbol. Raises InvalidInput."""


class ModelDirections:
    """Directions of a trained model, whose predictions are computed once; a trial changes how they are decided on."""

    def __init__(
        self, data: SearchData, strategy_yaml: str, market: Market, files: Mapping[str, Path]
    ) -> None:
        """Raises InvalidInput if the strategy does not match the model."""
        common = {"start_date": data.start_date, "end_date": data.end_date, "strategy_yaml": strategy_yaml}
        self._predictions = [
            _predict_symbol(
                BacktestParameters.model_validate({"symbol": bars.symbol, **common}),
                files,
                pd.DatetimeIndex(bars.test_bars.index),
            )
            for bars in market.symbols
        ]

    def directions(self, strategy: Strategy, allow_short: bool | None) -> list[Directions]:
        assert isinstance(strategy, TrainedStrategy), (
            "points of a model's study keep the kind of its strategy"
        )
        found = []
        for values, rows, bars in self._predictions:
            target = np.zeros(bars, np.int8)
            target[rows] = decisions.target_directions(strategy.decisions, values, allow_short=allow_short)
            found.append(target)
        return found


def _predict_symbol(
    parameters: BacktestParameters, files: Mapping[str, Path], index: pd.DatetimeIndex
) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    """Return (predictions, their positions among the bars of the period, number of these bars)."""
    inputs = load_inputs(parameters, files)
    if not isinstance(inputs, ModelInputs):
        raise InvalidInput("A rules strategy has no predictions; search it as a study of kind rules.")
    predictions = predict(inputs, build_features(inputs.strategy, inputs.frames))
    return decision_array(predictions), index.get_indexer(predictions.index), len(index)
