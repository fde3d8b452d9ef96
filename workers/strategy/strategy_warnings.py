"""Warn the author of a valid file about definitions without effect, unstable inputs and positions that never end."""

from collections.abc import Iterator

from workers.strategy.definition import Strategy
from workers.strategy.errors import UnplacedProblem, pointer
from workers.strategy.fuzzy_coverage import coverage_warnings
from workers.strategy.indicator_expressions import used_indicators
from workers.strategy.rules_strategy import RulesStrategy
from workers.strategy.sections.model import TSKModel
from workers.strategy.trained_strategy import TrainedStrategy

_CUMULATIVE = ("obv", "adline")
"""Indicators that add up from the first bar of the data."""
_LEVELS = frozenset(
    (
        "sma", "ema", "wma", "dema", "tema", "kama", "vwap", "bbands", "keltnerchannels", "donchianchannels", "ichimoku",
        "parabolicsar", "supertrend", *_CUMULATIVE,
    )
)  # fmt: skip
"""Indicators whose values are a price, a volume or their sum."""


def find_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Yield what the author of a valid file should review."""
    yield from unused_warnings(strategy)
    yield from unanchored_warnings(strategy)
    if isinstance(strategy, RulesStrategy):
        yield from rules_warnings(strategy)
    if isinstance(strategy, TrainedStrategy):
        yield from unscaled_warnings(strategy)
        yield from coverage_warnings(strategy)


def unused_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Warn about indicators and fuzzy sets that no input of the model uses."""
    indicators = _used_indicators(strategy)
    sets = {feature.fuzzy_set for feature in strategy.features}
    for name in strategy.indicators:
        if name not in indicators:
            yield pointer("indicators", name), f"{name} is not computed: no {_user(strategy)} uses it"
    for name in strategy.fuzzy_sets:
        if name not in sets:
            yield pointer("fuzzy_sets", name), f"{name} has no effect: no {_user(strategy)} uses it"


def _used_indicators(strategy: Strategy) -> tuple[str, ...]:
    return used_indicators(strategy.indicators, [feature.indicator for feature in strategy.features])


def _user(strategy: Strategy) -> str:
    return "condition" if isinstance(strategy, RulesStrategy) else "input"


def unanchored_warnings(strategy: Strategy) -> Iterator[UnplacedProblem]:
    """Warn about inputs whose values depend on the first bar of the data."""
    for name in _used_indicators(strategy):
        kind = strategy.indicators[name].type
        if kind in _CUMULATIVE:
            message = (
                f"{kind} accumulates from the first bar of the data, so its values change with the start date; "
                "cmf, mfi and volumeratio measure volume without this problem"
            )
            yield pointer("indicators", name), message


def unscaled_warnings(strategy: TrainedStrategy) -> Iterator[UnplacedProblem]:
    """Warn about inputs of a network in the units of price or volume; rules reject any input without a common scale."""
    if isinstance(strategy.model, TSKModel) or strategy.model.features.scale_features:
        return
    for position, entry in enumerate(strategy.nn_inputs):
        if entry.raw_indicator is None or entry.normalization not in (None, "none"):
            continue
        indicator, output = strategy.resolve(entry.raw_indicator)
        kind = strategy.indicators[indicator].type
        if kind in _LEVELS and (kind != "supertrend" or output == "trend"):
            message = (
                f"{entry.raw_indicator} ({kind}) has the size of a price or volume, which other inputs do not have and "
                "which drifts; set normalization: zscore, or model.features.scale_features: true"
            )
            yield pointer("nn_inputs", position), message


def rules_warnings(strategy: RulesStrategy) -> Iterator[UnplacedProblem]:
    """Warn about unused constants and about positions that no condition closes."""
    used = strategy.used_constants
    for name in strategy.constants:
        if name not in used:
            yield pointer("constants", name), f"{name} has no effect: no condition uses it"
    decisions = strategy.decisions
    for side, other in (("long", "short"), ("short", "long")):
        opens = getattr(decisions, side) is not None and (side == "long" or decisions.allow_short)
        if opens and getattr(decisions, f"exit_{side}") is None and getattr(decisions, other) is None:
            message = (
                f"no condition closes a {side} position: it is held until a stop of the backtest or the end of the data; "
                f"add exit_{side}"
            )
            yield pointer("decisions", side), message
