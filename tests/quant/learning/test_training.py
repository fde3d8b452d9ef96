"""Trainings as a worker runs them: the same twice, the same when interrupted, honest about chance."""

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
from workers.learning import report
from workers.learning.dataset import build_dataset, run_lengths
from workers.learning.parameters import TrainingParameters
from workers.learning.run import prepare, run_training
from workers.learning.scaling import fit_scaler
from workers.learning.tsk import TSK
from workers.market_data.bars import write_bars
from workers.strategy.grammar import parse_strategy

NewJob = Callable[[], RecordedJob]


def changed(**sections: Any) -> str:
    """The strategy with sections merged over it, one level deep."""
    data = yaml.safe_load(STRATEGY)
    for name, section in sections.items():
        data[name] = {**data[name], **section} if isinstance(section, dict) else section
    return yaml.safe_dump(data, sort_keys=False)


def run(job: RecordedJob, text: str = STRATEGY, **more: Any) -> dict[str, Any]:
    return run_training(TrainingParameters(strategy_yaml=text, device="cpu", **more), job)


LSTM = changed(model={"type": "lstm", "architecture": {"sequence_length": 5, "hidden_size": 8}})
GRU = changed(model={"type": "gru", "architecture": {"sequence_length": 5, "hidden_size": 8}})
TSK_MODEL = changed(model={"type": "tsk", "architecture": {"rules": 5}})
REGRESSION = changed(
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
    """Lesson Q10's other half: the hash says which model it is."""
    assert run(new_job(), seed=1)["model"]["sha256"] != run(new_job(), seed=2)["model"]["sha256"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_goes_on_bit_for_bit(kind: str, new_job: NewJob) -> None:
    text = changed_schedule(KINDS[kind])
    unbroken = new_job()
    expected = run(unbroken, text)
    broken = new_job()
    broken.cancel_after = 3
    assert run(broken, text)["stopped"] == "cancelled"
    step, files = broken.checkpoints[-1]
    assert step == 3
    resumed = new_job()
    resumed.resume = SimpleNamespace(step=step, files=files)
    result = run(resumed, text)
    assert result["model"]["sha256"] == expected["model"]["sha256"]
    assert result["metrics"] == expected["metrics"]
    assert broken.metrics + resumed.metrics == unbroken.metrics


def changed_schedule(text: str) -> str:
    data = yaml.safe_load(text)
    data["training"] |= {
        "optimizer": "adamw",
        "weight_decay": 0.01,
        "gradient_clip": 1.0,
        "lr_scheduler": {"type": "reduce_on_plateau", "patience": 0},
        "early_stopping": {"patience": 4},
    }
    return yaml.safe_dump(data, sort_keys=False)


def test_a_checkpoint_of_another_training_is_refused(new_job: NewJob) -> None:
    first = new_job()
    first.cancel_after = 2
    run(first)
    second = new_job()
    second.resume = SimpleNamespace(step=2, files=first.checkpoints[-1][1])
    with pytest.raises(InvalidInput, match="another training"):
        run(second, seed=7)


def test_the_best_epoch_is_really_restored(new_job: NewJob, tmp_path: Path) -> None:
    """Lesson Q29: the model's validation figures are those of the best epoch, not of the last."""
    job = new_job()
    result = run(job, changed(training={"epochs": 25, "learning_rate": 0.05}))
    losses = {step: value for name, step, value in job.metrics if name == "validation_loss"}
    best = min(losses, key=lambda step: losses[step])
    assert result["best_epoch"] == best
    assert best < result["epochs"]
    accuracy = {step: value for name, step, value in job.metrics if name == "validation_accuracy"}
    assert result["metrics"]["validation"]["accuracy"] == pytest.approx(accuracy[best])


def test_shuffled_labels_come_out_at_chance(tmp_path: Path) -> None:
    """White noise has nothing to learn: out of sample the accuracy is that of saying the commonest class."""
    files = {}
    for number, symbol in enumerate(("AAA", "BBB")):
        files[f"bars/{symbol}/1d.parquet"] = tmp_path / f"{symbol}.parquet"
        write_bars(synthetic(100 + number, n=1500), files[f"bars/{symbol}/1d.parquet"])
    result = run(RecordedJob(files), changed(training={"epochs": 15, "class_weights": "balanced"}))
    assert abs(result["metrics"]["test"]["balanced_accuracy"] - 1 / 3) < 0.06


def test_something_to_learn_is_learned(new_job: NewJob) -> None:
    text = changed(training={"epochs": 30, "labels": {"source": "forward_return", "horizon": 1}})
    result = run(new_job(), text)
    assert result["metrics"]["test"]["accuracy"] > result["metrics"]["test"]["majority_accuracy"] + 0.03


def test_features_and_labels_of_a_row_are_one_symbols(bar_files: dict[str, Path]) -> None:
    """Lesson Q28."""
    strategy = parse_strategy(STRATEGY)
    frames = {
        symbol: {"1d": synthetic(number, persistence=0.35)} for number, symbol in enumerate(("AAA", "BBB"))
    }
    both = build_dataset(strategy, frames)
    for number, symbol in enumerate(frames):
        alone = build_dataset(strategy, {symbol: frames[symbol]})
        mine = both.symbol == number
        np.testing.assert_array_equal(both.features[both.row[mine]], alone.features[alone.row])
        np.testing.assert_array_equal(both.label[mine], alone.label)


def test_scales_are_fitted_on_the_training_part_alone() -> None:
    """Lesson Q5: what comes after the training part does not move them."""
    strategy = parse_strategy(STRATEGY)
    bars = synthetic(1)
    calm = prepare(strategy, {"AAA": {"1d": bars}})
    wild = bars.copy()
    wild.iloc[800:, :4] *= np.linspace(1, 9, len(wild) - 800)[:, None]
    other = prepare(strategy, {"AAA": {"1d": wild}})
    np.testing.assert_array_equal(calm.scaler.shift, other.scaler.shift)
    np.testing.assert_array_equal(calm.scaler.scale, other.scaler.scale)


def test_the_rounding_of_a_constant_is_no_signal() -> None:
    """Averages of a price that never moves differ in their last digits; scaled to deviation one they would be noise."""
    strategy = parse_strategy(changed())
    features = np.random.default_rng(0).uniform(0.0, 1.0, (200, len(strategy.input_names)))
    features[:, -1] = 60_000.0 + 1e-11 * np.arange(200)
    assert fit_scaler(strategy, features).scale[-1] == 1.0
    features[:, -1] = 1e-7 * np.arange(200)
    assert fit_scaler(strategy, features).scale[-1] == pytest.approx(features[:, -1].std())


def test_sequences_never_cross_a_gap() -> None:
    position = np.array([3, 4, 5, 7, 8, 9, 10])
    segments = np.array([0] * 9 + [1] * 5)
    assert run_lengths(position, segments).tolist() == [1, 2, 3, 1, 2, 1, 2]


def test_forty_inputs_do_not_silence_the_rules() -> None:
    """Lesson Q27: firing strengths of 40 inputs, far from every centre, still add up to one and have gradients."""
    torch.manual_seed(0)
    network = TSK(40, 16, 3, linear=True, width=1.0, dropout=0.0)
    x = torch.randn(64, 40) * 20
    share = network.firing(x)
    torch.testing.assert_close(share.sum(1), torch.ones(64))
    network(x).square().mean().backward()
    assert network.centres.grad is not None
    assert torch.isfinite(network.centres.grad).all()


def test_a_report_draws_everything_it_promises(new_job: NewJob) -> None:
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
    ("sections", "words"),
    [
        (
            {"training": {"labels": {"source": "forward_return", "horizon": 3, "threshold": 0.9}}},
            "same label",
        ),
        ({"training": {"labels": {"source": "forward_return", "horizon": 800}}}, "No row is left|no row"),
        ({"training": {"learning_rate": 10.0, "optimizer": "sgd", "momentum": 0.99, "epochs": 3}}, ""),
    ],
)
def test_data_that_teach_nothing_are_a_sentence(
    sections: dict[str, Any], words: str, new_job: NewJob
) -> None:
    job = new_job()
    if not words:
        result = run(
            job,
            changed(**sections, model={"architecture": {"hidden_layers": [64, 64], "activation": "relu"}}),
        )
        assert result["stopped"] in ("epochs", "diverged")
        return
    with pytest.raises(InvalidInput, match=words):
        run(job, changed(**sections))


def test_a_symbol_without_bars_is_named(new_job: NewJob) -> None:
    with pytest.raises(InvalidInput, match="ZZZ"):
        run(new_job(), symbols=("AAA", "ZZZ"))


def test_a_report_that_cannot_be_drawn_costs_no_model(
    new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lesson Q16."""

    def broken(*_: object) -> None:
        raise ArithmeticError("no ink")

    plain, job = new_job(), new_job()
    expected = run(plain)
    monkeypatch.setattr(report, "build", broken)
    result = run(job)
    assert result["metrics"] == expected["metrics"]
    assert job.artifacts["model.safetensors"] == plain.artifacts["model.safetensors"]
    assert "report.json" not in job.artifacts
    assert [warning["message"] for warning in result["warnings"] if warning["code"] == "no_report"] == [
        "The report could not be drawn (no ink); the model stands."
    ]


@pytest.mark.parametrize("start", [None, "2015-01-05", "2015-08-03"])
@pytest.mark.parametrize("kind", ["mlp", "gru"])
def test_every_bar_is_a_row_or_counted_with_its_reason(kind: str, start: str | None, tmp_path: Path) -> None:
    """Lesson Q24: nothing is dropped in silence, whether for warm-up, gaps, windows, labels or the purge."""
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


def test_other_data_give_another_model(tmp_path: Path, new_job: NewJob) -> None:
    """Lesson Q9, Q10: one changed price, and neither the model nor the hash of its data is the same."""
    bars = synthetic(0, persistence=0.35)
    bars.iloc[200, 1:4] *= 1.01
    write_bars(bars, tmp_path / "AAA.parquet")
    job = new_job()
    job.inputs = {**job.inputs, "bars/AAA/1d.parquet": tmp_path / "AAA.parquet"}
    one, other = run(new_job()), run(job)
    assert one["model"]["sha256"] != other["model"]["sha256"]
    assert one["provenance"]["data_sha256"] != other["provenance"]["data_sha256"]


def test_many_rules_over_many_rows_take_moments_and_little_memory() -> None:
    """Lesson Q26: 512 rules over 40 inputs; a pass that makes [rows, rules, inputs] would need 1.3 GB at once."""
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
        said = network(rows)
    assert torch.isfinite(said).all()
    assert largest <= 16_384 * 512 * 3
