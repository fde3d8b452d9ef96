"""Run a batch of trainings on a training worker: trial after trial or some together, with a checkpoint every ten seconds."""

import json
import time
from collections.abc import Mapping, Sequence
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
    Trial,
    TrialState,
)
from workers.studies.run import CHECKPOINT_EVERY_S, bind_study
from workers.studies.stacked_trials import evaluate_together, trainings_at_once
from workers.studies.training_progress import Progress, Saved, fold_and_seed
from workers.studies.training_trials import Stopped, TrainingEvaluator

_STARTED_FILE = "started.zip"
"""In a checkpoint: the trials that have started."""


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
    cancelled = batch.evaluate_pending(evaluator, trainings_at_once())
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
    """The results so far with what else is kept of each trial; saved with the trials and trainings that run."""

    results: BatchResults
    job: ResumableJob
    earlier: dict[int, Progress]
    """Trials of which a part was evaluated at the rung before."""
    started: dict[int, Progress] = field(default_factory=dict)
    details: dict[str, bytes] = field(default_factory=dict)
    rung: dict[str, bytes] = field(default_factory=dict)
    saved: float = field(default_factory=time.monotonic)

    def restore(self, files: Saved) -> None:
        self.results.restore(files)
        self.details, self.rung = (unpack(files[name]) for name in (DETAILS_FILE, RUNG_FILE))
        # Version 0.2.0 saved the trial in another form; it starts again.
        started = unpack(files[_STARTED_FILE]) if _STARTED_FILE in files else {}
        for content in started.values():
            progress = Progress.from_files(unpack(content))
            self.started[progress.number] = progress

    def evaluate_pending(self, evaluator: TrainingEvaluator, at_once: int) -> bool:
        """Evaluate the trials that have no result yet; return whether the job was cancelled before all had one."""
        together = max(1, at_once // evaluator.trainings_per_trial)
        trials = self.results.pending()
        try:
            for first in range(0, len(trials), together):
                self._evaluate(evaluator, trials[first : first + together], at_once)
        except Stopped:
            return True
        return False

    def _evaluate(self, evaluator: TrainingEvaluator, trials: Sequence[Trial], at_once: int) -> None:
        """Evaluate trials, and their trainings together if there may be several at once. Raises Stopped."""
        begun = [(trial, self._progress_of(trial.number)) for trial in trials]
        if at_once == 1:
            outcomes = [evaluator.evaluate(trial, progress, self._after_epoch) for trial, progress in begun]
        else:
            outcomes = evaluate_together(evaluator, begun, at_once, self._after_epoch)
        for outcome in outcomes:
            self._add(outcome, self.started.pop(outcome.number))
        done, total = len(self.results.rows), len(self.results.trials)
        self.job.progress(100 * done / total, "trainings", completed=done, total=total)

    def _progress_of(self, number: int) -> Progress:
        if number not in self.started:
            self.started[number] = self.earlier.get(number) or Progress(number)
        return self.started[number]

    def _add(self, outcome: Outcome, progress: Progress) -> None:
        self.results.add(outcome)
        self.details[f"{outcome.number}.json"] = json.dumps(details_of(outcome, progress)).encode()
        if outcome.state is TrialState.STOPPED_EARLY:
            self.rung[f"{outcome.number}.zip"] = progress.at_rung()

    def _after_epoch(self, progress: Progress) -> bool:
        """Save every ten seconds and when the job is cancelled; return whether to go on."""
        cancelled = self.job.cancelled
        if cancelled or time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
            started = {f"{number}.zip": pack(each.as_files()) for number, each in self.started.items()}
            own = {DETAILS_FILE: self.details, RUNG_FILE: self.rung, _STARTED_FILE: started}
            files = {name: pack(content) for name, content in own.items()}
            self.job.checkpoint(len(self.results.rows), {**self.results.checkpoint(), **files})
            self.saved = time.monotonic()
        return not cancelled

    def files(self) -> dict[str, bytes]:
        rung = {RUNG_FILE: pack(self.rung)} if self.rung else {}
        return {DETAILS_FILE: pack(self.details), **rung}


def details_of(outcome: Outcome, progress: Progress) -> dict[str, Any]:
    """Return what a trial's own page shows: its folds, and of each training the learning curve and a line."""
    trainings, log = [], []
    for key, run in progress.runs.items():
        fold, seed = fold_and_seed(key)
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
