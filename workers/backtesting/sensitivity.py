"""Repeat a simulation under worse conditions: doubled costs, and every decision one bar later."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Rules, simulate


def simulate_worse_conditions(
    bars: pd.DataFrame,
    target: NDArray[np.int8],
    rules: Rules,
    spread: NDArray[np.float64] | None = None,
    before: pd.DataFrame | None = None,
) -> dict[str, dict[str, Any]]:
    """Return total return and number of trades for each condition; `spread` and `before` as in `simulate`."""
    doubled = replace(
        rules,
        commission=min(0.5, 2 * rules.commission),
        slippage=min(0.5, 2 * rules.slippage),
        spread=min(0.5, 2 * rules.spread),
    )
    delayed = np.concatenate((np.zeros(1, np.int8), target[:-1]))
    results = {
        "doubled_costs": simulate(bars, target, doubled, None if spread is None else 2 * spread, before),
        "one_bar_later": simulate(bars, delayed, rules, spread, before),
    }
    return {
        name: {
            "total_return": result.final_equity / rules.initial_capital - 1.0,
            "trades": result.entries,
        }
        for name, result in results.items()
    }
