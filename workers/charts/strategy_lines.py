"""The indicators and fuzzy sets of a strategy as lines over the bars that a backtest trades."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from workers.charts.levels import Series
from workers.charts.tiles import Floats
from workers.strategy.definition import Feature, Strategy
from workers.strategy.features import attach_calendar, encode, indicator_lines
from workers.strategy.views import Frames, build_views

MAX_LINES = 24
"""Each takes one to two bytes a bar of the file."""
DIGITS = 6
"""Significant digits of the largest value of a line."""
PRICE_LINES: Mapping[str, frozenset[str]] = {
    **{
        name: frozenset({"value"})
        for name in ("sma", "ema", "wma", "dema", "tema", "kama", "vwap", "parabolicsar")
    },
    "supertrend": frozenset({"trend"}),
    "ichimoku": frozenset({"tenkan", "kijun", "span_a", "span_b"}),
    **{
        name: frozenset({"upper", "middle", "lower"})
        for name in ("bbands", "keltnerchannels", "donchianchannels")
    },
}
"""Outputs in the units of the price, by indicator of the catalog."""


@dataclass(frozen=True, slots=True)
class StrategyLine:
    group: str
    """Lines of a group share a pane."""
    label: str
    on_price: bool
    values: Floats
    """float64[n] at each bar; NaN where unknown."""

    @property
    def series(self) -> Series:
        finite = np.abs(self.values[np.isfinite(self.values)])
        largest = float(finite.max(initial=0.0))
        whole = int(np.floor(np.log10(largest))) + 1 if largest > 0 else 0
        return Series(self.values, "last", max(DIGITS - whole, 0))


def strategy_lines(strategy: Strategy, frames: Frames, n: int) -> list[StrategyLine]:
    """Return the lines that the inputs of the strategy use, cut to the last `n` base bars; at most `MAX_LINES`.

    Those of another timeframe or symbol have the value that was known at each base bar.
    """
    frames = attach_calendar(strategy, frames)
    views = build_views(strategy, frames)
    computed = {key: indicator_lines(strategy, view, key) for key, view in views.items()}

    def values_of(feature: Feature) -> Floats:
        key = strategy.frame_of(feature)
        return views[key].at_base(computed[key].outputs(feature.indicator)[feature.output])[-n:]

    lines: dict[tuple[str, str], StrategyLine] = {}
    for feature in strategy.features:
        if feature.indicator not in strategy.indicators:
            continue  # a value of the bars themselves, which the chart shows anyway
        on_price = _is_price(strategy, feature)
        group = "On the price" if on_price else _name(strategy, feature, with_output=False)
        label = _name(strategy, feature)
        lines.setdefault((group, label), StrategyLine(group, label, on_price, values_of(feature)))
    for feature in strategy.features:
        if feature.membership is not None:
            group = f"Fuzzy sets of {_name(strategy, feature)}"
            degrees = encode(values_of(feature), feature)
            lines.setdefault((group, feature.name), StrategyLine(group, feature.name, False, degrees))
    return list(lines.values())[:MAX_LINES]


def _is_price(strategy: Strategy, feature: Feature) -> bool:
    indicator = strategy.indicator(feature.indicator)
    return (
        not strategy.symbol_of(feature.indicator)
        and feature.output in PRICE_LINES.get(indicator.type, ())
        and indicator.parameters.get("source") != "volume"
    )


def _name(strategy: Strategy, feature: Feature, *, with_output: bool = True) -> str:
    output = f".{feature.output}" if with_output and feature.output != "value" else ""
    other = f" {feature.timeframe}" if feature.timeframe != strategy.base_timeframe else ""
    return f"{feature.indicator}{output}{other}"
