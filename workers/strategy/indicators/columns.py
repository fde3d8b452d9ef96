"""The arrays and parameter values that indicators read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.calendars import calendar_of
from workers.market_data.sessions import Sessions, unix_nanoseconds
from workers.strategy.catalog import Value

Floats = npt.NDArray[np.float64]

_MIXTURES = {
    "hl2": ("high", "low"),
    "hlc3": ("high", "low", "close"),
    "ohlc4": ("open", "high", "low", "close"),
}
_HOUR = 3_600_000_000_000
"""Nanoseconds."""
_DAY = 24 * _HOUR
_THURSDAY = 3
"""Weekday (Monday 0) of 1970-01-01."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Finite, contiguous columns of consecutive bars; float64[n] each. `source` is the price that the user chose,
    `session` the number of the trading session of each bar (int64[n])."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    source: Floats
    session: npt.NDArray[np.int64]


class BarColumns:
    """The columns of one frame of bars, each converted and checked for NaN and infinite values once."""

    def __init__(self, bars: pd.DataFrame) -> None:
        self.bars = bars
        self._values: dict[str, Floats] = {}
        self._finite: dict[str, bool] = {}
        self._sessions: dict[str, npt.NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self.bars)

    def price(self, name: str) -> Floats:
        """Return a column of the bars, or a mean of several such as `hl2`; float64[n], contiguous."""
        if name not in self._values:
            self._values[name] = self._mixture(name) if name in _MIXTURES else self._column(name)
        return self._values[name]

    def value(self, name: str) -> Floats:
        """Return a price as `price` does, or `hour()` or `weekday()` of the opening times in UTC; float64[n]."""
        if name.endswith("()") and name not in self._values:
            self._values[name] = self._clock(name)
        return self.price(name)

    def _clock(self, name: str) -> Floats:
        opens = unix_nanoseconds(pd.DatetimeIndex(self.bars.index))
        units = opens // _HOUR % 24 if name == "hour()" else (opens // _DAY + _THURSDAY) % 7
        return units.astype(np.float64)

    def _column(self, name: str) -> Floats:
        return np.ascontiguousarray(self.bars[name].to_numpy(np.float64))

    def _mixture(self, name: str) -> Floats:
        parts = _MIXTURES[name]
        return sum((self.price(part) for part in parts), np.zeros(len(self))) / len(parts)

    def is_finite(self, name: str) -> bool:
        """Whether all values of `price(name)` are finite."""
        if name not in self._finite:
            self._finite[name] = bool(_all_finite(self.price(name).view(np.int64)))
        return self._finite[name]

    def sessions(self) -> npt.NDArray[np.int64]:
        """Return the number of the trading session of each bar; int64[n]."""
        if "number" not in self._sessions:
            self._sessions["number"] = self._find_sessions()
        return self._sessions["number"]

    def zeros(self) -> npt.NDArray[np.int64]:
        """Return int64[n], the sessions of an indicator that does not read them."""
        if "zero" not in self._sessions:
            self._sessions["zero"] = np.zeros(len(self), dtype=np.int64)
        return self._sessions["zero"]

    def _find_sessions(self) -> npt.NDArray[np.int64]:
        if not len(self):
            return self.zeros()
        opens = unix_nanoseconds(pd.DatetimeIndex(self.bars.index))
        sessions = Sessions.covering(calendar_of(self.bars), int(opens[0]), int(opens[-1]))
        return sessions.of_instants(opens).astype(np.int64)


_EXPONENT = 0x7FF0_0000_0000_0000


@numba.njit(cache=True)
def _all_finite(bits: npt.NDArray[np.int64]) -> bool:
    """`bits` of float64 values: NaN and infinity have every bit of the exponent set. Unlike a test of each value, this
    loop uses vector instructions."""
    infinite = 0
    for i in range(len(bits)):
        infinite += (bits[i] & _EXPONENT) == _EXPONENT
    return infinite == 0


@dataclass(frozen=True, slots=True)
class ParameterValues:
    """Parameter values of an indicator by name, with typed accessors."""

    values: Mapping[str, Value]

    def whole(self, name: str) -> int:
        return int(self.values[name])

    def number(self, name: str) -> float:
        return float(self.values[name])

    def flag(self, name: str) -> bool:
        return bool(self.values[name])

    def choice(self, name: str) -> str:
        return str(self.values[name])
