"""The bars of a study, and the axis of days on which the returns of all its symbols are placed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting.periods import SECONDS_PER_YEAR, Periods, bar_days, periods_of
from workers.market_data.bars import read_bars
from workers.market_data.calendars import calendar_of
from workers.market_data.sessions import unix_nanoseconds
from workers.strategy.definition import Strategy
from workers.studies.messages import SearchData

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SymbolBars:
    """Bars of one symbol up to the end of the period; those before its start only warm indicators up."""

    symbol: str
    frames: Mapping[str, pd.DataFrame]
    """Key of a frame (`1d`, `SPY/1d`) -> bars."""
    test_bars: pd.DataFrame
    """Bars of the base timeframe in the period."""
    earlier_bars: pd.DataFrame
    periods: Periods

    @property
    def start(self) -> int:
        """Position of the first bar of the period in the base bars."""
        return len(self.earlier_bars)


@dataclass(frozen=True)
class Market:
    """The symbols of a study. A day is a period of `backtesting.periods`; longer bars are one day each."""

    symbols: tuple[SymbolBars, ...]
    days: NDArray[np.datetime64]
    """datetime64[D][days], increasing: date (UTC) of the last bar of each day of any symbol."""
    place: tuple[Positions, ...]
    """For each symbol, the position in `days` of each of its periods."""

    @property
    def per_year(self) -> float:
        """Days a year, of the symbol with the most days."""
        return max(self.symbols, key=lambda bars: len(bars.periods.ends)).periods.per_year

    @cached_property
    def bars(self) -> int:
        """Bars of the period of all symbols."""
        return sum(len(bars.test_bars) for bars in self.symbols)

    @cached_property
    def years(self) -> float:
        """Calendar time of the longest symbol, from the open of its first bar to the close of its last one."""
        return max(_years(pd.DatetimeIndex(bars.test_bars.index)) for bars in self.symbols)

    @cached_property
    def day_of_bar(self) -> tuple[Positions, ...]:
        """For each symbol, the position in `days` of the day of each bar; int64[bars]."""
        return tuple(
            place[np.searchsorted(bars.periods.ends, np.arange(len(bars.test_bars)))]
            for bars, place in zip(self.symbols, self.place, strict=True)
        )

    @cached_property
    def times(self) -> Positions:
        """int64[n]: the distinct opening times of the bars of the period, nanoseconds since 1970."""
        opens = [unix_nanoseconds(pd.DatetimeIndex(bars.test_bars.index)) for bars in self.symbols]
        return np.unique(np.concatenate(opens))

    @cached_property
    def day_ends(self) -> Positions:
        """int64[days]: the latest opening time of a last bar of each day, nanoseconds since 1970."""
        ends = np.zeros(len(self.days), np.int64)
        for bars, place in zip(self.symbols, self.place, strict=True):
            opens = unix_nanoseconds(pd.DatetimeIndex(bars.test_bars.index))
            np.maximum.at(ends, place, opens[bars.periods.ends])
        return ends


def load_market(strategy: Strategy, data: SearchData, files: Mapping[str, Path]) -> Market:
    """Read the bars of the symbols and days of `data`. Raises InvalidInput."""
    loaded = tuple(
        _load_symbol(strategy, symbol, data.start_date, data.end_date, files) for symbol in data.symbols
    )
    if len(loaded) == 1:
        # Each period is a day of its own, even if two end on one date.
        days = _dates(loaded[0])
        return Market(loaded, days, (np.arange(len(days)),))
    dates = [_dates(bars) for bars in loaded]
    days = np.unique(np.concatenate(dates))
    return Market(loaded, days, tuple(np.searchsorted(days, own) for own in dates))


def _years(index: pd.DatetimeIndex) -> float:
    return (float((index[-1] - index[0]).total_seconds()) + bar_days(index) * 86400) / SECONDS_PER_YEAR


def _dates(bars: SymbolBars) -> NDArray[np.datetime64]:
    ends = pd.DatetimeIndex(bars.test_bars.index)[bars.periods.ends]
    return ends.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[D]")


def _load_symbol(
    strategy: Strategy, symbol: str, start: date | None, end: date | None, files: Mapping[str, Path]
) -> SymbolBars:
    base = strategy.base_timeframe
    frames = {}
    for key, name in strategy.files_of(symbol).items():
        path = files.get(f"bars/{name}.parquet")
        if path is not None:
            frames[key] = _until(read_bars(path), end)
    if base not in frames:
        raise InvalidInput(f"No {base} bars of {symbol} found; import them first.")
    bars = frames[base]
    first = 0 if start is None else int(bars.index.searchsorted(pd.Timestamp(start, tz="UTC")))
    if first >= len(bars):
        raise InvalidInput(
            f"No {base} bars of {symbol} found between {start or 'the beginning'} and {end or 'the end'}."
        )
    test_bars = bars.iloc[first:]
    periods = periods_of(pd.DatetimeIndex(test_bars.index), calendar_of(bars))
    return SymbolBars(symbol, frames, test_bars, bars.iloc[:first], periods)


def _until(bars: pd.DataFrame, end: date | None) -> pd.DataFrame:
    return bars if end is None else bars[bars.index < pd.Timestamp(end, tz="UTC") + pd.Timedelta(days=1)]
