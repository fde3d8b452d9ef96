"""Moments of daily returns by block: 256 bytes per trial from which every Sharpe ratio over any blocks follows."""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from workers.studies.messages import BLOCKS

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

FEWEST_DAYS = 2 * BLOCKS
"""Fewer days leave blocks without a variance."""


def block_edges(days: int) -> Positions:
    """Return int64[17]: first day of each block, and the number of days. Earlier blocks have the remainder."""
    size, remainder = divmod(days, BLOCKS)
    sizes = np.full(BLOCKS, size)
    sizes[:remainder] += 1
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def block_moments(returns: Floats) -> Floats:
    """Return float64[k, 16, 2], sum and sum of squares of each block of `returns` (float64[k, days])."""
    returns = np.ascontiguousarray(np.atleast_2d(returns), dtype=np.float64)
    moments = np.empty((len(returns), BLOCKS, 2))
    for row, values in zip(moments, returns, strict=True):
        write_block_moments(values, row)
    return moments


@njit(cache=True, nogil=True)
def write_block_moments(returns: np.ndarray, out: np.ndarray) -> None:
    """Write the moments of one trial (float64[days]) to `out` (float64[16, 2])."""
    size, remainder = divmod(returns.size, out.shape[0])
    start = 0
    for block in range(out.shape[0]):
        stop = start + size + (1 if block < remainder else 0)
        total = squares = 0.0
        for t in range(start, stop):
            total += returns[t]
            squares += returns[t] * returns[t]
        out[block, 0] = total
        out[block, 1] = squares
        start = stop


def sharpes(moments: Floats, days: int) -> Floats:
    """Return float64[k], mean over standard deviation (ddof 1) per day of all blocks; 0 without variation.

    NaN for a trial without moments.
    """
    total, squares = moments[:, :, 0].sum(axis=1), moments[:, :, 1].sum(axis=1)
    if days < 2:
        return np.full(len(moments), math.nan)
    variance = (squares - total * total / days) / (days - 1)
    varies = variance > 1e-15 * squares / days
    ratio = total / days / np.sqrt(np.where(varies, variance, 1.0))
    return np.where(varies, ratio, np.where(np.isnan(total), np.nan, 0.0))
