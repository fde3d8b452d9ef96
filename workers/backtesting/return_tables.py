"""Tables of a run's returns: by year, their distribution, and the best and worst periods."""

import math
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.periods import Periods

Floats = NDArray[np.float64]
BINS = 41
EXTREMES = 10


def yearly_returns(
    equity: Floats, benchmark: Floats, initial_capital: float, periods: Periods, index: pd.DatetimeIndex
) -> list[dict[str, Any]]:
    """Return `{year, return, benchmark}`, each on the last equity of the year before; None after a total loss.

    A period belongs to the year (UTC) in which its last bar opens, as it belongs to its month.
    """
    years = index[periods.ends].year.to_numpy()
    last = np.append(years[1:] != years[:-1], True)
    own, held = (_growth(marks[periods.ends][last], initial_capital) for marks in (equity, benchmark))
    return [
        {"year": int(year), "return": gain, "benchmark": other}
        for year, gain, other in zip(years[last], own, held, strict=True)
    ]


def _growth(marks: Floats, start: float) -> list[float | None]:
    before = [start, *marks[:-1].tolist()]
    return [
        mark / base - 1.0 if base > 0 else None for mark, base in zip(marks.tolist(), before, strict=True)
    ]


def distribution(returns: Floats, unit: str) -> dict[str, Any]:
    """Return a histogram of `BINS` equal bins, mean, deviation (ddof 1), skewness and excess kurtosis.

    `returns`: float64[k] of the periods. Skewness and kurtosis are Fisher's g1 and g2 of the sample (ddof 0), so a normal
    distribution has 0 of both; None if the returns do not vary. Empty if they differ by too little for as many bins.
    """
    if len(returns) < 2 or float(np.ptp(returns)) <= 2 * BINS * float(np.spacing(np.abs(returns).max())):
        return {}
    counts, edges = np.histogram(returns, BINS)
    centred = returns - returns.mean()
    variance = float(np.mean(centred**2))
    varies = variance > 1e-30
    return {
        "unit": unit,
        "edges": edges.tolist(),
        "counts": counts.tolist(),
        "mean": float(returns.mean()),
        "deviation": float(returns.std(ddof=1)),
        "skewness": float(np.mean(centred**3)) / variance**1.5 if varies else None,
        "excess_kurtosis": float(np.mean(centred**4)) / variance**2 - 3.0 if varies else None,
        "positive": float(np.mean(returns > 0)),
    }


def extremes(returns: Floats, benchmark: Floats, periods: Periods, index: pd.DatetimeIndex) -> dict[str, Any]:
    """Return the best and the worst periods as `{time, return, benchmark}`, gains and losses only.

    `returns`, `benchmark`: float64[k]. A period's time is the opening of its last bar.
    """
    order = np.argsort(returns, kind="stable")
    times = index[periods.ends]

    def rows(positions: NDArray[np.intp]) -> list[dict[str, Any]]:
        return [
            {"time": times[k].isoformat(), "return": float(returns[k]), "benchmark": _finite(benchmark[k])}
            for k in positions
        ]

    worst = [k for k in order[:EXTREMES] if returns[k] < 0]
    best = [k for k in order[::-1][:EXTREMES] if returns[k] > 0]
    return {"best": rows(np.array(best, np.intp)), "worst": rows(np.array(worst, np.intp))}


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
