"""A worker whose job says when it begins and then keeps every core busy, for `agent_health`."""

import os
import time
from typing import Any

from pydantic import BaseModel, Field

from worker_agent.base import Job, WorkerAPIBase
from workers.backtest import BacktestWorker


class Parameters(BaseModel):
    processes: int = Field(default=0, ge=0, le=256)
    """That burn, besides the job's own."""


class BurningWorker(WorkerAPIBase):
    worker_type = "burning"
    operation_type = "burning"
    start_path = "/burn/start"
    Parameters = Parameters
    preload = BacktestWorker.preload

    def run(self, parameters: Parameters, job: Job) -> dict[str, Any]:
        begun = time.time()
        for _ in range(parameters.processes):
            if os.fork() == 0:
                while True:
                    sum(range(1000))
        while parameters.processes and not job.cancelled:
            sum(range(1000))
        return {"begun": begun}


if __name__ == "__main__":
    BurningWorker.main()
