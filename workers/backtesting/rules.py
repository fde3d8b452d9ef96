"""The rules of a simulation, version 1 of the engine's semantics, as a value that is printed in every result."""

from dataclasses import dataclass
from typing import Literal

from worker_agent.protocol import InvalidInput

ENGINE_SEMANTICS = 1

Fill = Literal["next_open", "next_close", "same_close"]
Sizing = Literal["fraction", "units"]
StopUnit = Literal["fraction", "atr"]
FILLS: tuple[Fill, ...] = ("next_open", "next_close", "same_close")
SIZINGS: tuple[Sizing, ...] = ("fraction", "units")


class BadRules(InvalidInput):
    """The rules contradict themselves or leave their bounds."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Costs are fractions: 0.001 is 0.1 % of the notional, or of the price for `slippage` and `spread`.

    `spread` is the whole distance between bid and ask as a fraction of the price; a fill pays half of it.
    `size` is a fraction of equity (`sizing="fraction"`) or a number of units (`sizing="units"`).
    Stops are distances from the entry price, and the trailing stop from the best price since, as a fraction of it or,
    with `stop_unit="atr"`, in multiples of the average true range (`atr_period` bars, Wilder 1978) at the decision.
    """

    initial_capital: float = 100_000.0
    commission: float = 0.001
    slippage: float = 0.0005
    spread: float = 0.0
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
    """Quantities are cut down to a multiple of it; 0 allows any."""
    minimum_quantity: float = 0.0
    """Smaller orders are refused and counted."""
    max_leverage: float = 1.0
    """Largest notional as a multiple of equity; larger orders are cut and counted."""

    def __post_init__(self) -> None:
        self._within("initial_capital", self.initial_capital, 0, 1e15, open_low=True)
        for name in ("commission", "slippage", "spread"):
            self._within(name, getattr(self, name), 0, 0.5)
        self._within("size", self.size, 0, 1e12, open_low=True)
        for name in ("quantity_step", "minimum_quantity"):
            self._within(name, getattr(self, name), 0, 1e12)
        self._within("max_leverage", self.max_leverage, 0, 1000, open_low=True)
        highest_stop = 1.0 if self.stop_unit == "fraction" else 100.0
        for name in ("stop_loss", "trailing_stop"):
            if getattr(self, name) is not None:
                self._within(name, getattr(self, name), 0, highest_stop, open_low=True)
        if self.take_profit is not None:
            self._within("take_profit", self.take_profit, 0, 100.0, open_low=True)
        if self.fill not in FILLS:
            raise BadRules(f"fill is one of {', '.join(FILLS)}, not {self.fill!r}.")
        if self.sizing not in SIZINGS:
            raise BadRules(f"sizing is one of {', '.join(SIZINGS)}, not {self.sizing!r}.")
        if self.stop_unit not in ("fraction", "atr"):
            raise BadRules(f"stop_unit is fraction or atr, not {self.stop_unit!r}.")
        if self.atr_period < 1:
            raise BadRules(f"atr_period is at least 1, not {self.atr_period}.")
        if self.sizing == "fraction" and self.size > self.max_leverage:
            raise BadRules(f"size {self.size:g} of equity needs max_leverage of at least {self.size:g}.")

    def _within(self, name: str, value: float, low: float, high: float, *, open_low: bool = False) -> None:
        above = value > low if open_low else value >= low
        if not above or not value <= high:
            raise BadRules(
                f"{name} is {'above' if open_low else 'at least'} {low:g} and at most {high:g}, not {value!r}."
            )
