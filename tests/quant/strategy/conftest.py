import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from workers.strategy.grammar import TrainedStrategy, parse_trained_strategy

MINIMAL: dict[str, Any] = {
    "name": "minimal",
    "version": "3.0",
    "training_data": {
        "symbols": {"mode": "single", "symbol": "XY"},
        "timeframes": {"mode": "single", "timeframe": "1d"},
    },
    "indicators": {"rsi_14": {"type": "rsi", "period": 14}},
    "fuzzy_sets": {"momentum": {"indicator": "rsi_14", "low": [0, 0, 30, 50], "high": [40, 70, 100, 100]}},
    "nn_inputs": [{"fuzzy_set": "momentum", "timeframes": "all"}],
    "model": {"type": "mlp"},
    "decisions": {"output_format": "classification"},
    "training": {"labels": {"source": "forward_return", "horizon": 5}},
}


def strategy_text(change: Callable[[dict[str, Any]], object] | None = None) -> str:
    """The minimal strategy's YAML after `change` was applied to its data."""
    data = copy.deepcopy(MINIMAL)
    if change is not None:
        change(data)
    return str(yaml.safe_dump(data, sort_keys=False))


def strategy_with(change: Callable[[dict[str, Any]], object]) -> TrainedStrategy:
    return parse_trained_strategy(strategy_text(change))


def random_bars(n: int, seed: int = 1, start: str = "2010-01-04", freq: str = "B") -> pd.DataFrame:
    """Bars of a random walk on weekdays (or another pandas frequency), all prices positive and consistent."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opens = close * np.exp(rng.normal(0, 0.003, n))
    high = np.maximum(opens, close) * (1 + rng.uniform(0.0001, 0.01, n))
    low = np.minimum(opens, close) * (1 - rng.uniform(0.0001, 0.01, n))
    index = pd.date_range(start, periods=n, freq=freq, tz="UTC", name="time")
    volume = rng.integers(1_000, 9_000, n).astype(np.float64)
    bars = pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": volume}, index)
    bars.attrs["calendar"] = "weekdays" if freq == "B" else "24/7"
    return bars


@pytest.fixture(scope="session")
def bars() -> pd.DataFrame:
    return random_bars(600)
