"""Start a worker: `python -m workers backtest|training [flags]`. Without the argument, WORKER_TYPE selects it."""

import os
import sys

from worker_agent.base import WorkerAPIBase
from worker_agent.program import harden_process

WORKER_TYPES = {"backtest": "backtesting", "backtesting": "backtesting", "training": "training"}


def main(arguments: list[str]) -> None:
    harden_process()
    if arguments and not arguments[0].startswith("-"):
        requested, arguments = arguments[0], arguments[1:]
    else:
        requested = os.environ.get("WORKER_TYPE", "")
    worker_type = WORKER_TYPES.get(requested)
    if worker_type is None:
        problem = f"unknown worker type {requested!r}" if requested else "no worker type"
        raise SystemExit(f"{problem}: run python -m workers backtest|training, or set WORKER_TYPE")
    worker_class(worker_type).main(arguments)


def worker_class(worker_type: str) -> type[WorkerAPIBase]:
    """Import the worker only when it is selected, so that a backtest worker does not load training code."""
    if worker_type == "training":
        from workers.training import TrainingWorker

        return TrainingWorker
    from workers.backtest import BacktestWorker

    return BacktestWorker


if __name__ == "__main__":
    main(sys.argv[1:])
