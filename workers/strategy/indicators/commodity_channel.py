"""The commodity channel index, with vector instructions where TA-Lib takes one bar after the other."""

import numba
import numpy as np

from workers.strategy.indicators.columns import Floats

_LANES = 64
"""Blocks of `period` bars that are computed side by side."""

_ZERO = 1e-14
"""Distance, relative to the mean, that only rounding causes; TA-Lib's."""


def commodity_channel_index(high: Floats, low: Floats, close: Floats, period: int) -> Floats:
    """Return the distance of the typical price from its mean, over 0.015 mean absolute deviations (Lambert 1980);
    float64[n], NaN before the bar period - 1.

    TA-Lib sums a window in the order of a ring in which bar i has the place i modulo `period`. Bars that are a multiple of
    `period` apart have their window at the same places, so they are computed side by side. The results equal TA-Lib's to
    the last bit.
    """
    values = np.empty(len(close))
    _fill(high, low, close, period, values)
    return values


@numba.njit(cache=True)
def _fill(high: Floats, low: Floats, close: Floats, period: int, values: Floats) -> None:
    n = len(close)
    values[: min(period - 1, n)] = np.nan
    blocks = -(-n // period)
    ring = np.zeros((period, _LANES + 1))  # of the block before the first lane, then of each lane
    mean, deviation = np.empty(_LANES), np.empty(_LANES)
    for first in range(0, blocks, _LANES):
        ring[:, 0] = ring[:, _LANES]
        for i in range(first * period, min((first + _LANES) * period, n)):
            ring[i % period, i // period - first + 1] = (high[i] + low[i] + close[i]) / 3.0
        for place in range(period):
            mean[:] = 0.0
            deviation[:] = 0.0
            for other in range(period):
                # Places up to this one are of the lane's own block, the later ones of the block before.
                prices = ring[other, 1:] if other <= place else ring[other, :-1]
                for lane in range(_LANES):
                    mean[lane] += prices[lane]
            for lane in range(_LANES):
                mean[lane] /= period
            for other in range(period):
                prices = ring[other, 1:] if other <= place else ring[other, :-1]
                for lane in range(_LANES):
                    deviation[lane] += abs(prices[lane] - mean[lane])
            for lane in range(min(_LANES, blocks - first)):
                i = (first + lane) * period + place
                if period - 1 <= i < n:
                    distance, spread = ring[place, lane + 1] - mean[lane], deviation[lane] / period
                    known = abs(distance) >= _ZERO * abs(mean[lane]) and spread > 0.0
                    values[i] = distance / (0.015 * spread) if known else 0.0
