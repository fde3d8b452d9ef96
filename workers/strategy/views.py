"""Bars of other timeframes and symbols, as bars of the base timeframe see them: the newest one that has closed.

Frames are keyed by timeframe (`1d`), those of another symbol by symbol and timeframe (`SPY/1d`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.calendars import calendar_of
from workers.market_data.errors import MarketDataError
from workers.market_data.resampling import resample
from workers.market_data.sessions import NANOSECONDS_A_DAY, UnixNanoseconds
from workers.market_data.timeframes import close_times, nanoseconds
from workers.strategy.definition import Strategy
from workers.strategy.indicator_catalog import EXPRESSION
from workers.strategy.indicator_expressions import indicator_tree, indicators_of
from workers.strategy.indicators.columns import BarColumns, Floats

Frames = Mapping[str, pd.DataFrame]
"""Bars of one run, by key."""

_STALE_LENGTHS = 3
_STALE_DAYS = 7
"""A value of other bars is used for three of these bars plus a week of closed markets, then it is stale."""


def frame_key(symbol: str, timeframe: str) -> str:
    """Return the key of a frame; `symbol` is empty for the symbol of the run."""
    return f"{symbol}/{timeframe}" if symbol else timeframe


def timeframe_of(key: str) -> str:
    return key.rpartition("/")[2]


def symbol_of(key: str) -> str:
    return key.rpartition("/")[0]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Bars of one symbol and timeframe and, for each bar that looks at them, the position of the newest closed one.

    The position is -1 where there is none; `position` is None if the bars look at themselves. `joined` has, by symbol, the
    views of other symbols that formulas on these bars name.
    """

    bars: BarColumns
    position: npt.NDArray[np.intp] | None
    joined: "Mapping[str, View]"

    def at_base(self, values: Floats) -> Floats:
        """Return values of these bars as the bars that look at them see them."""
        if self.position is None:
            return values
        return np.where(self.position >= 0, values[np.maximum(self.position, 0)], np.nan)


def build_views(strategy: Strategy, frames: Frames) -> dict[str, View]:
    """Return the view of each frame that an input uses, by key; `frames` come from `attach_calendar`.

    Raises `MarketDataError` if base bars are missing.
    """
    require_base_bars(strategy, frames)
    builder = _Builder(strategy, frames)
    base = builder.bars_of("", strategy.base_timeframe)
    needed: dict[tuple[str, str], list[str]] = {}
    for feature in strategy.features:
        at = strategy.symbol_of(feature.indicator), feature.timeframe
        needed.setdefault(at, []).append(feature.indicator)
    return {
        frame_key(symbol, timeframe): builder.view(symbol, timeframe, names, base)
        for (symbol, timeframe), names in needed.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class _TimedBars:
    bars: pd.DataFrame
    closes: UnixNanoseconds


@dataclass(frozen=True, slots=True)
class _Builder:
    strategy: Strategy
    frames: Frames
    _timed: dict[str, _TimedBars] = field(default_factory=dict)

    def bars_of(self, symbol: str, timeframe: str) -> _TimedBars:
        """Return the bars with their closing times; a timeframe that is missing is resampled from the base bars."""
        key = frame_key(symbol, timeframe)
        if key not in self._timed:
            self._timed[key] = self._load(symbol, timeframe)
        return self._timed[key]

    def _load(self, symbol: str, timeframe: str) -> _TimedBars:
        base = self.frames[frame_key(symbol, self.strategy.base_timeframe)]
        calendar, key = calendar_of(base), frame_key(symbol, timeframe)
        if key in self.frames:
            bars = self.frames[key]
            return _TimedBars(bars, close_times(pd.DatetimeIndex(bars.index), timeframe, calendar))
        return _TimedBars(*resample(base, self.strategy.base_timeframe, timeframe, calendar))

    def view(self, symbol: str, timeframe: str, names: Iterable[str], looking: _TimedBars) -> View:
        """Return the bars of `symbol`, on which the indicators `names` are computed, as `looking` sees them."""
        timed = self.bars_of(symbol, timeframe)
        position = None if timed is looking else _newest_closed(timed.closes, looking.closes, timeframe)
        joined = {
            other: self.view(other, timeframe, indicators, timed)
            for other, indicators in self._indicators_of_others(symbol, names).items()
        }
        return View(BarColumns(timed.bars), position, joined)

    def _indicators_of_others(self, symbol: str, names: Iterable[str]) -> dict[str, list[str]]:
        """Return by symbol the indicators of other symbols that formulas on the bars of `symbol` name."""
        others: dict[str, list[str]] = {}
        waiting, seen = list(names), set(names)
        while waiting:
            name = waiting.pop()
            own = self.strategy.symbol_of(name)
            if own not in ("", symbol):
                others.setdefault(own, []).append(name)
            elif name in self.strategy.indicators and self.strategy.indicators[name].type == EXPRESSION:
                further = set(indicators_of(indicator_tree(self.strategy.indicators, name))) - seen
                waiting += further
                seen |= further
        return others


def _newest_closed(closes: UnixNanoseconds, now: UnixNanoseconds, timeframe: str) -> npt.NDArray[np.intp]:
    """Return the position of the newest bar that has closed at each instant; -1 if there is none or it is stale."""
    position = np.searchsorted(closes, now, side="right") - 1
    oldest = _STALE_LENGTHS * nanoseconds(timeframe) + _STALE_DAYS * NANOSECONDS_A_DAY
    stale = now - closes[np.maximum(position, 0)] > oldest
    return np.where(stale, -1, position)


def require_base_bars(strategy: Strategy, frames: Frames) -> None:
    """Raise `MarketDataError` if the base bars of the run, or of another symbol of the strategy, are missing."""
    for symbol in ("", *strategy.other_symbols):
        if frame_key(symbol, strategy.base_timeframe) not in frames:
            needed = f"{symbol} {strategy.base_timeframe}".strip()
            available = ", ".join(frames) or "none"
            raise MarketDataError(f"the strategy needs {needed} bars; available: {available}")
