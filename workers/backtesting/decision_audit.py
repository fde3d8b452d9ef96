"""Audit the decisions of every run for look-ahead: remove the later bars, decide again, compare."""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import decisions
from workers.backtesting.backtest_inputs import ModelInputs
from workers.backtesting.prediction import decision_array, predict
from workers.strategy.lookahead import CUTS, LookAheadError, audit_features, choose_rows
from workers.strategy.sections.model import sequence_length

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]

ROUNDING = 1e-6
"""Largest difference of a prediction that single precision explains, relative to the scale of the run's predictions;
the error that the model's own network shows against double precision is added."""
ERRORS = 8.0
"""How many times that error two single precision results may differ by: they sum in other orders."""
_MEASURED = 32
"""Windows to measure that error on."""
_EARLY_ROW = 20
"""Row to predict again from all rows up to it."""
MAX_WINDOW_VALUES = 8_000_000
"""Values of all windows together; with longer or wider ones, at fewer rows."""
DIRECTION_CUTS = 150
"""Rows to decide again at; each signal is compared at all chosen rows."""
MAX_DIRECTIONS = 100_000_000
"""Directions to compute again in total; with more bars, at fewer of them."""


def audit_decisions(
    inputs: ModelInputs,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    target: NDArray[np.int8],
    *,
    allow_short: bool | None,
) -> dict[str, Any]:
    """Raise LookAheadError that names the bar and the input, prediction or direction that changed.

    `features`: `build_features` of all bars; `predictions` and `target`: those of the run.
    """
    started = time.monotonic()
    length = sequence_length(inputs.strategy.model)
    first = int(features.index.searchsorted(predictions.index[0]))
    feature_audit = audit_features(
        inputs.strategy, inputs.frames, features, since=features.index[max(0, first - length + 1)]
    )
    known = np.flatnonzero(np.isfinite(predictions.to_numpy()).all(axis=1))
    cuts = min(CUTS, max(2, MAX_WINDOW_VALUES // (length * features.shape[1])))
    chosen = known[choose_rows(len(known), cuts)]
    _audit_predictions(inputs, features, predictions, chosen, first)
    _audit_directions(inputs, predictions, target, chosen, allow_short)
    return {
        "passed": True,
        "cuts": len(chosen) + 1,
        "features": feature_audit.as_data(),
        "seconds": time.monotonic() - started,
    }


def _audit_predictions(
    inputs: ModelInputs, features: pd.DataFrame, predictions: pd.DataFrame, chosen: Rows, first: int
) -> None:
    """Predict again from all rows up to an early one, and each of `chosen` from its own window.

    The windows are predicted in two halves, so that a prediction that depends on all others has other ones beside it.
    """
    values, times = predictions.to_numpy(np.float64), pd.DatetimeIndex(predictions.index)
    windows = _windows(features, chosen + first, sequence_length(inputs.strategy.model))
    tolerance = _tolerance(inputs, values, windows)
    early = min(_EARLY_ROW, len(times) // 3) + 1
    again = predict(inputs, features.iloc[: first + early])
    if not times[:early].equals(again.index):
        raise LookAheadError(f"the rows up to {times[early - 1]} change when the bars after it are removed")
    again_values = again.to_numpy(np.float64)
    _compare(values[:early], again_values, times[:early], tolerance, f"after {times[early - 1]}")
    for half in (slice(0, None, 2), slice(1, None, 2)):
        rows = chosen[half]
        if len(rows):
            of_windows = inputs.model.predict_windows(windows[half]).reshape(len(rows), -1)
            _compare(values[rows], of_windows, times[rows], tolerance, "after it")


def _tolerance(inputs: ModelInputs, values: Floats, windows: Floats) -> float:
    description = inputs.model.description
    largest = float(np.nanmax(np.abs(values), initial=0.0))
    scale = 1.0 if description.classification else max(description.label_scale, largest)
    measured = windows[:: max(1, len(windows) // _MEASURED)]
    error = inputs.model.single_precision_error(measured) if len(windows) else 0.0
    return ROUNDING * scale + ERRORS * error


def _windows(features: pd.DataFrame, rows: Rows, length: int) -> Floats:
    """Return the inputs of the `length` rows up to each of `rows`; float64[rows, length, inputs]."""
    windows: Floats = features.to_numpy(np.float64)[rows[:, None] + np.arange(1 - length, 1)]
    return windows


def _compare(
    expected: Floats, again: Floats, times: pd.DatetimeIndex, tolerance: float, removed: str
) -> None:
    """Raise LookAheadError unless both predictions, float64[n, outputs], are NaN or differ by at most `tolerance`."""
    same = (np.abs(expected - again) <= tolerance) | (np.isnan(expected) & np.isnan(again))
    if not same.all():
        row = int((~same).any(axis=1).argmax())
        raise LookAheadError(f"the prediction at {times[row]} changes when the bars {removed} are removed")


def _audit_directions(
    inputs: ModelInputs,
    predictions: pd.DataFrame,
    target: NDArray[np.int8],
    chosen: Rows,
    allow_short: bool | None,
) -> None:
    """Decide again at a row from all predictions up to it, and at `chosen` rows from the signals up to them."""
    rules, values, n = inputs.strategy.decisions, decision_array(predictions), len(predictions)
    early = decisions.target_directions(rules, values[: n // 3 + 1], allow_short=allow_short)
    if not np.array_equal(early, target[: len(early)]):
        raise LookAheadError(_changed_directions(predictions.index[n // 3]))
    signals = decisions.signals(rules, values)
    if not np.array_equal(decisions.signals(rules, values[chosen]), signals[chosen]):
        raise LookAheadError("the signal of a prediction changes when other predictions are removed")
    for row in _cuts_of_directions(chosen, n):
        again = decisions.directions_from_signals(rules, signals[: row + 1], allow_short=allow_short)
        if not np.array_equal(again, target[: row + 1]):
            raise LookAheadError(_changed_directions(predictions.index[row]))


def _cuts_of_directions(chosen: Rows, n: int) -> Rows:
    """Leave out some of `chosen`, evenly: each takes as long as the directions of all bars up to it."""
    most = max(1, min(DIRECTION_CUTS, 2 * MAX_DIRECTIONS // n))
    return chosen[:: -(-len(chosen) // most)] if len(chosen) else chosen


def _changed_directions(last: pd.Timestamp) -> str:
    return f"the target directions up to {last} change when the bars after it are removed"
