"""A strategy preview shows what a training and a backtest compute on the same bars."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workers.backtesting.condition_decisions import decide, evaluate_conditions
from workers.learning.dataset import build_dataset
from workers.learning.training_report import label_balance
from workers.market_data.bars import write_bars
from workers.previews.curves import compute_curves
from workers.previews.parameters import StrategyPreviewParameters
from workers.previews.strategy_preview import MAX_BARS, POINTS, run_strategy_preview
from workers.strategy.features import build_features
from workers.strategy.grammar import RulesStrategy, TrainedStrategy, parse_strategy
from workers.warming import RULES, STRATEGY, synthetic_bars

EXAMPLES = sorted(Path(__file__).parents[3].glob("examples/strategies/*.yaml"))


class Job:
    def __init__(self, inputs: dict[str, Path]) -> None:
        self.inputs = inputs


def long_bars(copies: int) -> pd.DataFrame:
    """Repeat the bars of the warm-up, hour by hour."""
    bars = pd.concat([synthetic_bars()] * copies)
    bars.index = pd.date_range("2010-01-01", periods=len(bars), freq="1h", tz="UTC", name="time")
    bars.attrs["calendar"] = "24/7"
    return bars


def run(tmp_path: Path, text: str, bars: pd.DataFrame | None = None, timeframe: str = "1d") -> dict[str, Any]:
    path = tmp_path / "bars.parquet"
    write_bars(synthetic_bars() if bars is None else bars, path)
    parameters = StrategyPreviewParameters(previewed_yaml=text, symbol="WARM")
    return run_strategy_preview(parameters, Job({f"bars/WARM/{timeframe}.parquet": path}))


def test_the_conditions_and_entries_are_those_of_a_backtest(tmp_path: Path) -> None:
    result = run(tmp_path, RULES)
    strategy = parse_strategy(RULES)
    assert isinstance(strategy, RulesStrategy)
    columns = compute_curves(strategy, {"1d": synthetic_bars()}).inputs
    held = {name: truth.holds.sum() for name, truth in evaluate_conditions(strategy, columns).items()}
    assert {row["name"]: row["bars"] for row in result["conditions"]} == held
    target = decide(strategy, columns)
    assert result["held"]["long"] == pytest.approx((target == 1).mean())
    assert result["entries"] == int(((target == 1) & (np.roll(target, 1) == 0)).sum())


def test_the_rows_and_labels_are_those_of_a_training(tmp_path: Path) -> None:
    result = run(tmp_path, STRATEGY)
    strategy = parse_strategy(STRATEGY)
    assert isinstance(strategy, TrainedStrategy)
    dataset = build_dataset(strategy, {"WARM": {"1d": synthetic_bars()}})
    split = dataset.split(strategy)
    rows = {part["name"]: part["rows"] for part in result["parts"]}
    assert rows == {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)}
    assert {part["name"]: part["balance"] for part in result["parts"]} == label_balance(dataset, split)
    ends = [(part["first"], part["last"]) for part in result["parts"]]
    assert ends == sorted(ends)
    assert all(earlier[1] < later[0] for earlier, later in pairwise(ends))


def test_the_curves_are_the_inputs_of_the_model(tmp_path: Path) -> None:
    result = run(tmp_path, STRATEGY)
    features = build_features(parse_strategy(STRATEGY), {"1d": synthetic_bars()})
    shown = {
        f"1d_{chart['name']}_{member['name']}": member["values"]
        for chart in result["fuzzy"]
        for member in chart["members"]
    }
    assert set(shown) == set(features.columns)
    for name, values in shown.items():
        assert values == pytest.approx(features[name].to_numpy()[-POINTS:], rel=1e-5)
    assert len(result["close"]) == POINTS


def test_only_the_newest_bars_are_computed(tmp_path: Path) -> None:
    text = RULES.replace("1d", "1h")
    bars = long_bars(10)
    result = run(tmp_path, text, bars, "1h")
    assert result["bars"] == MAX_BARS < len(bars)
    assert result["last"] == f"{bars.index[-1]:%Y-%m-%d}"
    assert result["first"] == f"{bars.index[-MAX_BARS]:%Y-%m-%d}"


def test_dead_inputs_are_named_with_their_value(tmp_path: Path) -> None:
    text = STRATEGY.replace("high: [55, 75, 100, 100]}\n  place", "high: [101, 102, 103, 104]}\n  place")
    dead = run(tmp_path, text)["dead_inputs"]
    assert dead == [{"name": "1d_momentum_high", "value": 0.0}]
    assert run(tmp_path, STRATEGY)["dead_inputs"] == []


@pytest.mark.parametrize(
    ("text", "bars", "sentence"),
    [
        ("name: x\n", None, "version"),
        (STRATEGY, synthetic_bars().head(20), "none of the 20 bars"),
        (STRATEGY.replace("1d", "1h"), None, "No 1h bars of WARM found"),
    ],
)
def test_a_strategy_that_cannot_run_is_a_sentence(
    tmp_path: Path, text: str, bars: pd.DataFrame | None, sentence: str
) -> None:
    result = run(tmp_path, text, bars)
    assert result["valid"] is False
    assert sentence in result["error"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_picture_of_each_example_exists(path: Path) -> None:
    assert (path.parent / "pictures" / f"{path.stem}.svg").is_file()
