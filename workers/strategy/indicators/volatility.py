"""Ranges, bands and deviations."""

import numpy as np
import talib

from workers.strategy.indicators.columns import Columns, Floats, ParameterValues
from workers.strategy.indicators.compiled import rolling_deviation


def atr(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.ATR(bars.high, bars.low, bars.close, p.whole("period")),)


def natr(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.NATR(bars.high, bars.low, bars.close, p.whole("period")),)


def bollinger_bands(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    width = p.number("multiplier")
    upper, middle, lower = talib.BBANDS(bars.source, p.whole("period"), width, width)
    return upper, middle, lower


def bollinger_width(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    upper, middle, lower = bollinger_bands(bars, p)
    return ((upper - lower) / middle,)


def keltner_channels(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    middle = talib.EMA(bars.close, p.whole("period"))
    reach = p.number("multiplier") * talib.ATR(bars.high, bars.low, bars.close, p.whole("atr_period"))
    return middle + reach, middle, middle - reach


def donchian_channels(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    upper, lower = talib.MAX(bars.high, p.whole("period")), talib.MIN(bars.low, p.whole("period"))
    return upper, (upper + lower) / 2.0, lower


def squeeze_intensity(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """1 - width of the Bollinger bands / width of the Keltner channel while they are inside it, else 0."""
    factor = p.number("bb_multiplier")
    upper, _, lower = talib.BBANDS(bars.close, p.whole("bb_period"), factor, factor)
    middle = talib.EMA(bars.close, p.whole("kc_period"))
    reach = p.number("kc_multiplier") * talib.ATR(bars.high, bars.low, bars.close, p.whole("kc_period"))
    undefined = np.isnan(upper) | np.isnan(reach)
    inside = (upper <= middle + reach) & (lower >= middle - reach) & (reach > 0.0)
    share = np.divide(upper - lower, 2.0 * reach, out=np.ones(len(reach)), where=inside)
    return (np.where(undefined, np.nan, 1.0 - share),)


def realized_volatility(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Sample standard deviation of log returns, percent per bar."""
    returns = np.diff(np.log(bars.source))
    return (np.append(np.nan, rolling_deviation(returns, p.whole("period")) * 100.0),)
