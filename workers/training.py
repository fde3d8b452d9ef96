"""The worker that trains models."""

import shutil
import sys
from typing import Any

from worker_agent.base import Job, WorkerAPIBase
from workers.learning.training_parameters import TrainingParameters

HAS_GPU = shutil.which("nvidia-smi") is not None or sys.platform == "darwin"


class TrainingWorker(WorkerAPIBase):
    """Trains the model of a strategy, on the GPU if there is one."""

    worker_type = "training"
    operation_type = "training"
    start_path = "/training/start"
    Parameters = TrainingParameters
    default_port = 5002 if HAS_GPU else 5004
    preload = ("torch", "torch._dynamo", "workers.learning.training_pipeline")
    warm_up = "workers.warming:warm_up"

    def run(self, parameters: TrainingParameters, job: Job) -> dict[str, Any]:
        from workers.learning.training_pipeline import run_training

        return run_training(parameters, job)
