"""Run a `strategy_preview` operation: what a strategy sees and does on the newest bars, without training or trading.

Only the last `MAX_BARS` bars of the strategy's base timeframe are read into indicators, so that the answer takes a fraction of a second
whatever the length of the data.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from worker_agent.protocol import InvalidInput
from workers.backtesting.condition_decisions import evaluate_conditions, follow_conditions, hold_conditions
from workers.learning.dataset import Dataset, build_dataset
from workers.learning.splits import PARTS, Split
from workers.market_data.bars import read_bars
from workers.market_data.errors import MarketDataError
from workers.previews.curves import Curves, compute_curves
from workers.previews.parameters import StrategyPreviewParameters
from workers.strategy.grammar import RulesStrategy, Strategy, StrategyError, TrainedStrategy, parse_strategy

Floats = npt.NDArray[np.float64]
MAX_BARS = 4_000
POINTS = 240
"""Values of a drawn curve, of the newest bars."""
MAX_CURVES = 12
DEAD_SHARE = 0.999
"""Share of the bars with one and the same value from which an input is dead."""
CLASSES = {"short": -1.0, "flat": 0.0, "long": 1.0}


class Job(Protocol):
    @property
    def inputs(self) -> Mapping[str, Path]: ...


def run_strategy_preview(parameters: StrategyPreviewParameters, job: Job) -> dict[str, Any]:
    """Return the preview, or `{"valid": False, "error"}` if the strategy cannot run on these bars."""
    try:
        strategy = parse_strategy(parameters.previewed_yaml)
        frames = _load_frames(strategy, parameters.symbol, job.inputs)
        return {"valid": True, **preview(strategy, parameters.symbol, frames)}
    except (InvalidInput, MarketDataError, StrategyError) as error:
        return {"valid": False, "error": str(error)[:1000]}


def preview(strategy: Strategy, symbol: str, frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Return what the page shows. Raises InvalidInput, MarketDataError if the bars do not suffice."""
    curves = compute_curves(strategy, frames)
    base = frames[strategy.base_timeframe]
    result = {
        "symbol": symbol,
        "timeframe": strategy.base_timeframe,
        "bars": len(base),
        "first": _day(base.index[0]),
        "last": _day(base.index[-1]),
        "drawn_from": _day(base.index[-min(POINTS, len(base))]),
        "close": _points(base["close"].to_numpy(np.float64)),
        "indicators": [
            {"name": name, "values": _points(line)}
            for name, line in list(curves.indicators.items())[:MAX_CURVES]
        ],
        "fuzzy": [
            {
                "name": name,
                "members": [{"name": member, "values": _points(line)} for member, line in members.items()],
            }
            for name, members in list(curves.fuzzy.items())[:MAX_CURVES]
        ],
        "dead_inputs": dead_inputs(curves),
    }
    if isinstance(strategy, RulesStrategy):
        return {**result, **_rules_part(strategy, curves)}
    assert isinstance(strategy, TrainedStrategy), "there are two kinds of strategies"
    return {**result, **_training_part(strategy, symbol, frames)}


def dead_inputs(curves: Curves) -> list[dict[str, Any]]:
    """Return the inputs that have no value, or one and the same value at nearly all bars that have one."""
    dead: list[dict[str, Any]] = []
    for name, line in curves.inputs.items():
        present = line[~np.isnan(line)]
        if len(present) == 0:
            dead.append({"name": name, "value": None})
            continue
        middle = float(np.median(present))
        if (np.abs(present - middle) <= 1e-9 * max(abs(middle), 1e-300)).mean() >= DEAD_SHARE:
            dead.append({"name": name, "value": middle})
    return dead


def _rules_part(strategy: RulesStrategy, curves: Curves) -> dict[str, Any]:
    evaluated = evaluate_conditions(strategy, curves.inputs)
    target = follow_conditions(strategy, hold_conditions(strategy, curves.inputs))
    return {
        "is_trained": False,
        "conditions": [
            {"name": name, "bars": int(condition.holds.sum()), "share": float(condition.holds.mean())}
            for name, condition in evaluated.items()
        ],
        "held": {name: float((target == value).mean()) for name, value in CLASSES.items()},
        "entries": int(((target != 0) & (np.diff(target, prepend=np.int8(0)) != 0)).sum()),
    }


def _training_part(strategy: TrainedStrategy, symbol: str, frames: dict[str, pd.DataFrame]) -> dict[str, Any]:
    dataset = build_dataset(strategy, {symbol: frames})
    split = dataset.split(strategy)
    return {
        "is_trained": True,
        "parts": list(_parts(strategy, dataset, split)),
        "purged": split.purged,
        "left_out": dataset.left_out[symbol],
    }


def _parts(strategy: TrainedStrategy, dataset: Dataset, split: Split) -> Iterator[dict[str, Any]]:
    for name in PARTS:
        rows = getattr(split, name)
        part: dict[str, Any] = {"name": name, "rows": len(rows)}
        if len(rows):
            label = dataset.label[rows]
            part["first"] = _day(pd.Timestamp(int(dataset.time[rows].min())))
            part["last"] = _day(pd.Timestamp(int(dataset.time[rows].max())))
            if strategy.is_classification:
                part["balance"] = {name: float((label == value).mean()) for name, value in CLASSES.items()}
            else:
                part["mean"], part["deviation"] = float(label.mean()), float(label.std())
        yield part


def _load_frames(strategy: Strategy, symbol: str, files: Mapping[str, Path]) -> dict[str, pd.DataFrame]:
    """Return the newest base bars, and those of other frames within the same span."""
    paths = {key: files.get(f"bars/{name}.parquet") for key, name in strategy.files_of(symbol).items()}
    frames = {key: read_bars(path) for key, path in paths.items() if path is not None}
    if strategy.base_timeframe not in frames:
        raise InvalidInput(f"No {strategy.base_timeframe} bars of {symbol} found; import them first.")
    base = frames[strategy.base_timeframe]
    start = base.index[-min(MAX_BARS, len(base))]
    return {key: frame[frame.index >= start] for key, frame in frames.items()}


def _points(line: Floats) -> list[float | None]:
    """Return the newest values with six digits, None where one is missing."""
    return [None if np.isnan(value) else float(f"{value:.6g}") for value in line[-POINTS:]]


def _day(time: pd.Timestamp) -> str:
    return f"{time:%Y-%m-%d}"
