"""The target directions of a trial on each symbol, from inputs that are computed once for the whole batch."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import condition_decisions, decisions
from workers.backtesting.backtest_inputs import ModelInputs, load_inputs
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.prediction import decision_array, predict
from workers.strategy.definition import Strategy
from workers.strategy.features import (
    attach_calendar,
    build_features,
    compute_indicator,
    feature_columns,
    require_volume,
)
from workers.strategy.grammar import RulesStrategy
from workers.strategy.indicator_catalog import EXPRESSION
from workers.strategy.indicators.columns import BarColumns
from workers.strategy.sections.model_inputs import Indicator
from workers.strategy.trained_strategy import TrainedStrategy
from workers.strategy.views import View, build_views
from workers.studies.columns import ColumnCache
from workers.studies.market import Market
from workers.studies.messages import SearchData

Directions = NDArray[np.int8]
Floats = NDArray[np.float64]


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


class RuleDirections:
    """Directions of conditions. Indicators that trials share are computed once, by a cache."""

    def __init__(self, strategy: Strategy, market: Market) -> None:
        self.cache = ColumnCache()
        self._symbols = [
            _RuleSymbol(attach_calendar(strategy, bars.frames), bars.start, number, self.cache)
            for number, bars in enumerate(market.symbols)
        ]

    def directions(self, strategy: Strategy, allow_short: bool | None) -> list[Directions]:
        assert isinstance(strategy, RulesStrategy), "points of a study keep the kind of its strategy"
        return [symbol.decide(strategy, allow_short) for symbol in self._symbols]


@dataclass(slots=True)
class _RuleSymbol:
    frames: Mapping[str, pd.DataFrame]
    start: int
    """Position of the first bar of the period in the base bars."""
    number: int
    cache: ColumnCache
    views: dict[object, Mapping[str, View]] = field(default_factory=dict)
    """By the indicators that the conditions name, and the formulas."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def decide(self, strategy: RulesStrategy, allow_short: bool | None) -> Directions:
        require_volume(strategy, self.frames)
        values = feature_columns(strategy, self._views_of(strategy), self._compute)
        columns = dict(zip(strategy.input_names, values, strict=True))
        return condition_decisions.decide(strategy, columns, start=self.start, allow_short=allow_short)[
            self.start :
        ]

    def _views_of(self, strategy: RulesStrategy) -> Mapping[str, View]:
        """Return the views that the strategy needs, each set of them built once."""
        named = frozenset((strategy.frame_of(feature), feature.indicator) for feature in strategy.features)
        formulas = frozenset(
            (name, *indicator.parameters.values())
            for name, indicator in strategy.indicators.items()
            if indicator.type == EXPRESSION
        )
        with self.lock:
            if (named, formulas) not in self.views:
                self.views[named, formulas] = build_views(strategy, self.frames)
            return self.views[named, formulas]

    def _compute(self, frame: str, bars: BarColumns, indicator: Indicator) -> Mapping[str, Floats]:
        key = (self.number, frame, indicator.type, *sorted(indicator.parameters.items()))
        return self.cache.outputs(key, lambda: compute_indicator(frame, bars, indicator))


def _predict_symbol(
    parameters: BacktestParameters, files: Mapping[str, Path], index: pd.DatetimeIndex
) -> tuple[NDArray[np.float64], NDArray[np.intp], int]:
    """Return (predictions, their positions among the bars of the period, number of these bars)."""
    inputs = load_inputs(parameters, files)
    if not isinstance(inputs, ModelInputs):
        raise InvalidInput("A rules strategy has no predictions; search it as a study of kind rules.")
    predictions = predict(inputs, build_features(inputs.strategy, inputs.frames))
    return decision_array(predictions), index.get_indexer(predictions.index), len(index)
