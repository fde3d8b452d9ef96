"""Direction and strength of a trend."""

import talib

from workers.strategy.indicators import compiled
from workers.strategy.indicators.columns import Columns, Floats, ParameterValues
from workers.strategy.indicators.directional import directional_movement


def adx(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return directional_movement(bars.high, bars.low, bars.close, p.whole("period"))


def aroon(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    down, up = talib.AROON(bars.high, bars.low, p.whole("period"))
    return up, down, up - down


def parabolic_sar(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """SAREXT, which returns short values as negative, is needed only if initial and step acceleration differ."""
    initial, step, largest = p.number("initial_af"), p.number("step_af"), p.number("max_af")
    if initial == step:
        return (talib.SAR(bars.high, bars.low, step, largest),)
    line = talib.SAREXT(
        bars.high,
        bars.low,
        accelerationinitlong=initial,
        accelerationlong=step,
        accelerationmaxlong=largest,
        accelerationinitshort=initial,
        accelerationshort=step,
        accelerationmaxshort=largest,
    )
    return (abs(line),)


def supertrend(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    atr = talib.ATR(bars.high, bars.low, bars.close, p.whole("period"))
    trend, direction = compiled.supertrend(bars.high, bars.low, bars.close, atr, p.number("multiplier"))
    return trend, direction


def ichimoku(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Lines as known at the bar: none is shifted forward or back."""
    tenkan = _middle(bars, p.whole("tenkan_period"))
    kijun = _middle(bars, p.whole("kijun_period"))
    return tenkan, kijun, (tenkan + kijun) / 2.0, _middle(bars, p.whole("senkou_b_period"))


def _middle(bars: Columns, period: int) -> Floats:
    """Middle of the range of `period` bars. Same as TA-Lib's MIDPRICE, whose run time grows with the period."""
    middle: Floats = (talib.MAX(bars.high, period) + talib.MIN(bars.low, period)) / 2.0
    return middle
