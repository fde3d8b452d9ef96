"""Moving averages, in the units of their source."""

import talib

from workers.strategy.indicators.columns import Columns, Floats, ParameterValues
from workers.strategy.indicators.compiled import rolling_sum, session_vwap


def sma(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.SMA(bars.source, p.whole("period")),)


def ema(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Starts with the simple average of the first `period` values."""
    return (talib.EMA(bars.source, p.whole("period")),)


def wma(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.WMA(bars.source, p.whole("period")),)


def dema(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.DEMA(bars.source, p.whole("period")),)


def tema(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.TEMA(bars.source, p.whole("period")),)


def kama(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.KAMA(bars.source, p.whole("period")),)


def distance_from_average(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """(source - average) / average, in percent."""
    average = talib.SMA if p.choice("ma_type") == "sma" else talib.EMA
    middle = average(bars.source, p.whole("period"))
    return ((bars.source - middle) / middle * 100.0,)


def vwap(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Since the start of the session, or over the last `period` bars if a period is set."""
    prices = (bars.high + bars.low + bars.close) / 3.0 if p.flag("use_typical_price") else bars.close
    period = p.whole("period")
    if period == 0:
        return (session_vwap(prices, bars.volume, bars.session),)
    traded = rolling_sum(bars.volume, period)
    money = rolling_sum(bars.volume * prices, period)
    values = prices.copy()
    values[: period - 1] = traded[: period - 1]
    moved = traded > 0.0
    values[moved] = money[moved] / traded[moved]
    return (values,)
