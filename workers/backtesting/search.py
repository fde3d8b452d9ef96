"""Run many simulations on the same bars: each combination of parameters is one row of target directions."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import Buffers, kernel_rules, prepare_bars, run_kernel, validate_targets
from workers.backtesting.engine_rules import Rules
from workers.backtesting.equity_passes import fall_and_growth

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Search:
    """One value per run, in the order of the targets."""

    final_equity: Floats
    max_drawdown: Floats
    sharpe_per_bar: Floats
    """Mean over standard deviation (ddof 1) of bar returns, not annualised; NaN if the equity did not move."""
    trades: NDArray[np.int64]
    fees: Floats


def search(
    bars: pd.DataFrame,
    targets: NDArray[np.int8],
    rules: Rules | None = None,
    spread: Floats | None = None,
    before: pd.DataFrame | None = None,
) -> Search:
    """Run each row of `targets` (int8[k, n]) through the kernel of a single run; apart from the results, memory does not
    grow with k."""
    rules = rules or Rules()
    prepared = prepare_bars(bars, rules, spread, before)
    n, count = prepared.close.size, len(targets)
    kernel_record, buffers = kernel_rules(rules), Buffers.of(n)
    figures, trades = np.empty((4, count)), np.empty(count, np.int64)
    for i, target in enumerate(validate_targets(targets, n)):
        account = run_kernel(prepared, target, kernel_record, buffers)
        trades[i] = account["trades"]
        figures[0, i] = buffers.equity[-1]
        figures[1, i], figures[2, i] = drawdown_and_sharpe(buffers.equity, rules.initial_capital)
        figures[3, i] = account["fees"]
    return Search(figures[0], figures[1], figures[2], trades, figures[3])


def drawdown_and_sharpe(equity: Floats, initial_capital: float) -> tuple[float, float]:
    """Return (maximum drawdown, mean / standard deviation of bar returns with ddof 1)."""
    drawdown, mean, squares = fall_and_growth(equity, initial_capital)
    return drawdown, mean / math.sqrt(squares / (len(equity) - 1)) if squares > 0.0 else math.nan
