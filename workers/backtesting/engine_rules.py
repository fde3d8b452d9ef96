"""The rules of a simulation (engine semantics 2), as a value that every result contains."""

from dataclasses import dataclass
from typing import Literal

from worker_agent.protocol import InvalidInput

ENGINE_SEMANTICS = 2
"""1: friction was cut at the range of the bar, targets paid none, and margin was checked only at the close."""
MAX_COST = 0.5
"""Largest commission, slippage or spread, as a fraction of the price."""

Fill = Literal["next_open", "next_close", "same_close"]
Sizing = Literal["fraction", "units"]
StopUnit = Literal["fraction", "atr"]
FILLS: tuple[Fill, ...] = ("next_open", "next_close", "same_close")
SIZINGS: tuple[Sizing, ...] = ("fraction", "units")


class BadRules(InvalidInput):
    """A rule is out of bounds or contradicts another one."""


class BadBars(InvalidInput):
    """The bars, or the target directions for them, cannot be simulated."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Costs are fractions: 0.001 is 0.1 % of the notional, or of the price for `slippage` and `spread`.

    `spread` is the full distance between bid and ask as a fraction of the price; a fill pays half of it. None takes
    it from the bars: `ask` - `bid`, the column `spread`, or 0 if they have neither.
    `size` is a fraction of equity (`sizing="fraction"`) or a number of units (`sizing="units"`).
    Stops are distances from the entry price (the trailing stop from the best price since then), as a fraction of it
    or, with `stop_unit="atr"`, in multiples of the average true range (`atr_period` bars, Wilder 1978) at the decision.
    """

    initial_capital: float = 100_000.0
    commission: float = 0.001
    slippage: float = 0.0005
    spread: float | None = None
    fill: Fill = "next_open"
    sizing: Sizing = "fraction"
    size: float = 1.0
    allow_short: bool = True
    allow_long: bool = True
    stop_loss: float | None = None
    take_profit: float | None = None
    trailing_stop: float | None = None
    stop_unit: StopUnit = "fraction"
    atr_period: int = 14
    quantity_step: float = 0.0
    """Quantities are rounded down to a multiple of it; 0 allows any quantity."""
    minimum_quantity: float = 0.0
    """Smaller orders are refused and counted."""
    max_leverage: float = 1.0
    """Largest notional as a multiple of equity; larger orders are reduced and counted. A position is liquidated at the
    worst price of the bar in which equity reaches zero."""

    def __post_init__(self) -> None:
        self._check_bounds("initial_capital", self.initial_capital, 0, 1e15, excludes_low=True)
        for name in ("commission", "slippage", "spread"):
            if getattr(self, name) is not None:
                self._check_bounds(name, getattr(self, name), 0, MAX_COST)
        self._check_bounds("size", self.size, 0, 1e12, excludes_low=True)
        for name in ("quantity_step", "minimum_quantity"):
            self._check_bounds(name, getattr(self, name), 0, 1e12)
        self._check_bounds("max_leverage", self.max_leverage, 0, 1000, excludes_low=True)
        highest_stop = 1.0 if self.stop_unit == "fraction" else 100.0
        for name in ("stop_loss", "trailing_stop"):
            if getattr(self, name) is not None:
                self._check_bounds(name, getattr(self, name), 0, highest_stop, excludes_low=True)
        if self.take_profit is not None:
            self._check_bounds("take_profit", self.take_profit, 0, 100.0, excludes_low=True)
        if self.fill not in FILLS:
            raise BadRules(f"`fill` must be one of {', '.join(FILLS)}, not {self.fill!r}.")
        if self.sizing not in SIZINGS:
            raise BadRules(f"`sizing` must be one of {', '.join(SIZINGS)}, not {self.sizing!r}.")
        if self.stop_unit not in ("fraction", "atr"):
            raise BadRules(f"`stop_unit` must be fraction or atr, not {self.stop_unit!r}.")
        if self.atr_period < 1:
            raise BadRules(f"`atr_period` must be at least 1, not {self.atr_period}.")
        if self.sizing == "fraction" and self.size > self.max_leverage:
            raise BadRules(
                f"`size` {self.size:g} of equity requires a `max_leverage` of at least {self.size:g}."
            )

    def _check_bounds(
        self, name: str, value: float, low: float, high: float, *, excludes_low: bool = False
    ) -> None:
        above = value > low if excludes_low else value >= low
        if not above or not value <= high:
            raise BadRules(
                f"`{name}` must be {'above' if excludes_low else 'at least'} {low:g} and at most {high:g}, not {value!r}."
            )
