"""Repeat a simulation under worse conditions: doubled costs, and every decision one bar later."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Result, simulate
from workers.backtesting.engine_rules import MAX_COST


def simulate_worse_conditions(
    bars: pd.DataFrame,
    target: NDArray[np.int8],
    result: Result,
    before: pd.DataFrame | None = None,
) -> dict[str, dict[str, Any]]:
    """Return total return and number of trades for each condition.

    `result`: of `target` on `bars`; its rules and its spread at each bar are used. `before` as in `simulate`. Doubled
    costs end at half of the price each.
    """
    rules = result.rules
    doubled = replace(
        rules, commission=min(MAX_COST, 2 * rules.commission), slippage=min(MAX_COST, 2 * rules.slippage)
    )
    doubled_spread = np.minimum(MAX_COST, 2 * result.spread)
    delayed = np.concatenate((np.zeros(1, np.int8), target[:-1]))
    results = {
        "doubled_costs": simulate(bars, target, doubled, doubled_spread, before),
        "one_bar_later": simulate(bars, delayed, rules, result.spread, before),
    }
    return {
        name: {
            "total_return": other.final_equity / rules.initial_capital - 1.0,
            "trades": other.entries,
            "slippage_cost": other.slippage_cost,
        }
        for name, other in results.items()
    }
