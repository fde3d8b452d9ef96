"""Alpha, beta and related figures of returns against those of another series over the same periods."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.periods import Periods

Floats = NDArray[np.float64]
SMALLEST_VARIANCE = 1e-30
FEWEST = 3
"""Observations below which a slope has no meaning."""


def relate(returns: Floats, other: Floats, per_year: float) -> dict[str, Any]:
    """Return the figures of `returns` against `other`, float64[k] each, per period; NaN where one is unknown.

    beta: cov(r, m) / var(m). alpha: per_year * (mean(r) - beta * mean(m)), without a risk-free rate (Jensen 1968).
    correlation: of Pearson. tracking_error: standard deviation (ddof 1) of r - m, annual. information_ratio: annual
    mean of r - m over it (Grinold 1989). Undefined figures are None.
    """
    known = ~(np.isnan(returns) | np.isnan(other))
    own, market = returns[known], other[known]
    figures: dict[str, Any] = dict.fromkeys(
        ("beta", "alpha", "correlation", "tracking_error", "information_ratio")
    )
    figures["observations"] = len(own)
    if len(own) < FEWEST:
        return figures
    active = own - market
    deviation = float(active.std(ddof=1))
    figures["tracking_error"] = deviation * math.sqrt(per_year)
    if deviation**2 > SMALLEST_VARIANCE:
        figures["information_ratio"] = float(active.mean()) / deviation * math.sqrt(per_year)
    covariance = np.cov(own, market, ddof=1)
    if covariance[1, 1] > SMALLEST_VARIANCE:
        beta = float(covariance[0, 1] / covariance[1, 1])
        figures |= {"beta": beta, "alpha": per_year * (float(own.mean()) - beta * float(market.mean()))}
        if covariance[0, 0] > SMALLEST_VARIANCE:
            figures["correlation"] = float(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]))
    return figures


def reference_returns(close: "pd.Series[float]", index: pd.DatetimeIndex, periods: Periods) -> Floats:
    """Return the returns of another series over the periods of a run; float64[k], NaN where it has no new bar.

    `close`: closes of its bars by their opening times, of the same timeframe as the n bars of `index`, and also those
    before. A period's mark is the last close of a bar that opens no later than the period's last bar.
    """
    ends = index[periods.ends]
    at = np.asarray(close.index.searchsorted(ends, side="right"), np.intp) - 1
    before = int(close.index.searchsorted(index[0], side="left")) - 1
    previous = np.concatenate(([before], at[:-1]))
    values = close.to_numpy(np.float64)
    is_new = (previous >= 0) & (at > previous)
    marks, earlier = values[np.maximum(at, 0)], values[np.maximum(previous, 0)]
    return np.where(is_new, marks / earlier - 1.0, np.nan)
