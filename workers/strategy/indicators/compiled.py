"""Loops that no library provides, compiled by numba. Each reads only earlier rows and starts at the first row."""

import numba
import numpy as np

from workers.strategy.indicators.columns import Floats


@numba.njit(cache=True)
def rolling_sum(values: Floats, period: int) -> Floats:
    """Sum of the last `period` values; NaN before. Recomputed every `period` rows to limit rounding errors."""
    n = len(values)
    sums = np.full(n, np.nan)
    total = 0.0
    for i in range(n):
        total += values[i]
        if i >= period:
            total -= values[i - period]
        if i >= period - 1:
            if (i + 1) % period == 0:
                total = 0.0
                for j in range(i - period + 1, i + 1):
                    total += values[j]
            sums[i] = total
    return sums


@numba.njit(cache=True)
def rolling_deviation(values: Floats, period: int) -> Floats:
    """Sample standard deviation (ddof 1) of the last `period` values; NaN before (Welford 1962, sliding)."""
    n = len(values)
    deviations = np.full(n, np.nan)
    mean = 0.0
    squares = 0.0
    for i in range(n):
        if i < period:
            step = values[i] - mean
            mean += step / (i + 1)
            squares += step * (values[i] - mean)
        elif i % period == 0:
            mean = values[i - period + 1 : i + 1].mean()
            squares = ((values[i - period + 1 : i + 1] - mean) ** 2).sum()
        else:
            leaving = values[i - period]
            previous = mean
            mean += (values[i] - leaving) / period
            squares += (values[i] - leaving) * (values[i] - mean + leaving - previous)
        if i >= period - 1:
            deviations[i] = np.sqrt(max(squares, 0.0) / (period - 1))
    return deviations


@numba.njit(cache=True)
def session_vwap(prices: Floats, volume: Floats, session: np.ndarray) -> Floats:
    """Volume weighted mean price since the first bar of the session; the price of the bar until volume is positive."""
    n = len(prices)
    values = np.empty(n)
    traded = 0.0
    money = 0.0
    for i in range(n):
        if i == 0 or session[i] != session[i - 1]:
            traded = 0.0
            money = 0.0
        traded += volume[i]
        money += volume[i] * prices[i]
        values[i] = money / traded if traded > 0.0 else prices[i]
    return values


@numba.njit(cache=True)
def supertrend(
    high: Floats, low: Floats, close: Floats, atr: Floats, multiplier: float
) -> tuple[Floats, Floats]:
    """Trailing band and its direction (1 below the price, -1 above); NaN where `atr` is NaN.

    The band moves only towards the price until a close crosses it; then the band of the other side takes over.
    """
    n = len(close)
    trend = np.full(n, np.nan)
    direction = np.full(n, np.nan)
    upper = np.nan
    lower = np.nan
    side = 1.0
    for i in range(n):
        if np.isnan(atr[i]):
            continue
        middle = (high[i] + low[i]) / 2.0
        new_upper = middle + multiplier * atr[i]
        new_lower = middle - multiplier * atr[i]
        if np.isnan(upper):
            upper, lower = new_upper, new_lower
            side = 1.0 if close[i] >= middle else -1.0
        else:
            if not (new_upper < upper or close[i - 1] > upper):
                new_upper = upper
            if not (new_lower > lower or close[i - 1] < lower):
                new_lower = lower
            upper, lower = new_upper, new_lower
            if side > 0.0 and close[i] < lower:
                side = -1.0
            elif side < 0.0 and close[i] > upper:
                side = 1.0
        direction[i] = side
        trend[i] = lower if side > 0.0 else upper
    return trend, direction
