"""Trainings as a worker runs them: reproducible, resumable, and without skill on random data."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from torch.utils._python_dispatch import TorchDispatchMode

from tests.quant.learning.conftest import STRATEGY, RecordedJob, synthetic
from worker_agent.protocol import InvalidInput
from workers.learning import training_report
from workers.learning.dataset import build_dataset, run_lengths
from workers.learning.prepared_data import prepare_data
from workers.learning.scaling import fit_scaler
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.learning.tsk import TSK
from workers.market_data.bars import write_bars
from workers.strategy.grammar import parse_strategy

NewJob = Callable[[], RecordedJob]


def with_sections(**sections: Any) -> str:
    """Return the strategy with sections merged over it, one level deep."""
    data = yaml.safe_load(STRATEGY)
    for name, section in sections.items():
        data[name] = {**data[name], **section} if isinstance(section, dict) else section
    return yaml.safe_dump(data, sort_keys=False)


def run(job: RecordedJob, text: str = STRATEGY, **more: Any) -> dict[str, Any]:
    return run_training(TrainingParameters(strategy_yaml=text, device="cpu", **more), job)


LSTM = with_sections(model={"type": "lstm", "architecture": {"sequence_length": 5, "hidden_size": 8}})
GRU = with_sections(model={"type": "gru", "architecture": {"sequence_length": 5, "hidden_size": 8}})
TSK_MODEL = with_sections(model={"type": "tsk", "architecture": {"rules": 5}})
REGRESSION = with_sections(
    model={"type": "tsk", "architecture": {"rules": 4}},
    decisions={"output_format": "regression"},
    training={"labels": {"source": "forward_return", "horizon": 2}},
)
KINDS = {"mlp": STRATEGY, "lstm": LSTM, "gru": GRU, "tsk": TSK_MODEL, "regression": REGRESSION}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_training_twice_gives_the_same_bits(kind: str, new_job: NewJob) -> None:
    """Lesson Q11."""
    first, second = new_job(), new_job()
    results = [run(first, KINDS[kind]), run(second, KINDS[kind])]
    assert results[0]["model"]["sha256"] == results[1]["model"]["sha256"]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert first.artifacts["model.json"] == second.artifacts["model.json"]
    assert first.metrics == second.metrics


def test_another_seed_gives_another_model(new_job: NewJob) -> None:
    """Lesson Q10: the hash identifies the model."""
    assert run(new_job(), seed=1)["model"]["sha256"] != run(new_job(), seed=2)["model"]["sha256"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_continues_bit_for_bit(kind: str, new_job: NewJob) -> None:
    text = with_schedule(KINDS[kind])
    uninterrupted = new_job()
    expected = run(uninterrupted, text)
    interrupted = new_job()
    interrupted.cancel_after = 3
    assert run(interrupted, text)["stopped"] == "cancelled"
    step, files = interrupted.checkpoints[-1]
    assert step == 3
    resumed = new_job()
    resumed.resume = SimpleNamespace(step=step, files=files)
    result = run(resumed, text)
    assert result["model"]["sha256"] == expected["model"]["sha256"]
    assert result["metrics"] == expected["metrics"]
    assert interrupted.metrics + resumed.metrics == uninterrupted.metrics


def with_schedule(text: str) -> str:
    data = yaml.safe_load(text)
    data["training"] |= {
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "gradient_clip": 1.0,
        "lr_scheduler": {"type": "reduce_on_plateau", "patience": 0},
        "early_stopping": {"patience": 4},
    }
    return yaml.safe_dump(data, sort_keys=False)


def test_a_checkpoint_of_another_training_is_rejected(new_job: NewJob) -> None:
    first = new_job()
    first.cancel_after = 2
    run(first)
    second = new_job()
    second.resume = SimpleNamespace(step=2, files=first.checkpoints[-1][1])
    with pytest.raises(InvalidInput, match="another training"):
        run(second, seed=7)


def test_the_best_epoch_is_restored(new_job: NewJob, tmp_path: Path) -> None:
    """Lesson Q29: the model's validation metrics are those of the best epoch, not of the last."""
    job = new_job()
    result = run(job, with_sections(training={"epochs": 25, "learning_rate": 0.05}))
    losses = {step: value for name, step, value in job.metrics if name == "validation_loss"}
    best = min(losses, key=lambda step: losses[step])
    assert result["best_epoch"] == best
    assert best < result["epochs"]
    accuracy = {step: value for name, step, value in job.metrics if name == "validation_accuracy"}
    assert result["metrics"]["validation"]["accuracy"] == pytest.approx(accuracy[best])


def test_random_prices_give_accuracy_at_chance(tmp_path: Path) -> None:
    """White noise is not predictable: out of sample the balanced accuracy is that of chance."""
    files = {}
    for number, symbol in enumerate(("AAA", "BBB")):
        files[f"bars/{symbol}/1d.parquet"] = tmp_path / f"{symbol}.parquet"
        write_bars(synthetic(100 + number, n=1500), files[f"bars/{symbol}/1d.parquet"])
    result = run(RecordedJob(files), with_sections(training={"epochs": 15, "class_weights": "balanced"}))
    assert abs(result["metrics"]["test"]["balanced_accuracy"] - 1 / 3) < 0.06


def test_predictable_prices_are_learned(new_job: NewJob) -> None:
    text = with_sections(training={"epochs": 30, "labels": {"source": "forward_return", "horizon": 1}})
    result = run(new_job(), text)
    assert result["metrics"]["test"]["accuracy"] > result["metrics"]["test"]["majority_accuracy"] + 0.03


def test_features_and_labels_of_a_row_belong_to_one_symbol(bar_files: dict[str, Path]) -> None:
    """Lesson Q28."""
    strategy = parse_strategy(STRATEGY)
    frames = {
        symbol: {"1d": synthetic(number, persistence=0.35)} for number, symbol in enumerate(("AAA", "BBB"))
    }
    both = build_dataset(strategy, frames)
    for number, symbol in enumerate(frames):
        single = build_dataset(strategy, {symbol: frames[symbol]})
        rows = both.symbol == number
        np.testing.assert_array_equal(both.features[both.row[rows]], single.features[single.row])
        np.testing.assert_array_equal(both.label[rows], single.label)


def test_scales_are_fitted_only_on_the_training_part() -> None:
    """Lesson Q5: later bars do not change them."""
    strategy = parse_strategy(STRATEGY)
    bars = synthetic(1)
    original = prepare_data(strategy, {"AAA": {"1d": bars}})
    changed_bars = bars.copy()
    changed_bars.iloc[800:, :4] *= np.linspace(1, 9, len(changed_bars) - 800)[:, None]
    other = prepare_data(strategy, {"AAA": {"1d": changed_bars}})
    np.testing.assert_array_equal(original.scaler.shift, other.scaler.shift)
    np.testing.assert_array_equal(original.scaler.scale, other.scaler.scale)


def test_the_rounding_of_a_constant_is_not_a_signal() -> None:
    """Averages of a constant price differ in their last digits; scaled to a deviation of one they would be noise."""
    strategy = parse_strategy(with_sections())
    raw = strategy.input_names.index("1d_mom_5_raw")
    features = np.random.default_rng(0).uniform(0.0, 1.0, (200, len(strategy.input_names)))
    features[:, raw] = 60_000.0 + 1e-11 * np.arange(200)
    assert fit_scaler(strategy, features).scale[raw] == 1.0
    features[:, raw] = 1e-7 * np.arange(200)
    assert fit_scaler(strategy, features).scale[raw] == pytest.approx(features[:, raw].std())


def test_sequences_never_cross_a_gap() -> None:
    position = np.array([3, 4, 5, 7, 8, 9, 10])
    segments = np.array([0] * 9 + [1] * 5)
    assert run_lengths(position, segments).tolist() == [1, 2, 3, 1, 2, 1, 2]


def test_rules_still_fire_with_forty_inputs() -> None:
    """Lesson Q27: firing strengths of 40 inputs, far from every centre, add up to one and have gradients."""
    torch.manual_seed(0)
    network = TSK(40, 16, 3, linear=True, width=1.0, dropout=0.0)
    x = torch.randn(64, 40) * 20
    share = network.firing(x)
    torch.testing.assert_close(share.sum(1), torch.ones(64))
    network(x).square().mean().backward()
    assert network.centres.grad is not None
    assert torch.isfinite(network.centres.grad).all()


def test_a_report_contains_all_sections(new_job: NewJob) -> None:
    job = new_job()
    run(job, TSK_MODEL)
    report = json.loads(job.artifacts["report.json"])
    assert len(report["curves"]) == 6
    assert sum(map(sum, report["confusion_matrix"]["matrix"])) > 0
    assert len(report["rules"]) == 5
    assert "near" in report["rules"][0]
    assert report["fuzzy_sets"][0]["name"] == "momentum"
    assert set(report["importance"]) == {
        "1d_momentum_low",
        "1d_momentum_middle",
        "1d_momentum_high",
        "1d_mom_5_raw",
    }
    assert [part["part"] for part in report["splits"]] == ["training", "validation", "test"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"training": {"labels": {"source": "forward_return", "horizon": 3, "threshold": 0.9}}},
            "same label",
        ),
        (
            {"training": {"labels": {"source": "forward_return", "horizon": 800}}},
            "part is empty|No bar has both",
        ),
        ({"training": {"learning_rate": 10.0, "optimizer": "sgd", "momentum": 0.99, "epochs": 3}}, ""),
    ],
)
def test_data_that_cannot_be_learned_from_give_a_clear_error(
    sections: dict[str, Any], message: str, new_job: NewJob
) -> None:
    job = new_job()
    if not message:
        result = run(
            job,
            with_sections(
                **sections, model={"architecture": {"hidden_layers": [64, 64], "activation": "relu"}}
            ),
        )
        assert result["stopped"] in ("epochs", "diverged")
        return
    with pytest.raises(InvalidInput, match=message):
        run(job, with_sections(**sections))


def test_a_symbol_without_bars_is_named(new_job: NewJob) -> None:
    with pytest.raises(InvalidInput, match="ZZZ"):
        run(new_job(), symbols=("AAA", "ZZZ"))


def test_a_training_without_its_report_still_gives_a_model(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesson Q16."""

    def fail(*_: object) -> None:
        raise ArithmeticError("no ink")

    plain, job = new_job(), new_job()
    expected = run(plain)
    monkeypatch.setattr(training_report, "build_report", fail)
    result = run(job)
    assert result["metrics"] == expected["metrics"]
    assert job.artifacts["model.safetensors"] == plain.artifacts["model.safetensors"]
    assert "report.json" not in job.artifacts
    assert [warning["message"] for warning in result["warnings"] if warning["code"] == "no_report"] == [
        "Could not build the report (no ink); the model is not affected."
    ]


@pytest.mark.parametrize("start", [None, "2015-01-05", "2015-08-03"])
@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_every_bar_is_a_row_or_is_counted_with_a_reason(kind: str, start: str | None, tmp_path: Path) -> None:
    """Lesson Q24: nothing is dropped silently, whether for warm-up, gaps, windows, labels or the purge."""
    bars = synthetic(2)
    bars = pd.concat([bars.iloc[:500], bars.iloc[540:]])
    bars.iloc[300, :5] = np.nan
    write_bars(bars, tmp_path / "AAA.parquet")
    job = RecordedJob({"bars/AAA/1d.parquet": tmp_path / "AAA.parquet"})
    result = run(job, KINDS[kind], symbols=("AAA",), start_date=start)
    left_out = result["left_out"]
    assert left_out["AAA"]["gaps"] > 0
    counted = sum(result["rows"].values()) + left_out["purged"] + sum(left_out["AAA"].values())
    assert counted == len(bars)


def test_changed_data_give_another_model(tmp_path: Path, new_job: NewJob) -> None:
    """Lessons Q9, Q10: one changed price changes the model and the hash of its data."""
    bars = synthetic(0, persistence=0.35)
    bars.iloc[200, 1:4] *= 1.01
    write_bars(bars, tmp_path / "AAA.parquet")
    job = new_job()
    job.inputs = {**job.inputs, "bars/AAA/1d.parquet": tmp_path / "AAA.parquet"}
    original, other = run(new_job()), run(job)
    assert original["model"]["sha256"] != other["model"]["sha256"]
    assert original["provenance"]["data_sha256"] != other["provenance"]["data_sha256"]


def test_many_rules_and_rows_need_little_memory() -> None:
    """Lesson Q26: 512 rules of 40 inputs; a tensor [rows, rules, inputs] would need 1.3 GB."""
    torch.manual_seed(0)
    network = TSK(40, 512, 3, linear=True, width=1.0, dropout=0.0)
    rows = torch.randn(16_384, 40)
    largest = 0

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal largest
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    with torch.no_grad(), Largest():
        out = network(rows)
    assert torch.isfinite(out).all()
    assert largest <= 16_384 * 512 * 3


def test_a_formula_over_other_indicators_is_an_input_like_any_other(new_job: NewJob) -> None:
    """It is audited, and its fuzzy sets have curves in the report."""
    job = new_job()
    text = with_sections(
        indicators={
            "stretch": {"type": "expression", "expression": "rsi_7 / 50 + abs(shift(mom_5, 1)) / 10"}
        },
        fuzzy_sets={"tension": {"indicator": "stretch", "low": [0, 0, 2], "high": [1, 3, 3]}},
        nn_inputs=[{"fuzzy_set": "tension"}, {"raw_indicator": "stretch", "normalization": "zscore"}],
    )
    result = run(job, text)
    assert result["model"]["input_names"] == ["1d_stretch_raw", "1d_tension_high", "1d_tension_low"]
    assert result["audit"]["look_ahead"]["passed"] is True
    curves = json.loads(job.artifacts["report.json"])["fuzzy_sets"]
    assert [curve["indicator"] for curve in curves] == ["stretch"]


def test_a_formula_over_another_symbol_is_an_input_of_every_symbol(new_job: NewJob) -> None:
    text = with_sections(
        indicators={
            "drift": {"type": "expression", "expression": "close / shift(close, 5) - 1", "symbol": "BBB"},
            "lead": {"type": "expression", "expression": "mom_5 / 100 - drift"},
        },
        nn_inputs=[
            {"raw_indicator": "lead", "normalization": "zscore"},
            {"raw_indicator": "drift", "normalization": "zscore"},
            {"fuzzy_set": "momentum"},
        ],
    )
    result = run(new_job(), text)
    assert result["audit"]["look_ahead"]["passed"] is True
    assert set(result["provenance"]["data_sha256"]) == {"AAA/1d", "BBB/1d"}
