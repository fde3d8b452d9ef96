"""Compute labels from later bars. Each label records the last bar it depends on, by which splits are purged."""

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
    """Labels of one symbol's bars. `value` is NaN if the window does not fit into the row's segment."""

    value: Floats
    """float64[n]: -1 short, 0 flat, 1 long; or the return itself."""
    end: NDArray[np.int64]
    """int64[n]: position of the last bar that the label depends on."""
    weight: Floats
    """float64[n], above 0 and at most 1: weight of the row."""


def make_labels(
    bars: pd.DataFrame, spec: LabelSpec, timeframe: str, *, classification: bool = True
) -> Labels:
    """Label `bars` (columns open high low close, UTC index of opens). Windows never cross a gap in the data.

    Regression requires the forward return; the other sources are classes. Raises ValueError for regression on
    another source.
    """
    if not classification and not isinstance(spec, ForwardReturnLabels):
        raise ValueError(f"regression requires forward_return labels, not {spec.source}")
    index = pd.DatetimeIndex(bars.index)
    last = last_of_segment(segment_numbers(index, timeframe))
    high, low, close = (bars[name].to_numpy(dtype=np.float64) for name in ("high", "low", "close"))
    n = len(close)
    weight = np.ones(n)
    match spec:
        case ForwardReturnLabels():
            value, end = forward_return(close, last, spec.horizon)
            if classification:
                value = _classify(value, spec.threshold or 0.0)
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
    """Return int64[n]: position of the last bar in each bar's segment."""
    ends = np.append(np.flatnonzero(np.diff(segments)), len(segments) - 1)
    return ends[np.searchsorted(ends, np.arange(len(segments)))]


def forward_return(close: Floats, last: NDArray[np.int64], horizon: int) -> tuple[Floats, NDArray[np.int64]]:
    """Return close[t + horizon] / close[t] - 1 and the end of each window."""
    end = np.arange(len(close)) + horizon
    complete = end <= last
    value = np.full(len(close), np.nan)
    value[complete] = close[end[complete]] / close[complete] - 1.0
    return value, np.minimum(end, last)


def _classify(value: Floats, threshold: float) -> Floats:
    classes = np.where(value > threshold, 1.0, np.where(value < -threshold, -1.0, 0.0))
    return np.where(np.isnan(value), np.nan, classes)


def volatility(high: Floats, low: Floats, close: Floats, spec: TripleBarrierLabels) -> Floats:
    """Return float64[n], a fraction of the price, known at each bar; NaN before the first complete span."""
    if spec.vol_method == "atr":
        previous_close = np.concatenate((close[:1], close[:-1]))
        true_range = np.maximum(high, previous_close) - np.minimum(low, previous_close)
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
    """Triple barrier labels (Lopez de Prado 2018, ch. 3) of a long position entered at the close.

    1 if the profit barrier is touched first, -1 if the stop is, 0 if time runs out; a bar that touches both counts
    as the stop.
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
    max_bars: int,
) -> tuple[np.ndarray, np.ndarray]:
    n = close.size
    value = np.full(n, np.nan)
    end = np.arange(n)
    for t in range(n):
        until = min(t + max_bars, last[t])
        end[t] = until
        if not scale[t] > 0.0:
            continue
        upper = close[t] * (1.0 + profit * scale[t])
        lower = close[t] * (1.0 - stop * scale[t])
        touched = 0.0
        for i in range(t + 1, until + 1):
            if low[i] <= lower:
                touched = -1.0
            elif high[i] >= upper:
                touched = 1.0
            if touched != 0.0:
                end[t] = i
                break
        # A truncated window would keep only the rows whose barrier was touched early.
        if t + max_bars <= last[t]:
            value[t] = touched
    return value, end


def uniqueness(value: Floats, end: NDArray[np.int64]) -> Floats:
    """Return the mean over a label's window of 1 / (labels active at that bar) (2018, ch. 4); above 0, at most 1."""
    n = len(value)
    labelled = np.flatnonzero(~np.isnan(value))
    if len(labelled) == 0:
        return np.ones(n)
    change = np.zeros(n + 1)
    np.add.at(change, labelled + 1, 1.0)
    np.add.at(change, end[labelled] + 1, -1.0)
    active = np.cumsum(change)[:n]
    share = np.concatenate(([0.0], np.cumsum(np.where(active > 0, 1.0 / np.maximum(active, 1.0), 0.0))))
    length = np.maximum(end[labelled] - labelled, 1)
    weight = np.ones(n)
    weight[labelled] = (share[end[labelled] + 1] - share[labelled + 1]) / length
    return weight


@njit(cache=True)
def _zigzag(
    high: np.ndarray, low: np.ndarray, close: np.ndarray, last: np.ndarray, threshold: float, lookahead: int
) -> tuple[np.ndarray, np.ndarray]:
    """Label the direction in which the price first moves by `threshold` within `lookahead` bars; 0 if it does not."""
    n = close.size
    value = np.full(n, np.nan)
    end = np.arange(n)
    for t in range(n):
        until = min(t + lookahead, last[t])
        end[t] = until
        direction = 0.0
        for i in range(t + 1, until + 1):
            down = low[i] <= close[t] * (1.0 - threshold)
            up = high[i] >= close[t] * (1.0 + threshold)
            if down != up:
                direction = 1.0 if up else -1.0
            if down or up:
                end[t] = i
                break
        # A truncated window would keep only the rows whose swing came early.
        if t + lookahead <= last[t] and close[t] > 0.0:
            value[t] = direction
    return value, end


def regime(close: Floats, last: NDArray[np.int64], spec: RegimeLabels) -> tuple[Floats, NDArray[np.int64]]:
    """Classify the signed efficiency ratio (Kaufman 1995) of the next `horizon` bars; also flat if their volatility is
    far above that of the `vol_lookback` bars before."""
    n, horizon = len(close), spec.horizon
    end = np.arange(n) + horizon
    complete = end <= last
    steps = np.abs(np.diff(close, prepend=close[:1]))
    path = np.concatenate(([0.0], np.cumsum(steps)))
    value = np.full(n, np.nan)
    at, until = np.flatnonzero(complete), end[complete]
    distance = path[until + 1] - path[at + 1]
    efficiency = np.where(
        distance > 0, (close[until] - close[at]) / np.where(distance > 0, distance, 1.0), 0.0
    )
    returns = pd.Series(np.log(close)).diff()
    before = returns.rolling(spec.vol_lookback).std().to_numpy()
    following = returns.rolling(horizon).std().to_numpy()
    crisis = following[until] > spec.vol_crisis_threshold * before[at]
    trending = np.abs(efficiency) > spec.trending_threshold
    value[at] = np.where(trending & ~crisis, np.sign(efficiency), 0.0)
    value[at] = np.where(np.isnan(before[at]), np.nan, value[at])
    return value, np.minimum(end, last)
