"""A worker that evaluates trials as the product does, and marks each one before and after it.

Its marks are those of `marking_worker`: `trial OPERATION ATTEMPT PID NUMBER` and `evaluated ...`. A trial takes a while, so that
a test can kill something meanwhile. The numbers in the file `deadly` beside the marks end their job by a lack of memory.
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


def deadly() -> set[int]:
    path = Path(os.environ["KTRDR_MARKS"]).parent / "deadly"
    return set(map(int, path.read_text().split())) if path.exists() else set()


class MarkingStudyWorker(BacktestWorker):
    operations = tuple(
        replace(spec, run=marked_batch) if spec.operation_type == "study_batch" else spec
        for spec in BacktestWorker.operations
    )
    preload = ("workers.studies.report", "workers.market_data.importing")
    warm_up = ""


if __name__ == "__main__":
    MarkingStudyWorker.main()
