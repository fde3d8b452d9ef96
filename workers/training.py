"""The worker that trains models."""

import shutil
import sys
from typing import Any

from worker_agent.base import Job, OperationSpec, WorkerAPIBase
from workers.learning.training_parameters import TrainingParameters
from workers.studies.messages import BatchParameters, FinalistParameters

HAS_GPU = shutil.which("nvidia-smi") is not None or sys.platform == "darwin"


def train(worker: "TrainingWorker", parameters: TrainingParameters, job: Job) -> dict[str, Any]:
    from workers.learning.training_pipeline import run_training

    return run_training(parameters, job)


def study_training_batch(worker: "TrainingWorker", parameters: BatchParameters, job: Job) -> dict[str, Any]:
    from workers.studies.training_batch import run_training_batch

    return run_training_batch(parameters, job)


def study_finalist(worker: "TrainingWorker", parameters: FinalistParameters, job: Job) -> dict[str, Any]:
    from workers.studies.finalist import run_finalist

    return run_finalist(parameters, job)


class TrainingWorker(WorkerAPIBase):
    """Trains the models of strategies and studies, on the GPU if there is one."""

    worker_type = "training"
    operations = (
        OperationSpec("training", "/training/start", TrainingParameters, train),
        OperationSpec(
            "study_training_batch", "/study-training-batches/start", BatchParameters, study_training_batch
        ),
        OperationSpec("study_finalist", "/study-finalists/start", FinalistParameters, study_finalist),
    )
    default_port = 5002 if HAS_GPU else 5004
    preload = (
        "torch",
        "workers.learning.training_pipeline",
        "workers.studies.training_batch",
        "workers.studies.finalist",
    )
    warm_up = "workers.warming:warm_up"
