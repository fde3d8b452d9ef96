"""Run a batch of trials: bars once, columns once, then trial by trial, with a checkpoint every ten seconds."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from worker_agent.protocol import InvalidInput
from workers.resumable_job import ResumableJob
from workers.strategy.errors import StrategyError
from workers.studies.batch_results import BatchResults
from workers.studies.binding import BoundStudy, bind
from workers.studies.directions import DirectionSource, ModelDirections, RuleDirections
from workers.studies.evaluation import Evaluator
from workers.studies.grammar import StudyError, parse_study
from workers.studies.judged_folds import build_judged_folds
from workers.studies.market import Market, load_market
from workers.studies.messages import DETAILS_FILE, BatchParameters, ReportParameters
from workers.studies.running_evidence import RunningEvidence
from workers.studies.threads import map_trials

CHECKPOINT_EVERY_S = 10.0
LOOK_EVERY_S = 0.05


def run_batch(parameters: BatchParameters, job: ResumableJob) -> dict[str, Any]:
    """Return the `BatchResult` of trials of kind `decisions` or `rules`. Raises InvalidInput.

    Artifacts: trials.parquet, moments.npy, returns.npy, evidence.npz, and details.zip if there are folds.
    """
    job.progress(0, step="loading bars")
    bound = bind_study(parameters.study_yaml, parameters.strategy_yaml)
    market = load_market(bound.strategy, parameters, job.inputs)
    evaluator = Evaluator(bound, market, direction_source(parameters, bound, market, job.inputs))
    days = len(market.days)
    evidence = RunningEvidence.of(days, parameters.seed, build_judged_folds(bound, market).all)
    results = BatchResults(
        parameters.trials, parameters.seed, bound.study.objective.maximize, days, evidence=evidence
    )
    if job.resume is not None:
        results.restore(job.resume.files)
        job.log(f"resumed after {len(results.rows):,} trials")
    cancelled = _evaluate_pending(evaluator, results, job)
    for name, content in results.artifacts().items():
        job.artifact(name, content)
    if evaluator.folds:
        job.artifact(DETAILS_FILE, results.folds())
    job.progress(100, step="done", completed=len(results.rows), total=len(parameters.trials))
    return results.result(cancelled=cancelled).model_dump(mode="json")


def bind_study(study_yaml: str, strategy_yaml: str) -> BoundStudy:
    """Parse the study with its strategy. Raises InvalidInput."""
    try:
        return bind(parse_study(study_yaml), strategy_yaml)
    except (StrategyError, StudyError) as error:
        raise InvalidInput(str(error)) from error


def direction_source(
    parameters: BatchParameters | ReportParameters,
    bound: BoundStudy,
    market: Market,
    files: Mapping[str, Path],
) -> DirectionSource:
    """Return the source of directions of the study's kind. Raises InvalidInput."""
    if bound.kind != parameters.kind:
        raise InvalidInput(f"This is a study of kind {bound.kind}, not {parameters.kind}.")
    if parameters.kind == "rules":
        return RuleDirections(bound.strategy, market)
    if parameters.kind == "decisions":
        return ModelDirections(parameters, parameters.strategy_yaml, market, files)
    raise InvalidInput(f"Trials of kind {parameters.kind} do not run on a backtesting worker.")


def _evaluate_pending(evaluator: Evaluator, results: BatchResults, job: ResumableJob) -> bool:
    """Evaluate the trials that have no result yet; return whether the job was cancelled before all had one."""
    total = len(results.trials)
    looked = saved = time.monotonic()
    cpu_s = time.process_time()
    for outcome in map_trials(evaluator.evaluate, results.pending(), evaluator.market.bars):
        results.add(outcome)
        now, done = time.monotonic(), len(results.rows)
        # Asking the agent takes longer than a short trial.
        if now - looked < LOOK_EVERY_S and done < total:
            continue
        looked = now
        job.progress(100 * done / total, "trials", completed=done, total=total)
        cancelled = job.cancelled
        if cancelled or now - saved > CHECKPOINT_EVERY_S or done == total:
            results.settle(time.process_time() - cpu_s)
            cpu_s = time.process_time()
        if cancelled or now - saved > CHECKPOINT_EVERY_S:
            job.checkpoint(done, results.checkpoint())
            saved = now
        if cancelled:
            return done < total
    return False
