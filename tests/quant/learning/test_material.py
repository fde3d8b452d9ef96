"""What a network is shown: no row sees what its part must not know, and data that cannot teach are said to be so."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.quant.learning.conftest import RecordedJob, synthetic
from tests.quant.learning.test_training import LSTM, REGRESSION, TSK_MODEL, changed, run
from worker_agent.protocol import InvalidInput
from workers.learning.dataset import build_dataset
from workers.learning.material import Material, first_day, load_bars, prepare
from workers.learning.parameters import TrainingParameters
from workers.market_data.bars import write_bars
from workers.strategy.features import build_features
from workers.strategy.grammar import parse_strategy

LABELS: dict[str, dict[str, Any]] = {
    "forward_return": {"source": "forward_return", "horizon": 7},
    "triple_barrier": {"source": "triple_barrier", "max_holding_period": 12, "compute_weights": True},
    "zigzag": {"source": "zigzag", "label_lookahead": 9},
    "regime": {"source": "regime", "horizon": 8, "vol_lookback": 20},
}


def labelled(source: str) -> str:
    return changed(training={"labels": LABELS[source]})


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
def test_no_label_of_a_part_looks_into_the_next(source: str) -> None:
    """Lesson Q25, over two symbols: the label's last bar lies before the next part's first."""
    material = prepare(parse_strategy(labelled(source)), two_symbols())
    dataset, split = material.dataset, material.split
    assert dataset.end[split.train].max() < dataset.time[split.validation].min()
    assert dataset.end[split.validation].max() < dataset.time[split.test].min()
    assert split.purged > 0


@pytest.mark.parametrize("source", LABELS)
def test_nothing_after_the_training_part_changes_what_is_trained_on(source: str) -> None:
    """Lessons Q5, Q8, Q25: other prices from the first bar of validation on leave inputs, labels and weights alone."""
    strategy = parse_strategy(labelled(source))
    bars = two_symbols()
    before = prepare(strategy, bars)
    boundary = pd.Timestamp(before.split.boundaries[1], tz="UTC")
    for number, frames in enumerate(bars.values()):
        later = frames["1d"].index >= boundary
        frames["1d"].loc[later] = 3.0 * synthetic(90 + number).loc[later]
    after = prepare(strategy, bars)
    assert not np.array_equal(before.parts["test"].y, after.parts["test"].y)
    for one, other in zip(shown(before), shown(after), strict=True):
        np.testing.assert_array_equal(one, other)


def shown(material: Material) -> tuple[np.ndarray, ...]:
    """Inputs, labels and weights of the training part."""
    rows = material.parts["train"]
    return material.x[rows.row], rows.y, rows.weight


def test_no_window_of_a_sequence_crosses_a_gap_or_a_symbol() -> None:
    """Lesson Q28: each of a window's rows is of one symbol and follows the one before bar by bar."""
    strategy = parse_strategy(LSTM)
    bars = two_symbols()
    with_gap = bars["BBB"]["1d"]
    bars["BBB"]["1d"] = pd.concat([with_gap.iloc[:400], with_gap.iloc[430:]])
    dataset = build_dataset(strategy, bars)
    features = {symbol: build_features(strategy, frames) for symbol, frames in bars.items()}
    symbol = np.concatenate([np.full(len(found), name) for name, found in features.items()])
    opens = pd.DatetimeIndex(np.concatenate([found.index for found in features.values()]))
    windows = dataset.row[:, None] + np.arange(-4, 1)
    assert windows.min() >= 0
    assert (symbol[windows] == symbol[dataset.row][:, None]).all()
    assert np.diff(opens.to_numpy()[windows], axis=1).max() <= np.timedelta64(4, "D")
    # Four rows at the start of each symbol and four after the gap have no whole window.
    assert dataset.left_out["AAA"]["without_window"] == 4
    assert dataset.left_out["BBB"]["without_window"] == 8


def test_a_symbol_that_starts_later_is_only_in_the_later_parts(tmp_path: Path) -> None:
    late = synthetic(1).iloc[700:]
    result = run(job_of(tmp_path, AAA=synthetic(0), BBB=late))
    balance = prepare(parse_strategy(changed()), {"AAA": {"1d": synthetic(0)}, "BBB": {"1d": late}})
    symbols = {part: set(balance.dataset.symbol[getattr(balance.split, part)]) for part in result["rows"]}
    assert symbols == {"train": {0}, "validation": {0, 1}, "test": {0, 1}}
    assert result["metrics"]["test"]["accuracy"] is not None


def test_a_bar_has_the_inputs_that_a_backtest_gives_it(tmp_path: Path) -> None:
    """A training that starts late is warmed up by what lies before, as a backtest is: a line that adds up from the
    first bar (on balance volume) would else stand elsewhere for the same bar."""
    text = changed(
        indicators={"mom_5": {"type": "obv"}}, training_data={"date_range": {"start": "2016-05-02"}}
    )
    strategy, asked = parse_strategy(text), TrainingParameters(strategy_yaml=text, symbols=("AAA",))
    job = job_of(tmp_path, AAA=synthetic(0))
    read = load_bars(strategy, asked, job.inputs)
    dataset = build_dataset(strategy, read, first_day(strategy, asked))
    opens = pd.DatetimeIndex(dataset.time, tz="UTC")
    backtested = build_features(strategy, {"1d": synthetic(0)})
    assert opens[0] == pd.Timestamp("2016-05-02", tz="UTC")
    np.testing.assert_array_equal(dataset.features[dataset.row], backtested.loc[opens].to_numpy())
    assert dataset.left_out["AAA"]["before_start"] == (synthetic(0).index < opens[0]).sum()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed(), "Every row of the training part has the same label"),
        (TSK_MODEL, "Every row of the training part has the same label"),
        (REGRESSION, "Every row of the training part has the same return"),
        (labelled("zigzag"), "Every row of the training part has the same label"),
        (labelled("regime"), "Every row of the training part has the same label"),
        (labelled("triple_barrier"), "The data give no row that has inputs and a label"),
    ],
    ids=["mlp", "tsk", "regression", "zigzag", "regime", "triple_barrier"],
)
def test_constant_prices_are_one_sentence(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        run(job_of(tmp_path, AAA=constant(), BBB=constant()), text)


def test_one_symbol_without_movement_beside_another_is_trained_on(tmp_path: Path) -> None:
    result = run(job_of(tmp_path, AAA=synthetic(0), BBB=constant(900)))
    assert result["stopped"] == "epochs"
    assert all(np.isfinite(part["log_loss"]) for part in result["metrics"].values())


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_a_window_longer_than_the_data_is_one_sentence(kind: str, tmp_path: Path) -> None:
    text = changed(model={"type": kind, "architecture": {"sequence_length": 300}})
    with pytest.raises(InvalidInput, match="The data give no row that has inputs and a label"):
        run(job_of(tmp_path, AAA=synthetic(0, n=200), BBB=synthetic(1, n=200)), text)


def test_a_warm_up_longer_than_the_data_names_the_indicator(tmp_path: Path) -> None:
    text = changed(indicators={"mom_5": {"type": "roc", "period": 500}})
    with pytest.raises(InvalidInput, match=r"AAA: none of the 200 bars .* mom_5 on 1d"):
        run(job_of(tmp_path, AAA=synthetic(0, n=200), BBB=synthetic(1, n=200)), text)


def test_prices_that_jump_as_by_a_split_are_a_warning(tmp_path: Path) -> None:
    split = synthetic(0)
    split.iloc[450:, :4] /= 7.0
    warnings = run(job_of(tmp_path, AAA=split, BBB=synthetic(1)))["warnings"]
    said = next(warning["message"] for warning in warnings if warning["code"] == "splits")
    assert f"(AAA on {split.index[450]:%Y-%m-%d})" in said


@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_a_class_that_the_training_part_lacks_is_a_warning(weights: str, tmp_path: Path) -> None:
    """Prices that only rise until the test part: there is no short row to learn from."""
    bars = synthetic(3)
    drift = np.where(np.arange(len(bars)) < 700, 0.02, 0.0)
    bars.loc[:, ["open", "high", "low", "close"]] *= np.exp(np.cumsum(drift))[:, None]
    labels = {"source": "forward_return", "horizon": 3, "threshold": 0.06}
    text = changed(training={"labels": labels, "class_weights": weights})
    result = run(job_of(tmp_path, AAA=bars, BBB=bars), text)
    assert "missing_class" in {warning["code"] for warning in result["warnings"]}
    assert all(np.isfinite(part["log_loss"]) for part in result["metrics"].values())
