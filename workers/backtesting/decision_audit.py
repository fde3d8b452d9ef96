"""Audit the decisions of every run for look-ahead: remove the later bars, decide again, compare."""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import decisions
from workers.backtesting.prediction import BacktestInputs, decision_array, predict
from workers.strategy.lookahead import MIN_CUTS, LookAheadError, audit_features, cut_points, fits_budget

SHARE_OF_RUN = 0.1
"""Time budget of the audit as a fraction of the run's time; half of it is for the inputs."""
MIN_BUDGET_S = 0.05
ROUNDING = 1e-6
"""Largest difference of a prediction, relative to the largest prediction, that float32 explains: with another
number of rows the sums are computed in another order."""


def audit_decisions(
    inputs: BacktestInputs,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    target: NDArray[np.int8],
    *,
    allow_short: bool | None,
    run_s: float,
) -> dict[str, Any]:
    """Raise LookAheadError that names the bar and the input, prediction or direction that changed.

    `features`: `build_features` of all bars; `predictions` and `target`: those of the run.
    """
    budget_s = max(MIN_BUDGET_S, SHARE_OF_RUN * run_s)
    feature_audit = audit_features(inputs.strategy, inputs.frames, budget_s / 2, full=features)
    started, cuts, rows = time.monotonic(), 0, 0
    for last in cut_points(np.arange(len(predictions))):
        if cuts >= MIN_CUTS and not fits_budget(time.monotonic() - started, rows, last + 1, budget_s / 2):
            break
        expected = predictions.iloc[: last + 1]
        _compare(expected, predict(inputs, features[features.index <= expected.index[-1]]))
        truncated = decisions.target_directions(
            inputs.strategy.decisions, decision_array(expected), allow_short=allow_short
        )
        if not np.array_equal(truncated, target[: last + 1]):
            raise LookAheadError(
                f"the target directions up to {expected.index[-1]} change when the bars after it are removed"
            )
        cuts, rows = cuts + 1, rows + last + 1
    return {"passed": True, "cuts": cuts, "features": feature_audit.as_data()}


def _compare(expected: pd.DataFrame, recomputed: pd.DataFrame) -> None:
    last = expected.index[-1]
    if not expected.index.equals(recomputed.index):
        raise LookAheadError(f"the rows up to {last} change when the bars after it are removed")
    largest = float(np.nanmax(np.abs(expected.to_numpy()), initial=0.0))
    same = np.isclose(
        expected.to_numpy(), recomputed.to_numpy(), rtol=0.0, atol=ROUNDING * largest, equal_nan=True
    )
    if not same.all():
        row = int((~same).any(axis=1).argmax())
        raise LookAheadError(
            f"the prediction at {expected.index[row]} changes when the bars after {last} are removed"
        )
