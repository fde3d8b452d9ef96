"""Oscillators and rates of change."""

import numpy as np
import talib

from workers.strategy.indicators.columns import Columns, Floats, ParameterValues
from workers.strategy.indicators.commodity_channel import commodity_channel_index


def rsi(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.RSI(bars.source, p.whole("period")),)


def macd(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    line, signal, histogram = talib.MACD(
        bars.source, p.whole("fast_period"), p.whole("slow_period"), p.whole("signal_period")
    )
    return line, signal, histogram


def momentum(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.MOM(bars.source, p.whole("period")),)


def roc(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.ROC(bars.source, p.whole("period")),)


def cci(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (commodity_channel_index(bars.high, bars.low, bars.close, p.whole("period")),)


def stochastic(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    k, d = talib.STOCH(
        bars.high,
        bars.low,
        bars.close,
        fastk_period=p.whole("k_period"),
        slowk_period=p.whole("smooth_k"),
        slowd_period=p.whole("d_period"),
    )
    return k, d


def williams_r(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.WILLR(bars.high, bars.low, bars.close, p.whole("period")),)


def relative_vigor(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Weighted close minus open over weighted high minus low, both averaged (Ehlers 2002); 0 if the range is 0."""
    moves = _mean(_weight(bars.close - bars.open), p.whole("period"))
    ranges = _mean(_weight(bars.high - bars.low), p.whole("period"))
    vigor = np.divide(moves, ranges, out=np.where(np.isnan(ranges), np.nan, 0.0), where=ranges > 0.0)
    return vigor, _mean(vigor, p.whole("signal_period"))


def fisher_transform(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """atanh of the position of the median price in the range of `period` bars, exponentially smoothed; the signal is
    the value of the previous bar."""
    middle = (bars.high + bars.low) / 2.0
    highest, lowest = talib.MAX(middle, p.whole("period")), talib.MIN(middle, p.whole("period"))
    width = highest - lowest
    place = np.divide(middle - lowest, width, out=np.where(np.isnan(width), np.nan, 0.5), where=width > 0.0)
    fisher = np.arctanh(np.clip(2.0 * place - 1.0, -0.999, 0.999))
    if p.whole("smoothing") > 1:
        fisher = talib.EMA(fisher, p.whole("smoothing"))
    return fisher, np.append(np.nan, fisher[:-1])


def _weight(values: Floats) -> Floats:
    """(x + 2 x[1] + 2 x[2] + x[3]) / 6; NaN in the first three rows."""
    weighted = np.full(len(values), np.nan)
    weighted[3:] = (values[3:] + 2.0 * values[2:-1] + 2.0 * values[1:-2] + values[:-3]) / 6.0
    return weighted


def _mean(values: Floats, period: int) -> Floats:
    return values if period == 1 else talib.SMA(values, period)
