"""Decide the target direction at each bar of a backtest, by a model or by conditions, with the audit of the decisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import condition_decisions, decisions, no_trades
from workers.backtesting.backtest_inputs import MODEL_WEIGHTS, BacktestInputs, ModelInputs, RulesInputs
from workers.backtesting.condition_audit import audit_conditions
from workers.backtesting.condition_report import conditions_table, never_true_warnings
from workers.backtesting.decision_audit import audit_decisions
from workers.backtesting.prediction import decision_array, predict
from workers.provenance import file_sha256
from workers.strategy.features import (
    attach_calendar,
    build_features,
    complete_rows,
    input_matrix,
    require_volume,
)

Period = tuple[pd.Timestamp, pd.Timestamp]


@dataclass(frozen=True, slots=True)
class Decided:
    target: NDArray[np.int8]
    """Target direction of each bar of the test period."""
    complete_bars: int
    """Bars of the test period that have all inputs."""
    audit: Callable[[], dict[str, Any]]
    """Checks the decisions for look-ahead. Raises LookAheadError."""
    explain_no_trades: Callable[[], list[str]]
    """Returns sentences why the decisions led to no trade."""
    predictions: NDArray[np.float64] | None = None
    """Of a model: float64[n, 3] probabilities or float64[n] forecasts at the n bars of the test period."""
    threshold: float | None = None
    """Probability or forecast return from which the strategy trades."""
    model_sha256: str | None = None
    training_period: Period | None = None
    """First and last bar that the model was trained on."""
    result: dict[str, Any] = field(default_factory=dict)
    """Keys of the operation's result that only this kind of strategy has."""
    warnings: list[dict[str, str]] = field(default_factory=list)


def decide(
    inputs: ModelInputs | RulesInputs, files: Mapping[str, Path], *, allow_short: bool | None
) -> Decided:
    """Raises InvalidInput if no bar of the test period has all inputs."""
    if isinstance(inputs, RulesInputs):
        return _decide_by_conditions(inputs, allow_short)
    return _decide_by_model(inputs, files, allow_short)


def _decide_by_model(inputs: ModelInputs, files: Mapping[str, Path], allow_short: bool | None) -> Decided:
    features = build_features(inputs.strategy, inputs.frames)
    complete_bars = _count_complete(features, inputs)
    predictions = predict(inputs, features)
    decided = decisions.target_directions(
        inputs.strategy.decisions, decision_array(predictions), allow_short=allow_short
    )
    index = inputs.test_bars.index
    at_all_bars = predictions.reindex(index)
    rules = inputs.strategy.decisions
    return Decided(
        target=pd.Series(decided, index=predictions.index).reindex(index, fill_value=0).to_numpy(np.int8),
        complete_bars=complete_bars,
        audit=partial(audit_decisions, inputs, features, predictions, decided, allow_short=allow_short),
        explain_no_trades=partial(
            no_trades.model_reasons,
            rules,
            decision_array(at_all_bars),
            may_short=decisions.may_short(rules, allow_short),
        ),
        predictions=decision_array(at_all_bars),
        threshold=decisions.threshold(inputs.strategy.decisions),
        model_sha256=file_sha256(files[MODEL_WEIGHTS]),
        training_period=inputs.model.training_period,
    )


def _decide_by_conditions(inputs: RulesInputs, allow_short: bool | None) -> Decided:
    strategy, start = inputs.strategy, len(inputs.earlier_bars)
    frames = attach_calendar(strategy, inputs.frames)
    require_volume(strategy, frames)
    matrix = input_matrix(strategy, frames)
    features = complete_rows(strategy, matrix, frames)
    complete_bars = _count_complete(features, inputs)
    columns = dict(zip(strategy.input_names, matrix.T, strict=True))
    decided = condition_decisions.decide(strategy, columns, start=start, allow_short=allow_short)
    table = conditions_table(strategy, columns, start)
    return Decided(
        target=decided[start:],
        complete_bars=complete_bars,
        audit=partial(audit_conditions, inputs, features, columns, decided, allow_short=allow_short),
        explain_no_trades=partial(
            no_trades.condition_reasons,
            table,
            decided[start:],
            may_short=decisions.may_short(strategy.decisions, allow_short),
        ),
        result={"conditions": table},
        warnings=never_true_warnings(table),
    )


def _count_complete(features: pd.DataFrame, inputs: BacktestInputs) -> int:
    count = int((features.index >= inputs.test_bars.index[0]).sum())
    if count == 0:
        raise InvalidInput(
            "No bar of the test period has all inputs, because the indicators need more earlier bars to warm up; "
            "choose a later period or import earlier data."
        )
    return count
