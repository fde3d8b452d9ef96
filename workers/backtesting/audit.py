"""Proof on every run that decisions do not look ahead: cut the end off, decide again, compare."""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import decisions
from workers.backtesting.parameters import BacktestParameters
from workers.strategy.audit import audit_features, cut_off

if TYPE_CHECKING:
    from workers.backtesting.run import Prepared

CUTS = 5
SHARE_OF_RUN = 0.1
"""The audit takes at most about this part of the time that the run itself took."""
AT_LEAST = 2
"""Cuts that are made however quick the run was."""
RELATIVE = 1e-9
SEED = 7


class LookAhead(Exception):
    """A decision changes when only later bars change: the backtest looks into the future."""


def decisions_see_no_future(
    prepared: "Prepared",
    parameters: BacktestParameters,
    predictions: pd.DataFrame,
    wanted: NDArray[np.int8],
    run_s: float,
) -> dict[str, Any]:
    """Raises LookAhead naming the bar and the feature or prediction that changed."""
    from workers.backtesting.run import predict, values

    begun = time.monotonic()
    features = audit_features(prepared.strategy, prepared.frames, budget_s=SHARE_OF_RUN * run_s)
    base = prepared.frames[prepared.strategy.base_timeframe]
    made = 0
    for cut in _cuts(len(predictions)):
        if made >= AT_LEAST and time.monotonic() - begun > SHARE_OF_RUN * run_s:
            break
        last = predictions.index[cut]
        position = int(base.index.searchsorted(last))
        again = predict(prepared, cut_off(prepared.strategy, prepared.frames, position))
        _compare(predictions.iloc[: cut + 1], again, last)
        target = decisions.targets(
            prepared.strategy.decisions, values(again), allow_short=parameters.allow_short
        )
        if not np.array_equal(target, wanted[: cut + 1]):
            raise LookAhead(f"The direction wanted up to {last} changes when the bars after it are cut off.")
        made += 1
    return {"passed": True, "cuts": made, "features": features.as_data()}


def _cuts(n: int) -> list[int]:
    generator = np.random.default_rng(SEED)
    return sorted(int(cut) for cut in generator.choice(n, size=min(CUTS, n), replace=False))[::-1]


def _compare(before: pd.DataFrame, again: pd.DataFrame, last: pd.Timestamp) -> None:
    if not before.index.equals(again.index):
        raise LookAhead(f"The rows up to {last} change when the bars after it are cut off.")
    same = np.isclose(before.to_numpy(), again.to_numpy(), rtol=RELATIVE, atol=1e-12, equal_nan=True)
    if not same.all():
        row = int((~same).any(axis=1).argmax())
        raise LookAhead(
            f"The prediction at {before.index[row]} changes when the bars after {last} are cut off."
        )
