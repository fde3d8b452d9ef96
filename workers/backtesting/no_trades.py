"""Explain why a backtest has no trades."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.backtesting import decisions
from workers.strategy.sections.decisions import ClassificationDecisions, RegressionDecisions

Floats = NDArray[np.float64]
DIRECTIONS = {1: "long", -1: "short"}
REPLACED_WARNINGS = ("few_trades", "never_true", "worse_than_holding", "refused")
"""Codes that repeat the explanation of a backtest without trades."""


def explain(reasons: list[str]) -> dict[str, str]:
    """Return the warning `{code, message}` that replaces `REPLACED_WARNINGS`."""
    return {"code": "no_trades", "message": " ".join(["The strategy never traded.", *reasons])}


def without_repetitions(warnings: list[dict[str, str]]) -> list[dict[str, str]]:
    return [warning for warning in warnings if warning["code"] not in REPLACED_WARNINGS]


def model_reasons(
    rules: ClassificationDecisions | RegressionDecisions, predictions: Floats, *, may_short: bool
) -> list[str]:
    """Explain by the predictions at the bars of the test period.

    `predictions`: float64[n, 3] probabilities of short, flat and long, or float64[n] forecast returns, with NaN where
    the model gave none.
    """
    signals = decisions.signals(rules, predictions)
    reasons = [_extremes(rules, predictions)]
    for direction, name in DIRECTIONS.items():
        if count := int((signals == direction).sum()):
            reasons.append(_unused_signal(name, count, forbidden=direction < 0 and not may_short))
    return reasons


def _extremes(rules: ClassificationDecisions | RegressionDecisions, predictions: Floats) -> str:
    known = predictions[~np.isnan(predictions).reshape(len(predictions), -1).any(axis=1)]
    if not len(known):
        return "The model gave no prediction at any bar."
    limit = decisions.threshold(rules)
    if isinstance(rules, RegressionDecisions):
        return (
            f"The forecasts were between {100 * known.min():+.3f} % and {100 * known.max():+.3f} %; a trade needs more "
            f"than {100 * limit:.3f} %, the costs times the smallest edge."
        )
    short, _, long = known.max(axis=0)
    return (
        f"The highest probability was {100 * long:.1f} % for long and {100 * short:.1f} % for short; a trade needs the "
        f"highest of the classes to be at least {100 * limit:.1f} %."
    )


def _unused_signal(name: str, count: int, *, forbidden: bool) -> str:
    bars = f"{count:,} bar{'' if count == 1 else 's'}"
    if forbidden:
        return f"{bars} signalled {name}, but short positions are not allowed."
    return f"{bars} signalled {name}, but no order was filled."


def condition_reasons(table: list[dict[str, Any]], target: NDArray[np.int8], *, may_short: bool) -> list[str]:
    """Explain by how often each condition of an entry was true.

    `table` as `condition_report.conditions_table` returns it; `target`: int8[n], the wanted direction at each bar.
    """
    return [
        reason
        for row in table
        for direction, name in DIRECTIONS.items()
        if row["name"] == name
        for reason in _entry_reasons(row, int((target == direction).sum()), direction, may_short=may_short)
    ]


def _entry_reasons(row: dict[str, Any], wanted: int, direction: int, *, may_short: bool) -> list[str]:
    name, true = row["name"], f"{row['true']:,} bar{'' if row['true'] == 1 else 's'}"
    if row["unknown"] == row["bars"]:
        return [f"The condition {name} was never known, because its values never existed together."]
    if row["true"] == 0:
        return [f"The condition {name} was never true: {row['expression']}."]
    if direction < 0 and not may_short:
        return [f"The condition {name} was true at {true}, but short positions are not allowed."]
    if wanted:
        return [f"The condition {name} was true at {true}, but no order was filled."]
    reason = f"exit_{name} was true as well, or the bars are among the first, which only complete the inputs"
    return [f"The condition {name} was true at {true}, but {reason}."]


def refusal_reasons(refused: int) -> list[str]:
    """Explain orders that the engine refused."""
    if not refused:
        return []
    orders = "1 order was" if refused == 1 else f"{refused:,} orders were"
    return [f"{orders} refused: too small, not enough cash, or the ATR of the stops not yet known."]
