"""A worker that evaluates trials as the product does, and marks each one before and after it.

Its marks are those of `marking_worker`: `trial OPERATION ATTEMPT PID NUMBER` and `evaluated ...`. A trial takes a while, so that
a test can kill something meanwhile. The numbers in the file `deadly` beside the marks end their job by a lack of memory.
While there is a file `stuck`, a batch of trainings that was not resumed waits after its first epoch, which it has saved.
The file `stacked` contains how many trainings run together, one without it; `stacked ... NUMBER` is an epoch of so many networks.
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
from workers.studies import run
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

    # This process belongs to the job only. Sleeping counts as work: the trials last longer, at no cost.
    run.time = SimpleNamespace(monotonic=time.monotonic, process_time=time.monotonic)  # type: ignore[assignment]
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
    from workers.learning import stacks, training_loop
    from workers.studies import stacked_trials, training_batch, training_trials

    who = (job.operation_id, job.attempt, os.getpid())
    holds = [Hold(f"operation-{job.operation_id}", who), Hold(f"worker-{os.environ['WORKER_ID']}", who)]
    mark("start", *who, os.environ["WORKER_ID"])
    after_epoch, start = training_batch._Batch._after_epoch, training_trials.TrainingEvaluator.start
    finish_epoch, train_epoch = training_loop.Loop.finish_epoch, stacks.Stack.train_epoch
    numbers: dict[int, int] = {}

    def number_loop(self: Any, training: Any, on_epoch: Any) -> Any:
        loop = start(self, training, on_epoch)
        numbers[id(loop)] = training.progress.number
        return loop

    def mark_epoch(self: Any, *figures: float) -> str:
        mark("epoch", *who, numbers[id(self)])
        return finish_epoch(self, *figures)

    def mark_stack(self: Any) -> list[tuple[float, float]]:
        mark("stacked", *who, len(self.loops))
        return train_epoch(self)

    def marked(self: Any, progress: Any) -> bool:
        for hold in holds:
            hold.look()
        goes_on: bool = after_epoch(self, progress)
        while job.resume is None and beside_marks("stuck").exists():
            time.sleep(0.05)
        return goes_on

    training_batch._Batch._after_epoch = marked  # type: ignore[method-assign]
    training_trials.TrainingEvaluator.start = number_loop  # type: ignore[method-assign]
    training_loop.Loop.finish_epoch = mark_epoch  # type: ignore[method-assign]
    stacks.Stack.train_epoch = mark_stack  # type: ignore[method-assign]
    os.environ[stacked_trials.VARIABLE] = text_beside_marks("stacked")
    training_batch.CHECKPOINT_EVERY_S = -1.0
    if job.resume is not None:
        mark("resumed", *who, job.resume.step)
    result = training_batch.run_training_batch(parameters, job)
    mark("end", *who)
    return result


def beside_marks(name: str) -> Path:
    return Path(os.environ["KTRDR_MARKS"]).parent / name


def text_beside_marks(name: str) -> str:
    path = beside_marks(name)
    return path.read_text() if path.exists() else ""


def deadly() -> set[int]:
    return set(map(int, text_beside_marks("deadly").split()))


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
