"""The directional movement system in one pass: TA-Lib computes the same sums again for each of its three lines."""

import numba
import numpy as np

from workers.strategy.indicators.columns import Floats


def directional_movement(
    high: Floats, low: Floats, close: Floats, period: int
) -> tuple[Floats, Floats, Floats]:
    """Return ADX, +DI and -DI (Wilder 1978), float64[n] each; NaN before the bar 2 period - 1.

    Every operation is in TA-Lib's order, so the results equal its ADX, PLUS_DI and MINUS_DI to the last bit.
    """
    # Memory of numpy, which has huge pages; that of numba costs a page fault for every 512 values.
    adx, plus, minus = (np.empty(len(close)) for _ in range(3))
    _fill(high, low, close, period, adx, plus, minus)
    return adx, plus, minus


@numba.njit(cache=True)
def _fill(
    high: Floats, low: Floats, close: Floats, period: int, adx: Floats, plus: Floats, minus: Floats
) -> None:
    n = len(close)
    for line in (adx, plus, minus):
        line[: min(2 * period - 1, n)] = np.nan
    up_sum = down_sum = range_sum = index_sum = average = 0.0
    for i in range(1, n):
        up, down, true_range = _moves(high, low, close, i)
        if i < period:
            up_sum, down_sum, range_sum = up_sum + up, down_sum + down, range_sum + true_range
            continue
        up_sum = up_sum - up_sum / period + up
        down_sum = down_sum - down_sum / period + down
        range_sum = range_sum - range_sum / period + true_range
        moved = range_sum > 0.0
        rising = 100.0 * (up_sum / range_sum) if moved else 0.0
        falling = 100.0 * (down_sum / range_sum) if moved else 0.0
        both = rising + falling
        if both > 0.0:
            index = 100.0 * (abs(falling - rising) / both)
            if i >= 2 * period:
                average = (average * (period - 1) + index) / period
            else:
                index_sum += index
        if i == 2 * period - 1:
            average = index_sum / period
        if i >= 2 * period - 1:
            adx[i], plus[i], minus[i] = average, rising, falling


@numba.njit(cache=True)
def _moves(high: Floats, low: Floats, close: Floats, i: int) -> tuple[float, float, float]:
    """Return the directional movements up and down of a bar, of which at most one is not zero, and its true range."""
    up, down, before = high[i] - high[i - 1], low[i - 1] - low[i], close[i - 1]
    true_range = max(high[i] - low[i], abs(high[i] - before), abs(low[i] - before))
    # Chosen without a branch, because the direction of the next bar cannot be predicted.
    return up if 0.0 < up > down else 0.0, down if 0.0 < down > up else 0.0, true_range
