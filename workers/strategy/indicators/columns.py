"""The arrays and parameter values that indicators read."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.strategy.catalog import Value

Floats = npt.NDArray[np.float64]


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
