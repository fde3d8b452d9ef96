"""A simulation with checkpoints: the probability that a random walk loses a given share before its end.

It saves the state of the random numbers too, so an interrupted run and an uninterrupted one return the same numbers.
"""

import json
import math
import random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from worker_agent.base import Job, WorkerAPIBase

PATHS_PER_BATCH = 50


class SimulationParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    batches: int = Field(default=100, ge=1, le=100_000, description=f"Of {PATHS_PER_BATCH} paths each")
    days: int = Field(default=250, ge=1, le=5000)
    daily_volatility: float = Field(default=0.01, gt=0, le=0.2)
    loss: float = Field(default=0.1, gt=0, lt=1, description="Share of the start value")
    seed: int = 0
    checkpoint_every: int = Field(default=10, ge=1, description="Batches")


class SimulationWorker(WorkerAPIBase):
    """Simulates random walks."""

    worker_type = "simulation"
    operation_type = "simulation"
    start_path = "/simulation/start"
    Parameters = SimulationParameters
    max_attempts = 10  # a lost worker costs the batches since the last checkpoint
    default_port = 5013

    def run(self, parameters: SimulationParameters, job: Job) -> dict[str, Any]:
        numbers = random.Random(parameters.seed)  # noqa: S311  (a simulation)
        first, losing = 0, 0
        if job.resume is not None:
            state = json.loads(job.resume.files["state.json"])
            first, losing = job.resume.step, state["losing"]
            version, words, gauss = state["numbers"]
            numbers.setstate((version, tuple(words), gauss))
            job.log(f"Continuing after batch {first}")
        done = first
        for done in range(first + 1, parameters.batches + 1):
            losing += sum(loses(parameters, numbers) for _ in range(PATHS_PER_BATCH))
            job.metric("probability", step=done, value=losing / (done * PATHS_PER_BATCH))
            job.progress(100.0 * done / parameters.batches, "simulating", done, parameters.batches)
            if job.cancelled or done % parameters.checkpoint_every == 0:
                state = {"losing": losing, "numbers": numbers.getstate()}
                job.checkpoint(step=done, files={"state.json": json.dumps(state)})
            if job.cancelled:
                break
        paths = done * PATHS_PER_BATCH
        probability = losing / paths
        return {
            "probability": probability,
            "standard_error": math.sqrt(probability * (1 - probability) / paths),
            "paths": paths,
        }


def loses(parameters: SimulationParameters, numbers: random.Random) -> bool:
    """Simulate one path of daily log returns; return whether its value falls below the limit."""
    limit, value = math.log(1 - parameters.loss), 0.0
    for _ in range(parameters.days):
        value += numbers.gauss(0.0, parameters.daily_volatility)
        if value < limit:
            return True
    return False


if __name__ == "__main__":
    SimulationWorker.main()
