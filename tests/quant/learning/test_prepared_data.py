"""Prepared data never leak between parts, and unusable data give a clear error."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.learning.conftest import RecordedJob, synthetic
from tests.quant.learning.test_training_pipeline import LSTM, REGRESSION, TSK_MODEL, run, with_sections
from worker_agent.protocol import InvalidInput
from workers.learning.dataset import build_dataset
from workers.learning.prepared_data import PreparedData, first_day, load_bars, prepare_data
from workers.learning.training_parameters import TrainingParameters
from workers.market_data.bars import write_bars
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy

LABELS: dict[str, dict[str, Any]] = {
    "forward_return": {"source": "forward_return", "horizon": 7},
    "triple_barrier": {"source": "triple_barrier", "max_holding_period": 12, "compute_weights": True},
    "zigzag": {"source": "zigzag", "label_lookahead": 9},
    "regime": {"source": "regime", "horizon": 8, "vol_lookback": 20},
}


def label_source(source: str) -> str:
    return with_sections(training={"labels": LABELS[source]})


def job_of(tmp_path: Path, **bars: pd.DataFrame) -> RecordedJob:
    for symbol, frame in bars.items():
        write_bars(frame, tmp_path / f"{symbol}.parquet")
    return RecordedJob({f"bars/{symbol}/1d.parquet": tmp_path / f"{symbol}.parquet" for symbol in bars})


def constant(n: int = 400) -> pd.DataFrame:
    bars = synthetic(0, n=n)
    bars.loc[:, ["open", "high", "low", "close"]] = 50.0
    return bars


def two_symbols() -> dict[str, dict[str, pd.DataFrame]]:
    return {symbol: {"1d": synthetic(number)} for number, symbol in enumerate(("AAA", "BBB"))}


@pytest.mark.parametrize("source", LABELS)
def test_no_label_of_a_part_reaches_into_the_next(source: str) -> None:
    """Lesson Q25, for two symbols: the last bar of a label is before the first bar of the next part."""
    data = prepare_data(parse_strategy(label_source(source)), two_symbols())
    dataset, split = data.dataset, data.split
    assert dataset.end[split.train].max() < dataset.time[split.validation].min()
    assert dataset.end[split.validation].max() < dataset.time[split.test].min()
    assert split.purged > 0


@pytest.mark.parametrize("source", LABELS)
def test_nothing_after_the_training_part_changes_what_is_trained_on(source: str) -> None:
    """Lessons Q5, Q8, Q25: other prices from the validation part on do not change inputs, labels and weights."""
    strategy = parse_strategy(label_source(source))
    bars = two_symbols()
    before = prepare_data(strategy, bars)
    boundary = pd.Timestamp(before.split.boundaries[1], tz="UTC")
    for number, frames in enumerate(bars.values()):
        later = frames["1d"].index >= boundary
        frames["1d"].loc[later] = 3.0 * synthetic(90 + number).loc[later]
    after = prepare_data(strategy, bars)
    assert not np.array_equal(before.parts["test"].y, after.parts["test"].y)
    for expected, actual in zip(training_arrays(before), training_arrays(after), strict=True):
        np.testing.assert_array_equal(expected, actual)


def training_arrays(data: PreparedData) -> tuple[np.ndarray, ...]:
    """Return inputs, labels and weights of the training part."""
    rows = data.parts["train"]
    return data.x[rows.row], rows.y, rows.weight


def test_no_window_of_a_sequence_crosses_a_gap_or_a_symbol() -> None:
    """Lesson Q28: the rows of a window are consecutive bars of one symbol."""
    strategy = parse_strategy(LSTM)
    bars = two_symbols()
    with_gap = bars["BBB"]["1d"]
    bars["BBB"]["1d"] = pd.concat([with_gap.iloc[:400], with_gap.iloc[430:]])
    dataset = build_dataset(strategy, bars)
    features = {symbol: build_features(strategy, frames) for symbol, frames in bars.items()}
    symbol = np.concatenate([np.full(len(rows), name) for name, rows in features.items()])
    opens = pd.DatetimeIndex(np.concatenate([rows.index for rows in features.values()]))
    windows = dataset.row[:, None] + np.arange(-4, 1)
    assert windows.min() >= 0
    assert (symbol[windows] == symbol[dataset.row][:, None]).all()
    assert np.diff(opens.to_numpy()[windows], axis=1).max() <= np.timedelta64(4, "D")
    # Four rows at the start of each symbol and four after the gap lack a complete window.
    assert dataset.left_out["AAA"]["without_window"] == 4
    assert dataset.left_out["BBB"]["without_window"] == 8


def test_a_symbol_with_a_later_start_is_only_in_the_later_parts(tmp_path: Path) -> None:
    late = synthetic(1).iloc[700:]
    result = run(job_of(tmp_path, AAA=synthetic(0), BBB=late))
    balance = prepare_data(
        parse_strategy(with_sections()), {"AAA": {"1d": synthetic(0)}, "BBB": {"1d": late}}
    )
    symbols = {part: set(balance.dataset.symbol[getattr(balance.split, part)]) for part in result["rows"]}
    assert symbols == {"train": {0}, "validation": {0, 1}, "test": {0, 1}}
    assert result["metrics"]["test"]["accuracy"] is not None


def test_a_bar_has_the_same_inputs_in_training_and_backtest(tmp_path: Path) -> None:
    """A training with a start date is warmed up by the earlier bars, like a backtest: an indicator that accumulates
    from the first bar (on balance volume) would otherwise differ."""
    text = with_sections(
        indicators={"mom_5": {"type": "obv"}}, training_data={"date_range": {"start": "2016-05-02"}}
    )
    strategy, parameters = parse_strategy(text), TrainingParameters(strategy_yaml=text, symbols=("AAA",))
    job = job_of(tmp_path, AAA=synthetic(0))
    loaded = load_bars(strategy, parameters, job.inputs)
    dataset = build_dataset(strategy, loaded, first_day(strategy, parameters))
    opens = pd.DatetimeIndex(dataset.time, tz="UTC")
    backtest_features = build_features(strategy, {"1d": synthetic(0)})
    assert opens[0] == pd.Timestamp("2016-05-02", tz="UTC")
    np.testing.assert_array_equal(dataset.features[dataset.row], backtest_features.loc[opens].to_numpy())
    assert dataset.left_out["AAA"]["before_start"] == (synthetic(0).index < opens[0]).sum()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (with_sections(), "All rows of the training part have the same label"),
        (TSK_MODEL, "All rows of the training part have the same label"),
        (REGRESSION, "All rows of the training part have the same return"),
        (label_source("zigzag"), "All rows of the training part have the same label"),
        (label_source("regime"), "All rows of the training part have the same label"),
        (label_source("triple_barrier"), "No bar has both inputs and a label"),
    ],
    ids=["mlp", "tsk", "regression", "zigzag", "regime", "triple_barrier"],
)
def test_constant_prices_give_a_clear_error(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=message):
        run(job_of(tmp_path, AAA=constant(), BBB=constant()), text)


def test_a_constant_symbol_beside_another_one_can_be_trained_on(tmp_path: Path) -> None:
    result = run(job_of(tmp_path, AAA=synthetic(0), BBB=constant(900)))
    assert result["stopped"] == "epochs"
    assert all(np.isfinite(part["log_loss"]) for part in result["metrics"].values())


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_window_longer_than_the_data_gives_a_clear_error(kind: str, tmp_path: Path) -> None:
    text = with_sections(model={"type": kind, "architecture": {"sequence_length": 300}})
    with pytest.raises(InvalidInput, match="No bar has both inputs and a label"):
        run(job_of(tmp_path, AAA=synthetic(0, n=200), BBB=synthetic(1, n=200)), text)


def test_a_warm_up_longer_than_the_data_names_the_indicator(tmp_path: Path) -> None:
    text = with_sections(indicators={"mom_5": {"type": "roc", "period": 500}})
    with pytest.raises(InvalidInput, match=r"AAA: none of the 200 bars .* mom_5 on 1d"):
        run(job_of(tmp_path, AAA=synthetic(0, n=200), BBB=synthetic(1, n=200)), text)


def test_prices_that_jump_as_at_a_split_give_a_warning(tmp_path: Path) -> None:
    split = synthetic(0)
    split.iloc[450:, :4] /= 7.0
    warnings = run(job_of(tmp_path, AAA=split, BBB=synthetic(1)))["warnings"]
    message = next(warning["message"] for warning in warnings if warning["code"] == "splits")
    assert f"(AAA on {split.index[450]:%Y-%m-%d})" in message


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_class_that_the_training_part_lacks_gives_a_warning(weights: str, tmp_path: Path) -> None:
    """Prices only rise until the test part, so the training part lacks short rows."""
    bars = synthetic(3)
    drift = np.where(np.arange(len(bars)) < 700, 0.02, 0.0)
    bars.loc[:, ["open", "high", "low", "close"]] *= np.exp(np.cumsum(drift))[:, None]
    labels = {"source": "forward_return", "horizon": 3, "threshold": 0.06}
    text = with_sections(training={"labels": labels, "class_weights": weights})
    result = run(job_of(tmp_path, AAA=bars, BBB=bars), text)
    assert "missing_class" in {warning["code"] for warning in result["warnings"]}
    assert all(np.isfinite(part["log_loss"]) for part in result["metrics"].values())
