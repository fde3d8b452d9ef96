"""Reports of studies: from batches to a verdict with everything that the page shows."""

import itertools
import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.quant.studies.conftest import StudyJob
from tests.quant.studies.test_batches import STRATEGY, STUDY, batch, run
from worker_agent.protocol import InvalidInput
from workers.studies.directions import ModelDirections
from workers.studies.evaluation import Evaluator
from workers.studies.messages import (
    BATCH_FILES,
    EVIDENCE_FILE,
    MAX_REPORT_BYTES,
    MOMENTS_FILE,
    RETURNS_FILE,
    BatchFiles,
    Holdout,
    ReportParameters,
    ReportResult,
    Trial,
    Verdict,
)
from workers.studies.report import run_report
from workers.studies.report_file import CURVES
from workers.studies.threads import MIN_BARS

Files = dict[str, Path]
FILES = (*BATCH_FILES, EVIDENCE_FILE)
TRIALS, SIZE = 60, 20
SEARCHED_UNTIL = date(2017, 12, 31)


@pytest.fixture(scope="module")
def batches(trained: Files, tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Inputs of a report: the bars, the model, and the files of three batches."""
    directory, files = tmp_path_factory.mktemp("batches"), dict(trained)
    for first in range(0, TRIALS, SIZE):
        _, job = run(trained, batch(range(first, first + SIZE), end_date=SEARCHED_UNTIL))
        for name in FILES:
            path = directory / f"{first}-{name}"
            path.write_bytes(job.artifacts[name])
            files[f"batch-{first}/{name}"] = path
    return files


def report(files: Files, **changes: Any) -> tuple[ReportResult, dict[str, Any]]:
    parameters = {
        "study": "study-1", "strategy_yaml": STRATEGY, "study_yaml": STUDY, "kind": "decisions", "symbols": ("AAA",),
        "end_date": SEARCHED_UNTIL, "batches": [BatchFiles(name=f"batch-{n}") for n in range(0, TRIALS, SIZE)],
        "holdout": Holdout(start_date=date(2018, 1, 1)),
    }  # fmt: skip
    job = StudyJob(files)
    result = ReportResult.model_validate(
        run_report(ReportParameters.model_validate(parameters | changes), job)
    )
    assert len(job.artifacts["report.json"]) <= MAX_REPORT_BYTES
    return result, json.loads(job.artifacts["report.json"])


def test_a_report_judges_the_winner_with_all_figures(batches: Files) -> None:
    result, content = report(batches)
    assert result.best is not None
    values = [row["value"] for row in content["leaderboard"]["rows"]]
    assert values == sorted(values, reverse=True)
    assert result.best.number == content["leaderboard"]["rows"][0]["number"]
    assert {reason.code for reason in result.reasons} >= {"dsr", "pbo", "spa", "holdout"}
    figures = result.figures.model_dump()
    # A winner without a gain is on no plateau.
    undefined = ["plateau"] if result.best.value <= 0 else []
    assert [name for name, value in figures.items() if value is None] == undefined
    assert figures["trials_counted"] == TRIALS
    assert sum(result.states.values()) == TRIALS
    assert not result.warnings


def test_a_report_contains_what_the_page_shows(batches: Files) -> None:
    _, content = report(batches)
    windows = content["walk_forward"]["windows"]
    assert len(windows) > 3
    assert all(earlier["test"][1] < later["test"][0] for earlier, later in itertools.pairwise(windows))
    assert len(content["paths"]["sharpes"]) == 7
    assert content["paths"]["low"] <= content["paths"]["median"] <= content["paths"]["high"]
    assert sum(content["overfitting"]["counts"]) == 12_870
    assert len(content["points"]["number"]) == TRIALS
    assert {row["parameter"] for row in content["importance"]} == set(content["points"]["parameters"])
    assert content["progress"]["best"][-1] == content["best"]["value"]
    assert content["holdout"]["finalists"][0]["number"] == content["best"]["number"]
    assert (
        content["stress"]["doubled_costs"]["total_return"] < content["stress"]["as_searched"]["total_return"]
    )


def test_a_report_does_not_depend_on_the_division_into_batches(
    trained: Files, batches: Files, tmp_path: Path
) -> None:
    _, job = run(trained, batch(range(TRIALS), end_date=SEARCHED_UNTIL))
    files = dict(trained)
    for name in FILES:
        files[f"all/{name}"] = tmp_path / name
        files[f"all/{name}"].write_bytes(job.artifacts[name])
    assert report(files, batches=[BatchFiles(name="all")])[1] == report(batches)[1]


def test_a_report_takes_the_evidence_of_batches_and_finds_the_same_without_it(
    batches: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated: list[int] = []
    returns = Evaluator.returns

    def watch(evaluator: Evaluator, trial: Trial) -> Any:
        simulated.append(trial.number)
        return returns(evaluator, trial)

    monkeypatch.setattr(Evaluator, "returns", watch)
    _, content = report(batches)
    assert len(set(simulated)) == CURVES
    simulated.clear()
    one_missing = {name: path for name, path in batches.items() if name != f"batch-20/{EVIDENCE_FILE}"}
    assert report(one_missing)[1] == content
    assert len(set(simulated)) == TRIALS


def test_batches_and_reports_are_the_same_in_threads(
    trained: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated_by: set[int] = set()
    decide = ModelDirections.directions

    def watched(source: ModelDirections, *arguments: Any) -> Any:
        simulated_by.add(threading.get_ident())
        return decide(source, *arguments)

    monkeypatch.setattr(ModelDirections, "directions", watched)
    trials, outcomes = batch(range(TRIALS), end_date=SEARCHED_UNTIL), []
    for min_bars, has_threads in ((MIN_BARS, False), (0, True)):
        monkeypatch.setattr("workers.studies.threads.MIN_BARS", min_bars)
        simulated_by.clear()
        result, job = run(trained, trials)
        assert (threading.get_ident() not in simulated_by) == has_threads
        files = dict(trained)
        for name in FILES:
            files[f"all/{name}"] = tmp_path / name
            files[f"all/{name}"].write_bytes(job.artifacts[name])
        kept = {name: job.artifacts[name] for name in (MOMENTS_FILE, RETURNS_FILE)}
        rows = result.model_dump(exclude={"cpu_ms"})
        outcomes.append((rows, kept, report(files, batches=[BatchFiles(name="all")])[1]))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize(
    ("holdout", "remedy"),
    [
        (None, "add a holdout to the study"),
        (Holdout(start_date=date(2018, 1, 1), looks=0), "open the holdout when the search is finished"),
    ],
    ids=["none", "sealed"],
)
def test_a_winner_is_not_believed_without_sealed_data(
    batches: Files, holdout: Holdout | None, remedy: str
) -> None:
    result, content = report(batches, holdout=holdout)
    assert content["holdout"] is None
    assert result.figures.holdout_sharpe is None
    assert result.verdict is not Verdict.BELIEVED
    assert any(remedy in reason.message for reason in result.reasons)


def test_earlier_trials_raise_the_ratio_needed(batches: Files) -> None:
    alone, with_others = (report(batches, counted_before=count)[0].figures for count in (0, 5000))
    assert with_others.trials_counted == 5000 + TRIALS
    assert alone.needed_sharpe is not None
    assert with_others.needed_sharpe is not None
    assert with_others.needed_sharpe > alone.needed_sharpe


def test_other_data_than_the_batches_used_are_noticed(batches: Files) -> None:
    files = dict(batches) | {"bars/AAA/1d.parquet": batches["bars/BBB/1d.parquet"]}
    assert [warning["code"] for warning in report(files)[0].warnings] == ["not_reproduced"]


def test_a_study_without_any_value_is_open(trained: Files, tmp_path: Path) -> None:
    study = STUDY + "objective: {at_least: {trades: 100000}}\n"
    _, job = run(trained, batch(range(5), study=study))
    files = dict(trained)
    for name in FILES:
        files[f"all/{name}"] = tmp_path / name
        files[f"all/{name}"].write_bytes(job.artifacts[name])
    result, _ = report(files, batches=[BatchFiles(name="all")], study_yaml=study, end_date=None)
    assert result.best is None
    assert result.verdict is Verdict.OPEN


def test_a_missing_file_is_named(batches: Files) -> None:
    with pytest.raises(InvalidInput, match=r"moments\.npy of batch batch-20 is missing"):
        report({name: path for name, path in batches.items() if name != "batch-20/moments.npy"})


def test_a_large_report_shrinks_to_its_limit(batches: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    full = len(json.dumps(report(batches)[1]))
    monkeypatch.setattr("workers.studies.report_file.MAX_REPORT_BYTES", int(full * 0.9))
    _, content = report(batches)
    assert len(content["leaderboard"]["rows"]) < TRIALS
    assert np.isfinite(content["leaderboard"]["rows"][0]["value"])
