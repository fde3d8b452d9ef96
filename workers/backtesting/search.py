"""Run many simulations on the same bars: each combination of parameters is one row of target directions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from workers.backtesting.engine import Buffers, kernel_rules, prepare_bars, run_kernel, validate_target
from workers.backtesting.engine_rules import Rules

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
    for i, target in enumerate(targets):
        account = run_kernel(prepared, validate_target(target, n), kernel_record, buffers)
        trades[i] = account["trades"]
        figures[0, i] = buffers.equity[-1]
        figures[1, i], figures[2, i] = drawdown_and_sharpe(buffers.equity, rules.initial_capital)
        figures[3, i] = account["fees"]
    return Search(figures[0], figures[1], figures[2], trades, figures[3])


@njit(cache=True, nogil=True)
def drawdown_and_sharpe(equity: np.ndarray, initial_capital: float) -> tuple[float, float]:
    """Return (maximum drawdown, mean / standard deviation of bar returns with ddof 1), in one pass (Welford 1962)."""
    peak = previous = initial_capital
    deepest = mean = squares = 0.0
    n = equity.size
    for t in range(n):
        value = equity[t]
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1.0)
        change = value / previous - 1.0 if previous > 0.0 else 0.0
        previous = value
        delta = change - mean
        mean += delta / (t + 1)
        squares += delta * (change - mean)
    if n < 2 or squares <= 0.0:
        return deepest, np.nan
    return deepest, mean / np.sqrt(squares / (n - 1))
