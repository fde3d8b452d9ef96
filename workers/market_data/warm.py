"""Loads what every import and preview needs: the sessions of all exchanges and their zones."""

import numpy as np

from workers.market_data.reader.readings import rank_readings
from workers.market_data.session_fit import Points

_HOUR = 3_600_000_000_000
_WEEKS = 4


def warm_up_readings() -> None:
    """Compare some hours of 2024 with all calendars and zones."""
    hours = np.arange(_WEEKS * 7 * 24, dtype=np.int64) * _HOUR
    start = np.datetime64("2024-03-04", "ns").astype(np.int64)
    points = Points(start + hours, _HOUR)
    rank_readings({"open": points, "close": points})
