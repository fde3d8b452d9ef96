"""Reject files with rows that no market can have produced. Nothing is repaired."""

import numpy as np
import pandas as pd

from workers.market_data.bars import PRICES
from workers.market_data.errors import MarketDataError
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.sessions import unix_nanoseconds
from workers.market_data.timeframes import nanoseconds

_ROUNDING = 1e-6
"""Relative difference between prices that can come from rounding to decimals."""
_MOST_SHORTER = 0.2
"""Share of bars that may follow the previous one sooner than the timeframe (such as a first half hour)."""


def check_order(index: pd.DatetimeIndex, lines: Lines) -> None:
    """Raise `MarketDataError` with the rows whose time is not later than the previous one."""
    steps = np.diff(unix_nanoseconds(index))
    if (steps > 0).all():
        return
    texts = index.strftime("%Y-%m-%d %H:%M:%S")
    reject_rows(np.concatenate(([False], steps == 0)), lines, "duplicate time", texts)
    reject_rows(np.concatenate(([False], steps < 0)), lines, "time earlier than the previous row", texts)


def check_prices(bars: pd.DataFrame, lines: Lines) -> None:
    """Raise `MarketDataError` with the rows that have missing, infinite, zero or negative prices, negative volume, or
    an open or close outside high and low."""
    for name in (*PRICES, "volume"):
        values = bars[name].to_numpy()
        reject_rows(~np.isfinite(values), lines, f"{name} is missing or not a number")
        if name != "volume":
            reject_rows(values <= 0.0, lines, f"{name} is zero or negative", values)
    reject_rows(bars["volume"].to_numpy() < 0.0, lines, "volume is negative")
    high, low = bars["high"].to_numpy(), bars["low"].to_numpy()
    inner = bars[["open", "close"]].to_numpy()
    slack = high * _ROUNDING
    reject_rows(high < low - slack, lines, "high is below low")
    reject_rows(high < inner.max(axis=1) - slack, lines, "high is below open or close")
    reject_rows(low > inner.min(axis=1) + slack, lines, "low is above open or close")


def check_spacing(index: pd.DatetimeIndex, timeframe: str) -> None:
    """Raise `MarketDataError` if the spacing of the bars does not match `timeframe`. Ignores rows out of order."""
    steps = np.diff(unix_nanoseconds(index))
    steps = steps[steps > 0]
    if not len(steps):
        return
    length = nanoseconds(timeframe)
    values, counts = np.unique(steps, return_counts=True)
    usual = pd.Timedelta(int(values[np.argmax(counts)]))
    # A day or a week is an hour shorter when clocks go forward.
    shorter = float(np.mean(steps < length * 0.95))
    if shorter > _MOST_SHORTER or usual > pd.Timedelta(length) * 1.05:
        raise MarketDataError(f"these are not {timeframe} bars: most bars are {usual} apart")
