"""Reports of trainings and backtests: one part that cannot be built costs only itself."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.backtesting.conftest import BacktestJob, trained
from tests.quant.learning.conftest import STRATEGY, RecordedJob, bar_files, synthetic
from workers.backtesting import backtest_report
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning import training_report
from workers.learning.fuzzy_curves import fuzzy_curves
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.report_parts import build_parts
from workers.strategy.grammar import parse_strategy
from workers.strategy.views import build_views

__all__ = ["bar_files", "trained"]
TWO_SETS = STRATEGY.replace(
    "nn_inputs:\n",
    "  speed: {indicator: mom_5, slow: [-9, -1, 1], fast: [0, 2, 9]}\nnn_inputs:\n  - {fuzzy_set: speed, timeframes: all}\n",
)
WRONG_UNIT = STRATEGY.replace("low: [0, 0, 30, 50]", "low: [0, 0, 0.3, 0.5]")


def fail(*_: Any, **__: Any) -> Any:
    raise ArithmeticError("no ink")


def test_a_part_that_fails_or_is_not_json_is_left_out() -> None:
    report, errors = build_parts(
        {"one": lambda: {"a": 1}, "two": fail, "three": lambda: {"b": float("nan"), "c": 2}}
    )
    assert report == {"a": 1}
    assert list(errors) == ["two", "three"]


@pytest.mark.parametrize(
    ("builder", "left_out"),
    [
        ("permutation_importance", "importance"),
        ("fuzzy_curves", "fuzzy_sets"),
        ("calibration", "calibration"),
        ("per_class", "confusion_matrix"),
        ("constant_inputs", "constant_inputs"),
        ("label_balance", "label_balance"),
    ],
)
def test_a_training_report_lacks_only_the_chart_that_cannot_be_built(
    builder: str, left_out: str, bar_files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_report, builder, fail if builder != "label_balance" else fail_once())
    job = RecordedJob(bar_files)
    result = run_training(TrainingParameters(strategy_yaml=STRATEGY), job)
    report = json.loads(job.artifacts["report.json"])
    assert left_out not in report
    assert "curves" in report
    assert "splits" in report
    (warning,) = [warning for warning in result["warnings"] if warning["code"] == "incomplete_report"]
    assert "(ArithmeticError: no ink); the model is not affected" in warning["message"]


def fail_once() -> Any:
    """A function that fails at its first call: the report's; the result needs the label balance as well."""
    original, calls = training_report.label_balance, iter([True])

    def label_balance(*arguments: Any) -> Any:
        return fail() if next(calls, False) else original(*arguments)

    return label_balance


@pytest.mark.parametrize(
    ("builder", "left_out"),
    [
        ("rolling_figures", "series"),
        ("monthly_returns", "monthly_returns"),
        ("drawdowns", "drawdowns"),
        ("yearly_returns", "yearly_returns"),
        ("distribution", "distribution"),
        ("extremes", "extremes"),
        ("relate", "relations"),
        ("_trade_groups", "by_side"),
    ],
)
def test_a_backtest_report_lacks_only_the_part_that_cannot_be_built(
    builder: str, left_out: str, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backtest_report, builder, fail)
    job = BacktestJob(trained)
    result = run_backtest(BacktestParameters(symbol="AAA"), job)
    report = json.loads(job.artifacts["report.json"])
    assert left_out not in report
    assert "report.html" not in job.artifacts
    assert len(report["trades"]) == result["metrics"]["trades"]
    assert "incomplete_report" in {warning["code"] for warning in result["warnings"]}


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.sampled_from([1.0, 1.0 + 1e-15, 2.0, -3.0, 1e12]), min_size=1, max_size=30),
)
def test_the_histogram_of_any_values_is_a_density(values: list[float]) -> None:
    """Two values lie outside their own quantiles: nothing was counted, and nothing divided by nothing is NaN."""
    strategy = parse_strategy(STRATEGY)
    bars = synthetic(1, 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.learning.fuzzy_curves._values", lambda *_: np.array(values, dtype=np.float64))
        (curve,) = fuzzy_curves(strategy, {"AAA": {"1d": bars}}, bars.index[0], bars.index[-1])
    histogram = curve["histogram"]
    width = (histogram["x"][-1] - histogram["x"][0]) / (len(histogram["x"]) - 1)
    assert sum(histogram["density"]) * width == pytest.approx(1.0, rel=1e-3)
    json.dumps(curve, allow_nan=False)


def test_the_bars_of_a_symbol_are_prepared_once_for_the_curves_of_all_sets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strategy = parse_strategy(TWO_SETS)
    bars = {name: {"1d": synthetic(number, 60)} for number, name in enumerate(("AAA", "BBB"))}
    prepared = []

    def prepare(strategy: Any, frames: Any) -> Any:
        prepared.append(frames)
        return build_views(strategy, frames)

    monkeypatch.setattr("workers.learning.fuzzy_curves.build_views", prepare)
    curves = fuzzy_curves(strategy, bars, *bars["AAA"]["1d"].index[[0, -1]])
    assert [curve["name"] for curve in curves] == ["momentum", "speed"]
    assert len(prepared) == len(bars)


def test_inputs_whose_sets_have_the_wrong_unit_are_named(bar_files: Any) -> None:
    job = RecordedJob(bar_files)
    result = run_training(TrainingParameters(strategy_yaml=WRONG_UNIT), job)
    (warning,) = [warning for warning in result["warnings"] if warning["code"] == "constant_inputs"]
    assert "1d_momentum_low (0)" in warning["message"]
    assert "1d_momentum_high" not in warning["message"]
    assert warning["message"] in job.logs
    assert json.loads(job.artifacts["report.json"])["constant_inputs"] == {"1d_momentum_low": 0.0}


def test_an_honest_strategy_has_no_constant_input(bar_files: Any) -> None:
    result = run_training(TrainingParameters(strategy_yaml=STRATEGY), RecordedJob(bar_files))
    assert "constant_inputs" not in {warning["code"] for warning in result["warnings"]}
