"""Batches of trainings: each trial trained per fold and traded out of sample, resumed from the running epoch."""

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quant.learning.conftest import STRATEGY as LONG_STRATEGY
from tests.quant.learning.conftest import synthetic
from tests.quant.studies.conftest import Saved, StudyJob
from workers.learning import stacks, training_loop
from workers.learning.dataset import build_dataset
from workers.learning.fold_split import embargo_of, split_fold
from workers.learning.folds import walk_forward
from workers.market_data.bars import write_bars
from workers.strategy.grammar import parse_strategy
from workers.studies.archive import unpack
from workers.studies.messages import (
    BATCH_FILES,
    BatchFiles,
    BatchParameters,
    BatchResult,
    Holdout,
    ReportParameters,
    ReportResult,
    Trial,
    TrialState,
)
from workers.studies.report import run_report
from workers.studies.run import bind_study
from workers.studies.stacked_trials import trainings_at_once
from workers.studies.training_batch import run_training_batch

STRATEGY = LONG_STRATEGY.replace("epochs: 6", "epochs: 3").replace(
    "mode: multi_symbol, list: [AAA, BBB]", "mode: single, symbol: AAA"
)
STUDY = """
study: "1.0"
name: rates
search:
  method: grid
  parameters:
    /training/learning_rate: {choices: [0.01, 0.03, 0.05]}
validation: {scheme: walk_forward, train: 400, test: 150}
"""


@pytest.fixture(scope="module")
def bars(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    path = tmp_path_factory.mktemp("bars") / "AAA.parquet"
    write_bars(synthetic(0, persistence=0.35), path)
    return {"bars/AAA/1d.parquet": path}


@pytest.fixture(scope="module")
def whole(bars: dict[str, Path]) -> tuple[BatchResult, StudyJob]:
    return run(bars, range(3))


def run(
    files: dict[str, Path], numbers: range, study: str = STUDY, rung: int = 0, **options: Any
) -> tuple[BatchResult, StudyJob]:
    space = bind_study(study, STRATEGY).space
    points = [json.loads(json.dumps(space.point(number))) for number in numbers]
    trials = tuple(Trial(number=number, point=point) for number, point in zip(numbers, points, strict=True))
    parameters = BatchParameters(
        strategy_yaml=STRATEGY, study_yaml=study, kind="training", symbols=("AAA",), rung=rung, trials=trials
    )
    job = StudyJob(files, **options)
    return BatchResult.model_validate(run_training_batch(parameters, job)), job


def test_a_training_is_the_same_in_any_batch_and_after_an_interruption(
    bars: dict[str, Path], whole: tuple[BatchResult, StudyJob]
) -> None:
    expected, expected_job = whole
    assert expected.state == [TrialState.COMPLETED] * 3
    alone, _ = run(bars, range(1, 2))
    assert (alone.value[0], alone.scores["sharpe"][0]) == (expected.value[1], expected.scores["sharpe"][1])
    part, part_job = run(
        bars, range(3), stop_after=17
    )  # in the second epoch of a training of the second trial
    assert (part.stopped, len(part.number)) == ("cancelled", 1)
    saved = part_job.checkpoints[-1]
    assert set(unpack(saved["started.zip"])) == {"1.zip"}
    rest, rest_job = run(bars, range(3), resume=Saved(saved))
    assert rest.value == expected.value
    for name in ("moments.npy", "returns.npy"):
        assert rest_job.artifacts[name] == expected_job.artifacts[name]


def test_days_before_the_first_test_window_have_no_return(bars: dict[str, Path]) -> None:
    result, job = run(bars, range(1, 2))
    returns = np.load(io.BytesIO(job.artifacts["returns.npy"]))
    assert returns.shape == (1, result.days)
    assert not returns[0, :400].any()
    assert returns[0, 400:].any()


def test_the_report_of_trainings_uses_the_returns_of_the_batch(
    bars: dict[str, Path], whole: tuple[BatchResult, StudyJob], tmp_path: Path
) -> None:
    result, job = whole
    files = dict(bars)
    for name in BATCH_FILES:
        files[f"batch/{name}"] = tmp_path / name
        files[f"batch/{name}"].write_bytes(job.artifacts[name])
    parameters = ReportParameters(
        study="s",
        strategy_yaml=STRATEGY,
        study_yaml=STUDY,
        kind="training",
        symbols=("AAA",),
        batches=(BatchFiles(name="batch"),),
        holdout=Holdout(start_date=date(2020, 1, 1)),
    )
    report = ReportResult.model_validate(run_report(parameters, StudyJob(files)))
    assert report.best is not None
    assert report.best.value == max(value for value in result.value if value is not None)
    assert None not in (report.figures.dsr, report.figures.pbo, report.figures.spa_p)
    assert any("its own operation failed" in reason.message for reason in report.reasons)
    assert not report.warnings


def test_trials_that_pause_at_every_rung_end_as_if_they_had_not(
    bars: dict[str, Path], whole: tuple[BatchResult, StudyJob], tmp_path: Path
) -> None:
    """Each rung is a batch of its own that continues from the file of the one before; one is interrupted meanwhile."""
    study = STUDY + "stop_early: {rungs: [1, 2], keep: 0.5}\n"
    files, values = dict(bars), []
    for rung in (1, 2, 3):
        if rung == 2:
            _, stopped = run(files, range(3), study=study, rung=rung, stop_after=1)
            result, job = run(files, range(3), study=study, rung=rung, resume=Saved(stopped.checkpoints[-1]))
        else:
            result, job = run(files, range(3), study=study, rung=rung)
        values.append(result.value)
        if rung < 3:
            assert result.state == [TrialState.STOPPED_EARLY] * 3
            files = bars | {"batch/rung.zip": tmp_path / f"{rung}.zip"}
            (tmp_path / f"{rung}.zip").write_bytes(job.artifacts["rung.zip"])
    expected, expected_job = whole
    assert result.state == [TrialState.COMPLETED] * 3
    assert "rung.zip" not in job.artifacts
    assert values[2] == expected.value
    assert values[0] != values[2]
    for name in ("moments.npy", "returns.npy", "details.zip"):
        assert job.artifacts[name] == expected_job.artifacts[name]


def test_a_rung_after_the_last_epoch_pauses_nothing(bars: dict[str, Path]) -> None:
    study = STUDY + "stop_early: {rungs: [3], keep: 0.5}\n"
    assert run(bars, range(1), study=study, rung=1)[0].state == [TrialState.COMPLETED]


def test_the_details_of_a_trial_contain_its_folds_and_learning_curves(
    whole: tuple[BatchResult, StudyJob],
) -> None:
    _, job = whole
    details = json.loads(unpack(job.artifacts["details.zip"])["1.json"])
    assert len(details["folds"]) == len(details["trainings"]) == len(details["log"]) > 1
    assert all(len(training["validation_loss"]) == 3 for training in details["trainings"])
    assert details["log"][0].startswith("fold 0, seed 0: 3 epochs, best ")


def test_a_training_that_raises_is_a_failed_trial(bars: dict[str, Path]) -> None:
    study = STUDY.replace("train: 400, test: 150", "train: 20, test: 10")
    result, _ = run(bars, range(2), study=study)
    assert result.state == [TrialState.FAILED] * 2
    assert "Fold 0: " in result.errors["0"]


def test_a_fold_whose_training_part_has_one_class_is_named(tmp_path: Path) -> None:
    rising = synthetic(0)
    steps = np.full(700 - 290, 1.003)
    for name in ("open", "high", "low", "close"):
        rising.iloc[290:700, rising.columns.get_loc(name)] = rising[name].iloc[290] * np.cumprod(steps)
    files = {"bars/AAA/1d.parquet": tmp_path / "AAA.parquet"}
    write_bars(rising, files["bars/AAA/1d.parquet"])
    result, _ = run(files, range(1))
    assert result.state == [TrialState.FAILED]
    assert result.errors["0"] == (
        "Fold 2: All rows of the training part have the same label; change the label settings or the period."
    )


def test_the_parts_of_a_fold_do_not_touch() -> None:
    strategy = parse_strategy(STRATEGY)
    dataset = build_dataset(strategy, {"AAA": {"1d": synthetic(0)}})
    for ranges in walk_forward(np.unique(dataset.time), 300, 100):
        split = split_fold(strategy, dataset, ranges)
        assert dataset.end[split.train].max() < dataset.time[split.validation].min()
        assert dataset.end[split.validation].max() < dataset.time[split.test].min()
        assert len(split.validation) < 0.2 * len(split.train)
    assert embargo_of(strategy) == 3


SEEDS = STUDY.replace("choices: [0.01, 0.03, 0.05]}", "choices: [0.01, 0.03]}") + "repeat: {seeds: 2}\n"
SHAPES = (
    SEEDS.replace(
        "[0.01, 0.03]}", "[0.03]}\n    /model/architecture/hidden_layers: {choices: [[16], [8, 4]]}"
    )
    + "stop_early: {rungs: [2], keep: 0.5}\n"
)


@pytest.mark.parametrize(("study", "rung", "at_once"), [(SEEDS, 0, 64), (SEEDS, 0, 3), (SHAPES, 1, 64)])
def test_trainings_that_run_together_have_the_results_of_one_after_the_other(
    bars: dict[str, Path], monkeypatch: pytest.MonkeyPatch, study: str, rung: int, at_once: int
) -> None:
    expected, expected_job = run(bars, range(2), study=study, rung=rung)
    sizes: list[int] = []
    monkeypatch.setattr(stacks.Stack, "train_epoch", count_networks(stacks.Stack.train_epoch, sizes))
    monkeypatch.setenv("KTRDR_STACKED_TRAININGS", str(at_once))
    result, job = run(bars, range(2), study=study, rung=rung)
    assert 1 < max(sizes) <= at_once
    assert without_times(result) == without_times(expected)
    for name in expected_job.artifacts.keys() - {"trials.parquet", "rung.zip"}:
        assert job.artifacts[name] == expected_job.artifacts[name], name


def test_trainings_that_run_together_go_on_from_their_epochs_together_or_alone(
    bars: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, expected_job = run(bars, range(2), study=SEEDS)
    monkeypatch.setenv("KTRDR_STACKED_TRAININGS", "64")
    part, stopped = run(bars, range(2), study=SEEDS, stop_after=5)
    assert (part.stopped, part.number) == ("cancelled", [])
    saved = Saved(stopped.checkpoints[-1])
    assert set(unpack(saved.files["started.zip"])) == {"0.zip", "1.zip"}
    epochs: list[int] = []
    monkeypatch.setattr(training_loop, "_record_epoch", count_epochs(training_loop._record_epoch, epochs))
    for at_once in ("64", "1"):
        monkeypatch.setenv("KTRDR_STACKED_TRAININGS", at_once)
        epochs.clear()
        rest, rest_job = run(bars, range(2), study=SEEDS, resume=saved)
        assert without_times(rest) == without_times(expected)
        assert rest_job.artifacts["details.zip"] == expected_job.artifacts["details.zip"]
        assert epochs.count(1) < epochs.count(3), "it started again"


def test_a_trial_that_fails_leaves_those_that_are_trained_with_it(
    bars: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = STUDY.replace("/training/learning_rate: {choices: [0.01, 0.03, 0.05]}", FAILING)
    expected, _ = run(bars, range(3), study=study)
    assert expected.state == [TrialState.COMPLETED, TrialState.FAILED, TrialState.COMPLETED]
    monkeypatch.setenv("KTRDR_STACKED_TRAININGS", "8")
    assert without_times(run(bars, range(3), study=study)[0]) == without_times(expected)


FAILING = "/training/labels/threshold: {choices: [0.005, 0.9, 0.006]}"
"""No return is above 0.9, so all rows have the same label."""


@pytest.mark.parametrize("value", ["0", "many", "-1", "1001"])
def test_an_invalid_number_of_stacked_trainings_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("KTRDR_STACKED_TRAININGS", value)
    with pytest.raises(RuntimeError, match=f"KTRDR_STACKED_TRAININGS={value} must be a whole number from 1"):
        trainings_at_once()


def count_networks(train_epoch: Any, sizes: list[int]) -> Any:
    def counting(stack: stacks.Stack) -> Any:
        sizes.append(len(stack.loops))
        return train_epoch(stack)

    return counting


def count_epochs(record_epoch: Any, epochs: list[int]) -> Any:
    def counting(state: Any, config: Any, epoch: training_loop.Epoch) -> None:
        epochs.append(epoch.epoch)
        record_epoch(state, config, epoch)

    return counting


def without_times(result: BatchResult) -> dict[str, Any]:
    return result.model_dump(exclude={"cpu_ms"})
