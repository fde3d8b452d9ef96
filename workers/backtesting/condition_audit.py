"""Audit the decisions of a rules strategy for look-ahead: remove the later bars, evaluate and decide again, compare."""

import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting import condition_decisions
from workers.backtesting.backtest_inputs import RulesInputs
from workers.backtesting.condition_decisions import Columns
from workers.strategy.lookahead import LookAheadError, audit_features, choose_rows

CUTS = 150
"""Bars to decide again at, each from all bars up to it."""
MAX_VALUES = 200_000_000
"""Values of columns to evaluate again in total; with more bars or columns, at fewer rows."""
FEWEST_CUTS = 20


def audit_conditions(
    inputs: RulesInputs,
    features: pd.DataFrame,
    columns: Columns,
    target: NDArray[np.int8],
    *,
    allow_short: bool | None,
) -> dict[str, Any]:
    """Raise LookAheadError that names the bar and the input or direction that changed.

    `features`: `build_features` of all bars; `columns` and `target`: those of the run, from the first bar on.
    """
    started = time.monotonic()
    bars, start = inputs.base_bars.index, len(inputs.earlier_bars)
    feature_audit = audit_features(inputs.strategy, inputs.frames, features, since=bars[start])
    most = max(FEWEST_CUTS, 2 * MAX_VALUES // (len(bars) * len(columns)))
    chosen = choose_rows(len(bars) - start, min(CUTS, most)) + start
    for row in chosen:
        known = {name: values[: row + 1] for name, values in columns.items()}
        again = condition_decisions.decide(inputs.strategy, known, start=start, allow_short=allow_short)
        if not np.array_equal(again, target[: row + 1]):
            raise LookAheadError(
                f"the target directions up to {bars[row]} change when the bars after it are removed"
            )
    return {
        "passed": True,
        "cuts": len(chosen),
        "features": feature_audit.as_data(),
        "seconds": time.monotonic() - started,
    }
