"""Run a batch of trainings on a training worker: trial after trial, with a checkpoint every ten seconds."""

import time
from collections.abc import Callable
from typing import Any

from workers.learning.trainer import choose_device
from workers.resumable_job import ResumableJob
from workers.studies.batch_results import BatchResults
from workers.studies.market import load_market
from workers.studies.messages import MAX_KEPT_TRAININGS, BatchParameters
from workers.studies.run import CHECKPOINT_EVERY_S, bind_study
from workers.studies.training_trials import Progress, Saved, Stopped, TrainingEvaluator


def run_training_batch(parameters: BatchParameters, job: ResumableJob) -> dict[str, Any]:
    """Return the `BatchResult` of trials of kind `training`. Raises InvalidInput.

    Artifacts: trials.parquet, moments.npy, returns.npy.
    """
    job.progress(0, step="loading bars")
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    market = load_market(
        bound.strategy, parameters.symbols, parameters.start_date, parameters.end_date, job.inputs
    )
    evaluator = TrainingEvaluator(bound, market, parameters.seed, parameters.rung, choose_device("auto"))
    results = BatchResults(
        parameters.trials,
        parameters.seed,
        bound.study.objective.maximize,
        len(market.days),
        MAX_KEPT_TRAININGS,
    )
    progress = None
    if job.resume is not None:
        results.restore(job.resume.files)
        progress = Progress.from_files(job.resume.files)
        job.log(f"resumed after {len(results.rows):,} trials")
    cancelled = _evaluate_pending(evaluator, results, progress, job)
    for name, content in results.artifacts().items():
        job.artifact(name, content)
    job.progress(100, step="done", completed=len(results.rows), total=len(parameters.trials))
    return results.result(cancelled=cancelled).model_dump(mode="json")


def _evaluate_pending(
    evaluator: TrainingEvaluator, results: BatchResults, resumed: Progress | None, job: ResumableJob
) -> bool:
    """Evaluate the trials that have no result yet; return whether the job was cancelled before all had one."""
    checkpoints = _Checkpoints(results, job)
    for trial in results.pending():
        progress = Progress(trial.number)
        if resumed is not None and resumed.number == trial.number:
            progress = resumed
        try:
            results.add(evaluator.evaluate(trial, progress, checkpoints.after_epoch))
        except Stopped:
            return True
        done, total = len(results.rows), len(results.trials)
        job.progress(100 * done / total, "trainings", completed=done, total=total)
    return False


class _Checkpoints:
    """Saves the results so far with the running trial and its training."""

    def __init__(self, results: BatchResults, job: ResumableJob) -> None:
        self._results, self._job, self._last = results, job, time.monotonic()

    def after_epoch(self, progress: Progress, pack: Callable[[], Saved]) -> bool:
        """Save every ten seconds and when the job is cancelled; return whether to go on."""
        cancelled = self._job.cancelled
        if cancelled or time.monotonic() - self._last > CHECKPOINT_EVERY_S:
            # The names of the two checkpoints differ.
            files = self._results.checkpoint() | {**progress.as_files(), **pack()}
            self._job.checkpoint(len(self._results.rows), files)
            self._last = time.monotonic()
        return not cancelled
