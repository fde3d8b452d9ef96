"""Figures of the last quarter of a year at each bar. All are annual, with the basis of the metrics."""

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.periods import Periods

Floats = NDArray[np.float64]
ROLLING_DAYS = 63
"""A quarter of a year of an exchange's days."""
FEWEST_ROLLING = 12
SMALLEST_DEVIATION = 1e-12


def rolling_window(periods: Periods) -> int:
    """Return the number of observations of the rolling figures: a quarter of a year, but at least 12."""
    if periods.unit == "daily":
        return ROLLING_DAYS
    return max(FEWEST_ROLLING, round(periods.per_year / 4))


def rolling_figures(
    equity: Floats, benchmark: Floats, initial_capital: float, periods: Periods
) -> dict[str, Floats]:
    """Return float64[n] by name: the figure of the last `rolling_window` periods at each bar; NaN before.

    `equity`, `benchmark`: float64[n] at the close of each bar, from the same capital.
    """
    returns, held = (pd.Series(periods.returns(marks, initial_capital)) for marks in (equity, benchmark))
    size = rolling_window(periods)
    window, root = returns.rolling(size), math.sqrt(periods.per_year)
    downside = (returns.clip(upper=0.0) ** 2).rolling(size).mean().clip(lower=0.0) ** 0.5
    variance = held.rolling(size).var(ddof=1)
    figures = {
        "rolling_sharpe": window.mean() / _nonzero(window.std(ddof=1)) * root,
        "rolling_sortino": window.mean() / _nonzero(downside) * root,
        "rolling_volatility": window.std(ddof=1) * root,
        "rolling_beta": window.cov(held, ddof=1) / _nonzero(variance, SMALLEST_DEVIATION**2),
    }
    return {
        name: _at_bars(values.to_numpy(np.float64), periods, len(equity)) for name, values in figures.items()
    }


def _nonzero(values: "pd.Series[float]", least: float = SMALLEST_DEVIATION) -> "pd.Series[float]":
    return values.where(values > least)


def _at_bars(values: Floats, periods: Periods, n: int) -> Floats:
    """Return the figures of the periods at the n bars; a period's figure is known at its last bar, and until the next."""
    known = np.searchsorted(periods.ends, np.arange(n), side="right") - 1
    return np.where(known >= 0, values[np.maximum(known, 0)], np.nan)
