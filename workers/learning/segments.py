"""Find the segments of consecutive bars, separated by gaps in the data."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.market_data.sessions import NANOSECONDS_A_DAY, unix_nanoseconds
from workers.market_data.timeframes import nanoseconds

PAUSE_BARS = 3
PAUSE_DAYS = 4
"""A pause of up to three bars and four days of closed markets (a long weekend) does not count as a gap."""


def segment_numbers(index: pd.DatetimeIndex, timeframe: str) -> NDArray[np.int64]:
    """Return int64[n], increasing by one at each gap, which no label's window and no model's sequence may cross."""
    opens = unix_nanoseconds(index)
    longest = PAUSE_BARS * nanoseconds(timeframe) + PAUSE_DAYS * NANOSECONDS_A_DAY
    return (
        np.concatenate((np.zeros(1, np.int64), np.cumsum(np.diff(opens) > longest))) if len(opens) else opens
    )
