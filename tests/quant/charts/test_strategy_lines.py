"""The lines of a strategy over the bars are the inputs that it decides by."""

from pathlib import Path

import numpy as np
import pytest

from tests.quant.learning.conftest import synthetic
from workers.charts.backtest import backtest_chart
from workers.charts.strategy_lines import MAX_LINES, PRICE_LINES, StrategyLine, strategy_lines
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy
from workers.strategy.indicator_catalog import INDICATORS

EXAMPLES = sorted((Path(__file__).parents[3] / "examples" / "strategies").glob("*.yaml"))
N = 700


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_lines_of_an_example_are_its_inputs(path: Path) -> None:
    strategy = parse_strategy(path.read_text())
    bars = synthetic(4, n=N)
    frames = {strategy.base_timeframe: bars}
    inputs = build_features(strategy, frames)
    lines = strategy_lines(strategy, frames, N)
    assert 0 < len(lines) <= MAX_LINES
    by_label = {line.label: line for line in lines}
    rows = bars.index.get_indexer(inputs.index)
    for feature in strategy.features:
        if feature.membership is not None:
            np.testing.assert_array_equal(
                by_label[feature.name].values[rows], inputs[feature.name].to_numpy()
            )
        elif feature.indicator in strategy.indicators:
            output = "" if feature.output == "value" else f".{feature.output}"
            other = "" if feature.timeframe == strategy.base_timeframe else f" {feature.timeframe}"
            line = by_label[f"{feature.indicator}{output}{other}"]
            np.testing.assert_array_equal(line.values[rows], inputs[feature.name].to_numpy())
    for line in lines:
        assert len(line.values) == N
        if line.on_price:
            known = np.isfinite(line.values)
            assert (np.abs(line.values[known] / bars["close"].to_numpy()[known] - 1) < 0.6).all(), line.label


def test_lines_are_cut_to_the_bars_of_the_test_and_drawn() -> None:
    strategy = parse_strategy(EXAMPLES[0].read_text())
    bars = synthetic(4, n=N)
    complete = strategy_lines(strategy, {strategy.base_timeframe: bars}, N)
    cut = strategy_lines(strategy, {strategy.base_timeframe: bars}, 100)
    for line, last in zip(complete, cut, strict=True):
        np.testing.assert_array_equal(line.values[-100:], last.values)
    tested = bars.iloc[-100:]
    flat = np.full(100, 1e5)
    chart = backtest_chart(
        tested, "1d", "24/7", equity=flat, benchmark=flat, position=flat * 0, predictions=None, threshold=None,
        lines=[*cut, StrategyLine("empty", "empty", False, np.full(100, np.nan))],
    )  # fmt: skip
    assert chart


def test_every_line_on_the_price_is_an_output_of_the_catalog() -> None:
    for name, outputs in PRICE_LINES.items():
        assert outputs <= {output.name for output in INDICATORS[name].outputs}, name
