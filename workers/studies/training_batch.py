"""Run a batch of trainings on a training worker: trial after trial, with a checkpoint every ten seconds."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workers.learning.trainer import choose_device
from workers.resumable_job import ResumableJob
from workers.studies.archive import pack, unpack
from workers.studies.batch_results import BatchResults
from workers.studies.evaluation import Outcome
from workers.studies.market import load_market
from workers.studies.messages import (
    DETAILS_FILE,
    MAX_KEPT_TRAININGS,
    RUNG_FILE,
    BatchParameters,
    TrialState,
)
from workers.studies.run import CHECKPOINT_EVERY_S, bind_study
from workers.studies.training_progress import Progress, Saved
from workers.studies.training_trials import Stopped, TrainingEvaluator


def run_training_batch(parameters: BatchParameters, job: ResumableJob) -> dict[str, Any]:
    """Return the `BatchResult` of trials of kind `training`. Raises InvalidInput.

    Artifacts: trials.parquet, moments.npy, returns.npy, details.zip, and rung.zip if trials wait at a rung.
    """
    job.progress(0, step="loading bars")
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    market = load_market(bound.strategy, parameters, job.inputs)
    evaluator = TrainingEvaluator(bound, market, parameters.seed, choose_device("auto"), rung=parameters.rung)
    results = BatchResults(
        parameters.trials,
        parameters.seed,
        bound.study.objective.maximize,
        len(market.days),
        MAX_KEPT_TRAININGS,
    )
    batch = _Batch(results, job, _earlier_rung(parameters, job.inputs))
    if job.resume is not None:
        batch.restore(job.resume.files)
        job.log(f"resumed after {len(results.rows):,} trials")
    cancelled = batch.evaluate_pending(evaluator)
    for name, content in {**results.artifacts(), **batch.files()}.items():
        job.artifact(name, content)
    job.progress(100, step="done", completed=len(results.rows), total=len(parameters.trials))
    return results.result(cancelled=cancelled).model_dump(mode="json")


def _earlier_rung(parameters: BatchParameters, files: Mapping[str, Path]) -> dict[int, Progress]:
    """Return where the trials of the batch stopped at the rung before."""
    numbers = {f"{trial.number}.zip": trial.number for trial in parameters.trials}
    return {
        numbers[name]: Progress.from_rung(content)
        for path, file in sorted(files.items())
        if path.endswith(f"/{RUNG_FILE}")
        for name, content in unpack(file.read_bytes()).items()
        if name in numbers
    }


@dataclass(slots=True)
class _Batch:
    """The results so far with what else is kept of each trial; saved with the running trial and its training."""

    results: BatchResults
    job: ResumableJob
    started: dict[int, Progress]
    """Trials of which a part was evaluated before."""
    details: dict[str, bytes] = field(default_factory=dict)
    rung: dict[str, bytes] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)

    def restore(self, files: Saved) -> None:
        self.results.restore(files)
        self.details, self.rung = (unpack(files[name]) for name in (DETAILS_FILE, RUNG_FILE))
        if (running := Progress.from_files(files)) is not None:
            self.started[running.number] = running

    def evaluate_pending(self, evaluator: TrainingEvaluator) -> bool:
        """Evaluate the trials that have no result yet; return whether the job was cancelled before all had one."""
        for trial in self.results.pending():
            progress = self.started.get(trial.number, Progress(trial.number))
            try:
                outcome = evaluator.evaluate(trial, progress, self._after_epoch)
            except Stopped:
                return True
            self._add(outcome, progress)
            done, total = len(self.results.rows), len(self.results.trials)
            self.job.progress(100 * done / total, "trainings", completed=done, total=total)
        return False

    def _add(self, outcome: Outcome, progress: Progress) -> None:
        self.results.add(outcome)
        self.details[f"{outcome.number}.json"] = json.dumps(details_of(outcome, progress)).encode()
        if outcome.state is TrialState.STOPPED_EARLY:
            self.rung[f"{outcome.number}.zip"] = progress.at_rung()

    def _after_epoch(self, progress: Progress, pack_training: Callable[[], Saved]) -> bool:
        """Save every ten seconds and when the job is cancelled; return whether to go on."""
        cancelled = self.job.cancelled
        if cancelled or time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
            own = {DETAILS_FILE: pack(self.details), RUNG_FILE: pack(self.rung)}
            # No two of these have a file of the same name.
            files = {**self.results.checkpoint(), **own, **progress.as_files(), **pack_training()}
            self.job.checkpoint(len(self.results.rows), files)
            self.saved = time.monotonic()
        return not cancelled

    def files(self) -> dict[str, bytes]:
        rung = {RUNG_FILE: pack(self.rung)} if self.rung else {}
        return {DETAILS_FILE: pack(self.details), **rung}


def details_of(outcome: Outcome, progress: Progress) -> dict[str, Any]:
    """Return what a trial's own page shows: its folds, and of each training the learning curve and a line."""
    trainings, log = [], []
    for key, run in progress.runs.items():
        fold, seed = (int(part) for part in key.split("-"))
        trainings.append(
            {
                "fold": fold,
                "seed": seed,
                "metric": run.metric,
                "trades": run.trades,
                "best_epoch": run.best_epoch,
                "stopped": run.stopped,
                "train_loss": run.train_loss,
                "validation_loss": run.validation_loss,
            }
        )
        log.append(
            f"fold {fold}, seed {seed}: {len(run.train_loss)} epochs, best {run.best_epoch}, ended by {run.stopped}"
        )
    if outcome.error:
        log.append(outcome.error)
    return {"folds": list(outcome.of_folds), "trainings": trainings, "log": log}
