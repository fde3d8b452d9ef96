"""Bars of a closed market: some sources repeat the last price through weekends and nights."""

import numpy as np

from workers.market_data.reader.numerals import Floats
from workers.market_data.session_fit import Flags
from workers.market_data.sessions import ALWAYS_OPEN, Sessions, UnixNanoseconds

_MOST = 0.5
"""Share of bars that can be fillers; with more, the bars of an illiquid market look the same."""


def find_fillers(prices: dict[str, Floats], volume: Floats) -> Flags:
    """Return which bars have one price, that of the previous close, and no volume; bool[n]."""
    same = prices["high"] == prices["low"]
    same[1:] &= prices["high"][1:] == prices["close"][:-1]
    fillers = same & (volume == 0.0)
    return fillers if np.mean(fillers) < _MOST else np.zeros(len(volume), dtype=bool)


def outside_sessions(opens: UnixNanoseconds, length: int, calendar: str) -> Flags:
    """Return which intraday bars lie outside the sessions of a calendar; bool[n]."""
    if calendar == ALWAYS_OPEN or not len(opens):
        return np.zeros(len(opens), dtype=bool)
    sessions = Sessions.covering(calendar, int(opens[0]), int(opens[-1]))
    session = np.minimum(sessions.of_instants(opens), len(sessions.opens) - 1)
    return np.asarray(opens + length <= sessions.opens[session])
