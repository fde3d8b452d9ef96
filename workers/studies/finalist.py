"""Test one of the best trials of a study of trainings: on folds of its own, and on the sealed data.

For the sealed data the point is trained as its promotion trains it, by the same function with the same seed: on all data before
the holdout. The model then trades the holdout as a backtest does.
"""

import json
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.learning.trainer import choose_device
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import run_training
from workers.resumable_job import ResumableJob, Resume
from workers.strategy.document import write_document
from workers.studies import out_of_sample
from workers.studies.binding import BoundStudy
from workers.studies.directions import ModelDirections
from workers.studies.evaluation import Evaluator
from workers.studies.finalist_folds import validate
from workers.studies.market import load_market
from workers.studies.messages import (
    FINALIST_FILE,
    FinalistParameters,
    FinalistResult,
    SearchData,
    training_seed,
)
from workers.studies.run import CHECKPOINT_EVERY_S, bind_study
from workers.studies.training_progress import Progress
from workers.studies.training_trials import Stopped, TrainingEvaluator

_VALIDATION = "validation.json"
"""In a checkpoint: the result of the folds, after which the training for the holdout runs."""


def run_finalist(parameters: FinalistParameters, job: ResumableJob) -> dict[str, Any]:
    """Return the `FinalistResult`. Raises InvalidInput. Artifact: finalist.json."""
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    saved = job.resume.files if job.resume is not None else {}
    result = FinalistResult(number=parameters.trial.number)
    try:
        if _VALIDATION in saved:
            validation = json.loads(saved[_VALIDATION])
        else:
            validation = _validate(bound, parameters, job)
        holdout = _trade_holdout(bound, parameters, validation, job)
    except Stopped:
        return result.model_dump(mode="json")
    report = {
        "number": parameters.trial.number,
        "point": parameters.trial.point,
        "validation": validation,
        "holdout": holdout,
    }
    job.artifact(FINALIST_FILE, json.dumps(report, allow_nan=False).encode())
    job.progress(100, step="done")
    figures = {
        "folds": len(validation["folds"]) if validation else 0,
        "holdout_sharpe": holdout["sharpe"] if holdout else None,
    }
    return result.model_copy(update=figures).model_dump(mode="json")


def _validate(bound: BoundStudy, parameters: FinalistParameters, job: ResumableJob) -> dict[str, Any] | None:
    """Return the finalist's figures on the folds of `finalists.validation`; None without one. Raises Stopped."""
    section = bound.study.finalists
    if section is None or section.validation is None:
        return None
    job.progress(0, step="folds")
    market = load_market(bound.strategy, parameters, job.inputs)
    evaluator = TrainingEvaluator(
        bound, market, parameters.seed, choose_device("auto"), validation=section.validation
    )
    progress = Progress(parameters.trial.number)
    if job.resume is not None:
        progress = Progress.from_files(job.resume.files)
    return validate(evaluator, section.validation, parameters.trial, progress, _Saving(job).after_epoch)


@dataclass(slots=True)
class _Saving:
    """Saves the trainings of the folds every ten seconds and when the job is cancelled."""

    job: ResumableJob
    saved: float = field(default_factory=time.monotonic)

    def after_epoch(self, progress: Progress) -> bool:
        cancelled = self.job.cancelled
        if cancelled or time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
            self.job.checkpoint(len(progress.runs), progress.as_files())
            self.saved = time.monotonic()
        return not cancelled


def _trade_holdout(
    bound: BoundStudy,
    parameters: FinalistParameters,
    validation: dict[str, Any] | None,
    job: ResumableJob,
) -> dict[str, Any] | None:
    """Train on all data before the holdout and trade the holdout; None while it is sealed. Raises Stopped, InvalidInput."""
    holdout = parameters.holdout
    if holdout is None:
        return None
    strategy_yaml = write_document(bound.values_of(parameters.trial.point))
    training = _TrainingJob(job, validation)
    request = TrainingParameters(
        strategy_yaml=strategy_yaml,
        symbols=parameters.symbols,
        start_date=parameters.start_date,
        end_date=parameters.end_date,
        seed=training_seed(parameters.seed),
    )
    result = run_training(request, training)
    if result.get("stopped") == "cancelled":
        raise Stopped
    data = parameters.model_copy(update={"start_date": holdout.start_date, "end_date": holdout.end_date})
    figures = _trade(bound, data, parameters, strategy_yaml, training.artifacts, job.inputs)
    return {**figures, "model": result["model"]["sha256"], "best_epoch": result["best_epoch"]}


def _trade(
    bound: BoundStudy,
    data: SearchData,
    parameters: FinalistParameters,
    strategy_yaml: str,
    model: Mapping[str, bytes],
    inputs: Mapping[str, Path],
) -> dict[str, Any]:
    """Return the figures of the model on the holdout, with its curve."""
    market = load_market(bound.strategy, data, inputs)
    with tempfile.TemporaryDirectory() as directory:
        files = dict(inputs)
        for name in ("model.safetensors", "model.json"):
            files[f"model/{name}"] = Path(directory) / name
            files[f"model/{name}"].write_bytes(model[name])
        evaluator = Evaluator(
            bound, market, ModelDirections(data, strategy_yaml, market, files), with_folds=False
        )
        (row,) = out_of_sample.holdout_rows(evaluator, [parameters.trial])
    return row


@dataclass(slots=True)
class _TrainingJob:
    """The job of the training for the holdout: its artifacts stay here, and its checkpoint keeps the folds' result."""

    job: ResumableJob
    validation: dict[str, Any] | None
    artifacts: dict[str, bytes] = field(default_factory=dict)

    @property
    def inputs(self) -> Mapping[str, Path]:
        return self.job.inputs

    @property
    def resume(self) -> Resume | None:
        resumed = self.job.resume
        return resumed if resumed is not None and _VALIDATION in resumed.files else None

    @property
    def cancelled(self) -> bool:
        return self.job.cancelled

    def progress(
        self,
        percentage: float,
        step: str | None = None,
        completed: int | None = None,
        total: int | None = None,
    ) -> None:
        self.job.progress(50 + percentage / 2, f"holdout: {step}" if step else None, completed, total)

    def log(self, line: str, level: str = "info") -> None:
        self.job.log(line, level)

    def metric(self, name: str, step: int, value: float) -> None:
        """The learning curves of finalists are not kept."""

    def checkpoint(self, step: int, files: Mapping[str, bytes]) -> None:
        self.job.checkpoint(step, {**files, _VALIDATION: json.dumps(self.validation).encode()})

    def artifact(self, name: str, content: bytes) -> None:
        self.artifacts[name] = content
