"""Many runs on the same bars: a grid of parameters is so many rows of wanted directions."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from workers.backtesting.engine import Buffers, directions, kernel_arguments, prepare, run
from workers.backtesting.rules import Rules

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Search:
    """One row per run, in the order of the targets."""

    final_equity: Floats
    max_drawdown: Floats
    sharpe_per_bar: Floats
    """Mean over standard deviation (ddof 1) of bar returns, not annualised; NaN where nothing moved."""
    trades: NDArray[np.int64]
    fees: Floats


def search(
    bars: pd.DataFrame,
    targets: NDArray[np.int8],
    rules: Rules | None = None,
    spread: Floats | None = None,
    before: pd.DataFrame | None = None,
) -> Search:
    """Runs each row of `targets` (int8[k, n]) through the kernel that a single run uses; memory does not grow with k."""
    rules = rules or Rules()
    prepared = prepare(bars, rules, spread, before)
    n = prepared.close.size
    arguments, buffers = kernel_arguments(prepared, rules), Buffers.of(n)
    k = len(targets)
    rows, trades = np.empty((4, k)), np.empty(k, np.int64)
    for i in range(k):
        trades[i] = run(prepared, directions(targets[i], n), arguments, buffers)
        rows[0, i] = buffers.equity[-1]
        rows[1, i], rows[2, i] = drawdown_and_sharpe(buffers.equity, rules.initial_capital)
        rows[3, i] = buffers.totals[0]
    return Search(rows[0], rows[1], rows[2], trades, rows[3])


@njit(cache=True, nogil=True)
def drawdown_and_sharpe(equity: np.ndarray, initial: float) -> tuple[float, float]:
    """(deepest drawdown, mean / standard deviation of bar returns with ddof 1), in one pass (Welford 1962)."""
    peak = before = initial
    deepest = mean = squares = 0.0
    n = equity.size
    for t in range(n):
        value = equity[t]
        peak = max(peak, value)
        deepest = min(deepest, value / peak - 1.0)
        change = value / before - 1.0 if before > 0.0 else 0.0
        before = value
        delta = change - mean
        mean += delta / (t + 1)
        squares += delta * (change - mean)
    if n < 2 or squares <= 0.0:
        return deepest, np.nan
    return deepest, mean / np.sqrt(squares / (n - 1))
