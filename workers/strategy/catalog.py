"""The names that a strategy may use: timeframes, indicators, membership functions. Plain data, no computation on bars.

`indicator_catalog` lists the indicators; `indicators` computes them.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any, Literal

from workers.strategy.formula import evaluate

TIMEFRAMES: Mapping[str, int] = {
    "1m": 60,
    "2m": 120,
    "3m": 180,
    "5m": 300,
    "10m": 600,
    "15m": 900,
    "20m": 1200,
    "30m": 1800,
    "1h": 3600,
    "2h": 7200,
    "3h": 10_800,
    "4h": 14_400,
    "6h": 21_600,
    "8h": 28_800,
    "12h": 43_200,
    "1d": 86_400,
    "1w": 604_800,
}
"""Name of each timeframe and its nominal length in seconds."""

SYMBOL_PATTERN = r"^[A-Za-z0-9^][A-Za-z0-9^=_.-]{0,31}$"
PRICE_SOURCES = ("close", "open", "high", "low", "hl2", "hlc3", "ohlc4", "volume")

Kind = Literal["int", "float", "choice", "bool", "expression", "symbol"]
Value = int | float | str | bool


@dataclass(frozen=True, slots=True)
class IndicatorParameter:
    name: str
    kind: Kind
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()

    def check(self, value: object) -> str | None:
        """Return the requirement that `value` violates, such as "must be a number"; None if it is valid."""
        match self.kind:
            case "choice":
                return None if value in self.choices else f"must be one of {', '.join(self.choices)}"
            case "bool":
                return None if isinstance(value, bool) else "must be true or false"
            case "expression":
                return None if isinstance(value, str) else "must be text such as close / open"
            case "symbol":
                is_symbol = isinstance(value, str) and (not value or re.fullmatch(SYMBOL_PATTERN, value))
                return None if is_symbol else "must be a symbol such as SPY"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "must be a number"
        if self.kind == "int" and not isinstance(value, int):
            return "must be a whole number"
        if self.minimum is not None and value < self.minimum:
            return f"must be at least {self.minimum:g}"
        if self.maximum is not None and value > self.maximum:
            return f"must be at most {self.maximum:g}"
        return None


@dataclass(frozen=True, slots=True)
class Output:
    """One line of an indicator; `low` and `high` are the bounds that its formula implies, if any."""

    name: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class IndicatorEntry:
    """`warm_up` is a formula over the parameters: the number of rows at the start without a value.

    For the type `expression` it is words; `indicator_expressions` computes the number.
    """

    name: str
    title: str
    outputs: tuple[Output, ...]
    warm_up: str
    parameters: tuple[IndicatorParameter, ...] = ()
    reads: tuple[str, ...] = ("high", "low", "close")
    aliases: tuple[str, ...] = ()
    needs_order: tuple[str, str] | None = None
    """Two parameters; the first must be smaller than the second."""

    def parameter(self, name: str) -> IndicatorParameter | None:
        return next((p for p in self.parameters if p.name == name or name in p.aliases), None)

    def output(self, name: str) -> Output | None:
        return next((output for output in self.outputs if output.name == name), None)

    def warm_up_rows(self, parameters: Mapping[str, Value]) -> int:
        numbers = {key: value for key, value in parameters.items() if isinstance(value, int | float)}
        return int(evaluate(self.warm_up, numbers))


@dataclass(frozen=True, slots=True)
class MembershipEntry:
    """A membership function and the names of its parameters, in the order of the file."""

    name: str
    parameters: tuple[str, ...]
    rule: str

    def check(self, values: tuple[float, ...]) -> None:
        """Raise `ValueError` if `values` do not define this function."""
        names = ", ".join(self.parameters)
        if len(values) != len(self.parameters):
            raise ValueError(f"{self.name} needs {len(self.parameters)} numbers [{names}], not {len(values)}")
        if self.name == "gaussian":
            valid = values[1] > 0
        else:
            valid = list(values) == sorted(values) and values[0] < values[-1]
        if not valid:
            raise ValueError(
                f"{self.name} [{names}] requires {self.rule}, not [{', '.join(f'{value:g}' for value in values)}]"
            )


MEMBERSHIPS: Mapping[str, MembershipEntry] = {
    entry.name: entry
    for entry in (
        MembershipEntry("triangular", ("a", "b", "c"), "a <= b <= c and a < c"),
        MembershipEntry("trapezoidal", ("a", "b", "c", "d"), "a <= b <= c <= d and a < d"),
        MembershipEntry("gaussian", ("centre", "sigma"), "sigma > 0"),
    )
}

UNSUPPORTED_INDICATORS: Mapping[str, str] = {
    "zigzag": "zigzag repaints: its last leg changes with later bars, so it can be a label source but not an input",
}
"""Indicator types of other KTRDR files that cannot be computed without future bars."""


def nearest_name(name: str, valid: list[str]) -> str | None:
    """Return the valid name most similar to `name`, or None if none is similar."""
    matches = get_close_matches(name.lower(), [v.lower() for v in valid], n=1, cutoff=0.6)
    return next((v for v in valid if matches and v.lower() == matches[0]), None)


def catalog_as_data(indicators: Mapping[str, IndicatorEntry]) -> dict[str, Any]:
    """Return the catalog as JSON-ready data, for the API and the pages."""
    return {
        "timeframes": list(TIMEFRAMES),
        "sources": list(PRICE_SOURCES),
        "indicators": [asdict(entry) for entry in indicators.values()],
        "memberships": [asdict(entry) for entry in MEMBERSHIPS.values()],
    }
