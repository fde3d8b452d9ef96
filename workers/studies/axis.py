"""The values of one searched parameter: a number of them, or all numbers of a range."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from workers.studies.search_section import Parameter


@dataclass(frozen=True)
class Axis:
    pointer: str
    parameter: Parameter

    @cached_property
    def size(self) -> int | None:
        """Number of values; None if the range is continuous."""
        choices, step = self.parameter.choices, self._step
        if choices is not None:
            return len(choices)
        if step is None:
            return None
        low, high = self._bounds
        return int((high - low) / step + 1e-9) + 1

    def at(self, index: int) -> Any:
        """Return the value with this index."""
        if self.parameter.choices is not None:
            return self.parameter.choices[index]
        assert self._step is not None
        return self.round(self._bounds[0] + index * self._step)

    def value(self, share: float) -> Any:
        """Return the value at a share of the axis, 0 <= share < 1; each of several values has an equal part of it."""
        low, high = self._bounds
        if self.parameter.scale == "log":
            wide = 0.5 if self.is_whole else 0.0
            return self.round(min(max((low - wide) * ((high + wide) / (low - wide)) ** share, low), high))
        if self.size is not None:
            return self.at(int(share * self.size))
        return self.round(low + share * (high - low))

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Return every choice, or the lowest and the highest value."""
        if self.parameter.choices is not None:
            return self.parameter.choices
        if self.size is not None:
            return (self.at(0),) if self.size == 1 else (self.at(0), self.at(self.size - 1))
        return self._bounds

    @property
    def is_choice(self) -> bool:
        return self.parameter.choices is not None

    @cached_property
    def _bounds(self) -> tuple[Any, Any]:
        return self.parameter.range or (0, 0)

    @cached_property
    def _step(self) -> Any:
        if self.parameter.step is not None or self.parameter.scale == "log":
            return self.parameter.step
        return 1 if self.is_whole else None

    @cached_property
    def is_whole(self) -> bool:
        return all(isinstance(bound, int) for bound in (*self._bounds, self.parameter.step or 1))

    def round(self, value: float) -> int | float:
        """Keep whole numbers whole, and others to 12 digits, so that 0.1 + 2 * 0.1 is 0.3."""
        return round(value) if self.is_whole else float(f"{value:.12g}")
