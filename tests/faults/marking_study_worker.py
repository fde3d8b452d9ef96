"""A worker that evaluates trials as the product does, and marks each one before and after it.

Its marks are those of `marking_worker`: `trial OPERATION ATTEMPT PID NUMBER` and `evaluated ...`. A trial takes a while, so that
a test can kill something meanwhile. The numbers in the file `deadly` beside the marks end their job by a lack of memory.
While there is a file `stuck`, a batch of trainings that was not resumed waits after its first epoch, which it has saved.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.faults.marking_worker import Hold, mark
from worker_agent.base import Job
from workers.backtest import BacktestWorker
from workers.studies import run, threads
from workers.studies.evaluation import Evaluator, Outcome
from workers.studies.messages import BatchParameters, Trial
from workers.training import TrainingWorker

TRIAL_S = 0.15
CHECKPOINT_EVERY_S = 0.2
MORE_THAN_ANY_MACHINE_HAS = 1 << 46


def marked_batch(worker: "MarkingStudyWorker", parameters: BatchParameters, job: Job) -> dict[str, Any]:
    who = (job.operation_id, job.attempt, os.getpid())
    holds = [Hold(f"operation-{job.operation_id}", who), Hold(f"worker-{os.environ['WORKER_ID']}", who)]
    mark("start", *who, os.environ["WORKER_ID"])
    evaluate = Evaluator.evaluate

    def marked(self: Evaluator, trial: Trial) -> Outcome:
        for hold in holds:
            hold.look()
        mark("trial", *who, trial.number)
        if trial.number in deadly():
            bytearray(MORE_THAN_ANY_MACHINE_HAS)
        time.sleep(TRIAL_S)
        outcome = evaluate(self, trial)
        mark("evaluated", *who, trial.number)
        return outcome

    # This process belongs to the job only. One thread, and sleeping counts as work: the trials last longer, at no cost.
    run.time = SimpleNamespace(monotonic=time.monotonic, process_time=time.monotonic)  # type: ignore[assignment]
    threads.MAX_THREADS = 1
    Evaluator.evaluate = marked  # type: ignore[method-assign]
    run.CHECKPOINT_EVERY_S = CHECKPOINT_EVERY_S
    if job.resume is not None:
        mark("resumed", *who, job.resume.step)
    result = run.run_batch(parameters, job)
    mark("end", *who)
    return result


def marked_training_batch(
    worker: "MarkingStudyWorker", parameters: BatchParameters, job: Job
) -> dict[str, Any]:
    from workers.studies import training_batch

    who = (job.operation_id, job.attempt, os.getpid())
    holds = [Hold(f"operation-{job.operation_id}", who), Hold(f"worker-{os.environ['WORKER_ID']}", who)]
    mark("start", *who, os.environ["WORKER_ID"])
    after_epoch = training_batch._Batch._after_epoch

    def marked(self: Any, progress: Any) -> bool:
        for hold in holds:
            hold.look()
        mark("epoch", *who, progress.number)
        goes_on: bool = after_epoch(self, progress)
        while job.resume is None and beside_marks("stuck").exists():
            time.sleep(0.05)
        return goes_on

    training_batch._Batch._after_epoch = marked  # type: ignore[method-assign]
    training_batch.CHECKPOINT_EVERY_S = -1.0
    if job.resume is not None:
        mark("resumed", *who, job.resume.step)
    result = training_batch.run_training_batch(parameters, job)
    mark("end", *who)
    return result


def beside_marks(name: str) -> Path:
    return Path(os.environ["KTRDR_MARKS"]).parent / name


def deadly() -> set[int]:
    path = beside_marks("deadly")
    return set(map(int, path.read_text().split())) if path.exists() else set()


MARKED = {"study_batch": marked_batch, "study_training_batch": marked_training_batch}


class MarkingStudyWorker(BacktestWorker):
    """Runs every operation of a study."""

    operations = tuple(
        replace(spec, run=MARKED.get(spec.operation_type, spec.run))
        for spec in (*BacktestWorker.operations, *TrainingWorker.operations)
    )
    preload = ("workers.studies.report", "workers.studies.finalist", "workers.market_data.importing")
    warm_up = ""


if __name__ == "__main__":
    MarkingStudyWorker.main()
