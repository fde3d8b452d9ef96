"""Proof on every run that decisions do not look ahead: cut the end off, decide again, compare."""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import decisions
from workers.backtesting.prediction import Prepared, predict, values
from workers.strategy.lookahead import MIN_CUTS, LookAheadError, audit_features, cut_points, fits_budget

SHARE_OF_RUN = 0.1
"""The audit takes about this part of the time that the run itself took, half of it for the inputs."""
LEAST_S = 0.05
ROUNDING = 1e-6
"""Largest difference of a prediction, relative to the largest, that float32 explains: another number of rows is
multiplied in another order."""


def decisions_see_no_future(
    prepared: Prepared,
    features: pd.DataFrame,
    predictions: pd.DataFrame,
    wanted: NDArray[np.int8],
    *,
    allow_short: bool | None,
    run_s: float,
) -> dict[str, Any]:
    """Raises LookAheadError naming the bar and the input, prediction or direction that changed.

    `features`: `build_features` of all bars; `predictions` and `wanted`: what the run made of them.
    """
    budget = max(LEAST_S, SHARE_OF_RUN * run_s)
    inputs = audit_features(prepared.strategy, prepared.frames, budget / 2, full=features)
    begun, made, rows = time.monotonic(), 0, 0
    for cut in cut_points(np.arange(len(predictions))):
        if made >= MIN_CUTS and not fits_budget(time.monotonic() - begun, rows, cut + 1, budget / 2):
            break
        before = predictions.iloc[: cut + 1]
        _compare(before, predict(prepared, features[features.index <= before.index[-1]]))
        again = decisions.targets(prepared.strategy.decisions, values(before), allow_short=allow_short)
        if not np.array_equal(again, wanted[: cut + 1]):
            raise LookAheadError(
                f"the direction wanted up to {before.index[-1]} changes when the bars after it are cut off"
            )
        made, rows = made + 1, rows + cut + 1
    return {"passed": True, "cuts": made, "features": inputs.as_data()}


def _compare(before: pd.DataFrame, again: pd.DataFrame) -> None:
    last = before.index[-1]
    if not before.index.equals(again.index):
        raise LookAheadError(f"the rows up to {last} change when the bars after it are cut off")
    largest = float(np.nanmax(np.abs(before.to_numpy()), initial=0.0))
    same = np.isclose(before.to_numpy(), again.to_numpy(), rtol=0.0, atol=ROUNDING * largest, equal_nan=True)
    if not same.all():
        row = int((~same).any(axis=1).argmax())
        raise LookAheadError(
            f"the prediction at {before.index[row]} changes when the bars after {last} are cut off"
        )
