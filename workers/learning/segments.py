"""Where bars follow each other, and where something is missing between them."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.market_data.sessions import NANOSECONDS_A_DAY, unix_nanoseconds
from workers.market_data.timeframes import nanoseconds

PAUSE_BARS = 3
PAUSE_DAYS = 4
"""A pause of up to three bars and four days of closed markets (a long weekend) is no gap."""


def segment_numbers(index: pd.DatetimeIndex, timeframe: str) -> NDArray[np.int64]:
    """int64[n], growing by one at each gap: a label's window or a model's sequence must not cross it."""
    opens = unix_nanoseconds(index)
    longest = PAUSE_BARS * nanoseconds(timeframe) + PAUSE_DAYS * NANOSECONDS_A_DAY
    return (
        np.concatenate((np.zeros(1, np.int64), np.cumsum(np.diff(opens) > longest))) if len(opens) else opens
    )
