"""The same decisions traded without costs: the difference is what trading cost."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Result, simulate
from workers.backtesting.metrics import compute

FIGURES = ("total_return", "cagr", "sharpe", "sortino", "max_drawdown", "profit_factor", "final_equity")


def gross_figures(
    bars: pd.DataFrame, target: NDArray[np.int8], result: Result, calendar: str, before: pd.DataFrame | None
) -> dict[str, Any]:
    """Return the metrics `FIGURES` of a run without commission, slippage and spread.

    `target`: int8[n]; `result`: the run with costs, whose other rules are used; `before` as in `simulate`.
    """
    rules = replace(result.rules, commission=0.0, slippage=0.0)
    free = simulate(bars, target, rules, np.zeros(len(bars)), before)
    metrics = compute(
        pd.Series(free.equity, index=free.index),
        free.trades,
        initial_capital=rules.initial_capital,
        calendar=calendar,
    )
    return {name: metrics[name] for name in FIGURES}
