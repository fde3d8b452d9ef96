"""A small rules strategy, as data that a test changes."""

import copy
from collections.abc import Callable
from typing import Any

import yaml

from workers.strategy.grammar import RulesStrategy, parse_strategy

RULES: dict[str, Any] = {
    "name": "rules",
    "version": "3.0",
    "training_data": {
        "symbols": {"mode": "single", "symbol": "XY"},
        "timeframes": {"mode": "multi_timeframe", "list": ["1d", "1w"], "base_timeframe": "1d"},
    },
    "indicators": {
        "fast": {"type": "sma", "period": 5},
        "slow": {"type": "sma", "period": 20},
        "rsi_14": {"type": "rsi"},
        "macd_12": {"type": "macd"},
        "change": {"type": "expression", "expression": "close / shift(close, 1) - 1"},
    },
    "fuzzy_sets": {"momentum": {"indicator": "rsi_14", "low": [0, 0, 30, 50], "high": [50, 70, 100, 100]}},
    "constants": {"oversold": 30, "bars": 10},
    "model": {"type": "rules"},
    "decisions": {
        "long": "crosses_above(fast, slow) and rsi_14 > oversold",
        "short": "momentum.high > 0.5 and macd_12.signal > macd_12",
        "exit_long": "close < lowest(close@1w, 2) or change < -0.03",
        "exit_short": "close > mean(close, bars)",
    },
}

Change = Callable[[dict[str, Any]], object]


def rules_text(change: Change | None = None) -> str:
    data = copy.deepcopy(RULES)
    if change is not None:
        change(data)
    return str(yaml.safe_dump(data, sort_keys=False, width=200, allow_unicode=True))


def rules_with(change: Change | None = None) -> RulesStrategy:
    strategy = parse_strategy(rules_text(change))
    assert isinstance(strategy, RulesStrategy)
    return strategy


def conditions(**texts: str | None) -> Change:
    """Replace the conditions; no others remain."""

    def change(data: dict[str, Any]) -> None:
        data["decisions"] = {name: text for name, text in texts.items() if text is not None}

    return change
