"""Volume and money flow."""

import numpy as np
import talib

from workers.strategy.indicators.columns import Columns, Floats, ParameterValues
from workers.strategy.indicators.compiled import rolling_sum


def on_balance_volume(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.OBV(bars.close, bars.volume),)


def accumulation_line(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.AD(bars.high, bars.low, bars.close, bars.volume),)


def chaikin_money_flow(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Sum of volume weighted by the position of the close in its bar, over the sum of volume; 0 without volume."""
    width = bars.high - bars.low
    place = np.divide(
        2.0 * bars.close - bars.high - bars.low, width, out=np.zeros(len(width)), where=width > 0.0
    )
    flow = rolling_sum(place * bars.volume, p.whole("period"))
    traded = rolling_sum(bars.volume, p.whole("period"))
    return (np.divide(flow, traded, out=np.where(np.isnan(traded), np.nan, 0.0), where=traded > 0.0),)


def money_flow_index(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    return (talib.MFI(bars.high, bars.low, bars.close, bars.volume, p.whole("period")),)


def volume_ratio(bars: Columns, p: ParameterValues) -> tuple[Floats, ...]:
    """Volume over its simple average; 1 if the average is 0."""
    mean = rolling_sum(bars.volume, p.whole("period")) / p.whole("period")
    return (np.divide(bars.volume, mean, out=np.where(np.isnan(mean), np.nan, 1.0), where=mean > 0.0),)
