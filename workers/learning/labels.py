"""What a model is taught to foresee. A label looks ahead, so it says how far: splits are purged by that."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from workers.learning.segments import segment_numbers
from workers.strategy.sections.labels import (
    ForwardReturnLabels,
    RegimeLabels,
    TripleBarrierLabels,
    ZigzagLabels,
)

Floats = NDArray[np.float64]
LabelSpec = ForwardReturnLabels | TripleBarrierLabels | ZigzagLabels | RegimeLabels


@dataclass(frozen=True, slots=True)
class Labels:
    """Of one symbol's bars. A row without a whole window inside its segment has `value` NaN."""

    value: Floats
    """float64[n]: -1 short, 0 flat, 1 long; or the return itself."""
    end: NDArray[np.int64]
    """int64[n]: position of the last bar that the label looked at."""
    weight: Floats
    """float64[n], above 0 and at most 1: how much the row counts."""


def make_labels(
    bars: pd.DataFrame, spec: LabelSpec, timeframe: str, *, classification: bool = True
) -> Labels:
    """Labels of `bars` (columns open high low close, UTC index of opens). Windows never cross a gap in the data.

    Regression is taught the forward return; the other sources are classes by nature.
    Raises ValueError for regression on another source.
    """
    if not classification and not isinstance(spec, ForwardReturnLabels):
        raise ValueError(f"regression is taught a forward_return, not {spec.source} labels")
    index = pd.DatetimeIndex(bars.index)
    last = last_of_segment(segment_numbers(index, timeframe))
    high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("high", "low", "close"))
    n = len(close)
    weight = np.ones(n)
    match spec:
        case ForwardReturnLabels():
            value, end = forward_return(close, last, spec.horizon)
            if classification:
                value = _cut(value, spec.threshold or 0.0)
        case TripleBarrierLabels():
            value, end = triple_barrier(high, low, close, volatility(high, low, close, spec), last, spec)
            if spec.compute_weights:
                weight = uniqueness(value, end)
        case ZigzagLabels():
            value, end = _zigzag(high, low, close, last, spec.zigzag_threshold, spec.label_lookahead)
        case RegimeLabels():
            value, end = regime(close, last, spec)
    return Labels(value, end, weight)


def last_of_segment(segments: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[n]: position of the last bar in each bar's segment."""
    ends = np.append(np.flatnonzero(np.diff(segments)), len(segments) - 1)
    return ends[np.searchsorted(ends, np.arange(len(segments)))]


def forward_return(close: Floats, last: NDArray[np.int64], horizon: int) -> tuple[Floats, NDArray[np.int64]]:
    """close[t + horizon] / close[t] - 1."""
    end = np.arange(len(close)) + horizon
    whole = end <= last
    value = np.full(len(close), np.nan)
    value[whole] = close[end[whole]] / close[whole] - 1.0
    return value, np.minimum(end, last)


def _cut(value: Floats, threshold: float) -> Floats:
    classes = np.where(value > threshold, 1.0, np.where(value < -threshold, -1.0, 0.0))
    return np.where(np.isnan(value), np.nan, classes)


def volatility(high: Floats, low: Floats, close: Floats, spec: TripleBarrierLabels) -> Floats:
    """float64[n], a fraction of the price, known at each bar; NaN before the first whole span."""
    if spec.vol_method == "atr":
        before = np.concatenate((close[:1], close[:-1]))
        true_range = np.maximum(high, before) - np.minimum(low, before)
        mean = (
            pd.Series(true_range)
            .ewm(alpha=1.0 / spec.vol_span, adjust=False, min_periods=spec.vol_span)
            .mean()
        )
        return mean.to_numpy() / close
    returns = pd.Series(np.log(close)).diff()
    return returns.ewm(span=spec.vol_span, min_periods=spec.vol_span).std().to_numpy()


def triple_barrier(
    high: Floats,
    low: Floats,
    close: Floats,
    scale: Floats,
    last: NDArray[np.int64],
    spec: TripleBarrierLabels,
) -> tuple[Floats, NDArray[np.int64]]:
    """Lopez de Prado 2018, ch. 3, seen from a long position entered at the close.

    1 where the profit barrier is met first, -1 where the stop is, 0 where time runs out; a bar that meets both
    counts as the stop.
    """
    value, end = _barriers(
        high, low, close, scale, last, spec.pt_multiplier, spec.sl_multiplier, spec.max_holding_period
    )
    return value, end


@njit(cache=True)
def _barriers(
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    scale: np.ndarray,
    last: np.ndarray,
    profit: float,
    stop: float,
    longest: int,
) -> tuple[np.ndarray, np.ndarray]:
    n = close.size
    value = np.full(n, np.nan)
    end = np.arange(n)
    for t in range(n):
        until = min(t + longest, last[t])
        end[t] = until
        if not scale[t] > 0.0:
            continue
        upper = close[t] * (1.0 + profit * scale[t])
        lower = close[t] * (1.0 - stop * scale[t])
        met = 0.0
        for i in range(t + 1, until + 1):
            if low[i] <= lower:
                met = -1.0
            elif high[i] >= upper:
                met = 1.0
            if met != 0.0:
                end[t] = i
                break
        # A window cut short would keep only those rows whose barrier was met early.
        if t + longest <= last[t]:
            value[t] = met
    return value, end


def uniqueness(value: Floats, end: NDArray[np.int64]) -> Floats:
    """Average over a label's window of 1 / (labels alive at that bar) (2018, ch. 4); above 0, at most 1."""
    n = len(value)
    labelled = np.flatnonzero(~np.isnan(value))
    if len(labelled) == 0:
        return np.ones(n)
    change = np.zeros(n + 1)
    np.add.at(change, labelled + 1, 1.0)
    np.add.at(change, end[labelled] + 1, -1.0)
    alive = np.cumsum(change)[:n]
    share = np.concatenate(([0.0], np.cumsum(np.where(alive > 0, 1.0 / np.maximum(alive, 1.0), 0.0))))
    length = np.maximum(end[labelled] - labelled, 1)
    weight = np.ones(n)
    weight[labelled] = (share[end[labelled] + 1] - share[labelled + 1]) / length
    return weight


@njit(cache=True)
def _zigzag(
    high: np.ndarray, low: np.ndarray, close: np.ndarray, last: np.ndarray, threshold: float, ahead: int
) -> tuple[np.ndarray, np.ndarray]:
    """Which way the price goes by `threshold` first within `ahead` bars; 0 where it goes neither."""
    n = close.size
    value = np.full(n, np.nan)
    end = np.arange(n)
    for t in range(n):
        until = min(t + ahead, last[t])
        end[t] = until
        met = 0.0
        for i in range(t + 1, until + 1):
            down = low[i] <= close[t] * (1.0 - threshold)
            up = high[i] >= close[t] * (1.0 + threshold)
            if down != up:
                met = 1.0 if up else -1.0
            if down or up:
                end[t] = i
                break
        # A window cut short would keep only those rows whose swing came early.
        if t + ahead <= last[t] and close[t] > 0.0:
            value[t] = met
    return value, end


def regime(close: Floats, last: NDArray[np.int64], spec: RegimeLabels) -> tuple[Floats, NDArray[np.int64]]:
    """Efficiency ratio (Kaufman 1995) of the next `horizon` bars, signed; flat too where they are far wilder than
    the `vol_lookback` bars before."""
    n, horizon = len(close), spec.horizon
    end = np.arange(n) + horizon
    whole = end <= last
    steps = np.abs(np.diff(close, prepend=close[:1]))
    path = np.concatenate(([0.0], np.cumsum(steps)))
    value = np.full(n, np.nan)
    at, until = np.flatnonzero(whole), end[whole]
    walked = path[until + 1] - path[at + 1]
    efficiency = np.where(walked > 0, (close[until] - close[at]) / np.where(walked > 0, walked, 1.0), 0.0)
    returns = pd.Series(np.log(close)).diff()
    before = returns.rolling(spec.vol_lookback).std().to_numpy()
    following = returns.rolling(horizon).std().to_numpy()
    crisis = following[until] > spec.vol_crisis_threshold * before[at]
    trending = np.abs(efficiency) > spec.trending_threshold
    value[at] = np.where(trending & ~crisis, np.sign(efficiency), 0.0)
    value[at] = np.where(np.isnan(before[at]), np.nan, value[at])
    return value, np.minimum(end, last)
