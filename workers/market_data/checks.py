"""What makes a file unusable: rows that no market can have printed. Nothing is repaired."""

import numpy as np
import pandas as pd

from workers.market_data.bars import PRICES
from workers.market_data.errors import MarketDataError
from workers.market_data.row_errors import Lines, reject_rows
from workers.market_data.sessions import unix_nanoseconds
from workers.market_data.timeframes import nanoseconds

_ROUNDING = 1e-6
"""Relative difference between prices that the writing of decimals explains."""
_MOST_SHORTER = 0.2
"""Share of bars that may follow the one before sooner than the timeframe says (a session's first half hour)."""


def check_order(index: pd.DatetimeIndex, lines: Lines) -> None:
    """Raises `MarketDataError` naming the rows whose time is not after the one before."""
    steps = np.diff(unix_nanoseconds(index))
    if len(steps) and (steps < 0).all():
        raise MarketDataError("the rows run from the newest to the oldest; sort them by ascending time")
    texts = index.strftime("%Y-%m-%d %H:%M:%S")
    later = np.concatenate(([False], steps == 0))
    reject_rows(later, lines, "times stand twice", texts)
    reject_rows(np.concatenate(([False], steps < 0)), lines, "times go back", texts)


def check_prices(bars: pd.DataFrame, lines: Lines) -> None:
    """Raises `MarketDataError` naming rows with missing, infinite, zero or negative prices, negative volume, or a
    high and a low that do not enclose open and close."""
    for name in (*PRICES, "volume"):
        values = bars[name].to_numpy()
        reject_rows(~np.isfinite(values), lines, f"{name} is missing or no number")
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
    """Raises `MarketDataError` where the bars follow each other in another rhythm than `timeframe`."""
    steps = np.diff(unix_nanoseconds(index))
    if not len(steps):
        return
    length = nanoseconds(timeframe)
    values, counts = np.unique(steps, return_counts=True)
    usual = pd.Timedelta(int(values[np.argmax(counts)]))
    # A day or a week is an hour shorter when the clocks go forward.
    shorter = float(np.mean(steps < length * 0.95))
    if shorter > _MOST_SHORTER or usual > pd.Timedelta(length) * 1.05:
        raise MarketDataError(f"these are no {timeframe} bars: most follow the one before after {usual}")
