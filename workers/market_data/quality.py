"""Report the quality of market data: missing and suspicious bars. Nothing is repaired."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.exchanges import find_exchange
from workers.market_data.sessions import Sessions, UnixNanoseconds, count_up_to, mondays, unix_nanoseconds
from workers.market_data.timeframes import close_times, is_intraday, nanoseconds

LISTED = 500
"""Maximum number of findings listed per kind; all are counted."""

_SPIKE_DEVIATIONS = 15.0
_SPIKE_LEAST = 0.05
_SPLITS = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 10.0, 15.0, 20.0)
_SPLIT_TOLERANCE = 0.06

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Findings:
    """Positions of missing and suspicious bars; position i is the step from bar i to bar i + 1."""

    missing: Counts
    """Bars missing in each step; int64[n - 1]."""
    spikes: npt.NDArray[np.intp]
    splits: npt.NDArray[np.intp]

    @classmethod
    def of(cls, bars: pd.DataFrame, timeframe: str, calendar: str) -> Self:
        splits = _suspected_splits(_overnight_steps(bars))
        return cls(
            missing=missing_between(pd.DatetimeIndex(bars.index), timeframe, calendar),
            spikes=np.setdiff1d(_spikes(bars), splits),
            splits=splits,
        )


def examine(bars: pd.DataFrame, findings: Findings) -> dict[str, Any]:
    """Return a JSON-ready report: counts by name, and under `listed` the first findings of each kind with their times."""
    index = pd.DatetimeIndex(bars.index)
    missing, spikes, splits = findings.missing, findings.spikes, findings.splits
    steps = _overnight_steps(bars)
    gaps = np.flatnonzero(missing)
    volume = bars["volume"].to_numpy()
    return {
        "gaps": len(gaps),
        "missing": int(missing.sum()),
        "longest_gap_bars": int(missing.max(initial=0)),
        "spikes": len(spikes),
        "suspected_splits": len(splits),
        "zero_volume": int((volume == 0.0).sum()) if volume.any() else 0,
        "has_volume": bool(volume.any()),
        "unmoved_bars": int((bars["high"].to_numpy() == bars["low"].to_numpy()).sum()),
        "listed": {
            "gaps": [
                {"after": _text(index[i]), "before": _text(index[i + 1]), "bars": int(missing[i])}
                for i in gaps[np.argsort(-missing[gaps], kind="stable")][:LISTED]
            ],
            "spikes": [
                {"time": _text(index[i + 1]), "change": _change(bars, i)} for i in spikes[:LISTED].tolist()
            ],
            "suspected_splits": [
                {"time": _text(index[i + 1]), "ratio": round(float(np.exp(-steps[i])), 4)}
                for i in splits[:LISTED].tolist()
            ],
        },
    }


def suspected_splits(bars: pd.DataFrame) -> pd.DatetimeIndex:
    """Return the opening times of bars at which the price jumped as in a stock split."""
    return pd.DatetimeIndex(bars.index[_suspected_splits(_overnight_steps(bars)) + 1])


def _overnight_steps(bars: pd.DataFrame) -> Floats:
    """Return the log steps from each close to the next open; float64[n - 1]."""
    return np.asarray(np.log(bars["open"].to_numpy()[1:] / bars["close"].to_numpy()[:-1]))


def missing_between(index: pd.DatetimeIndex, timeframe: str, calendar: str) -> Counts:
    """Return the number of bars missing between each bar and the next, by the calendar; int64[n - 1]."""
    opens = unix_nanoseconds(index)
    if len(opens) < 2:
        return np.zeros(0, dtype=np.int64)
    sessions = Sessions.covering(calendar, int(opens[0]), int(opens[-1]))
    if is_intraday(timeframe):
        closes = close_times(index, timeframe, calendar)
        idle: Counts = trading_time_until(opens[1:], sessions) - trading_time_until(closes[:-1], sessions)
        idle -= _break_time_until(opens[1:], sessions) - _break_time_until(closes[:-1], sessions)
        counts: Counts = np.maximum(idle, 0) // nanoseconds(timeframe)
        return counts
    if timeframe == "1d":
        session, has_session = sessions.of_daily_bars(opens)
        both = has_session[:-1] & has_session[1:]
        return np.asarray(np.where(both, np.maximum(np.diff(session) - 1, 0), 0), dtype=np.int64)
    weeks = np.unique(mondays(sessions.days))
    week = np.searchsorted(weeks, sessions.mondays_of_bars(opens))
    return np.asarray(np.maximum(np.diff(week) - 1, 0), dtype=np.int64)


def trading_time_until(instants: UnixNanoseconds, sessions: Sessions) -> UnixNanoseconds:
    """Return how long the market was open from the first session to each instant, in nanoseconds; int64[n]."""
    return _time_within(instants, sessions.opens, sessions.closes)


def _break_time_until(instants: UnixNanoseconds, sessions: Sessions) -> UnixNanoseconds:
    """Return how long the market paused for lunch up to each instant, in nanoseconds; int64[n]."""
    exchange = find_exchange(sessions.calendar)
    if exchange is None:
        return np.zeros(len(instants), dtype=np.int64)
    stored = exchange.between(int(sessions.opens[0]), int(sessions.closes[-1]))
    has_break = stored.break_ends > stored.break_starts
    return _time_within(instants, stored.break_starts[has_break], stored.break_ends[has_break])


def _time_within(
    instants: UnixNanoseconds, starts: UnixNanoseconds, ends: UnixNanoseconds
) -> UnixNanoseconds:
    """Return how much time of the periods lies before each instant, in nanoseconds; int64[n]."""
    if not len(starts):
        return np.zeros(len(instants), dtype=np.int64)
    lengths = ends - starts
    before = np.concatenate(([0], np.cumsum(lengths)))
    period = np.minimum(count_up_to(instants, ends), len(lengths) - 1)
    inside = np.clip(instants - starts[period], 0, lengths[period])
    return np.asarray(before[period] + inside, dtype=np.int64)


def _spikes(bars: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Return the positions i where close i to close i + 1 moves more than 15 robust deviations and 5 percent."""
    moves = np.diff(np.log(bars["close"].to_numpy()))
    if not len(moves):
        return np.zeros(0, dtype=np.intp)
    deviation = 1.4826 * float(np.median(np.abs(moves - np.median(moves))))
    return np.flatnonzero(np.abs(moves) > max(_SPIKE_DEVIATIONS * deviation, _SPIKE_LEAST))


def _suspected_splits(steps: Floats) -> npt.NDArray[np.intp]:
    """Return the positions i where the next open is 1/2, 1/3, 2/3 ... or 2, 3 ... times the close, from log steps."""
    ratios = np.log(np.asarray(_SPLITS))
    large = np.flatnonzero(np.abs(steps) > ratios[0] - _SPLIT_TOLERANCE)
    nearest = np.abs(np.abs(steps[large])[:, None] - ratios[None, :]).min(axis=1, initial=np.inf)
    return np.asarray(large[nearest < _SPLIT_TOLERANCE], dtype=np.intp)


def _change(bars: pd.DataFrame, i: int) -> float:
    close = bars["close"].to_numpy()
    return round(float(close[i + 1] / close[i] - 1.0), 6)


def _text(time: pd.Timestamp) -> str:
    return time.isoformat()
