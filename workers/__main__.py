"""`python -m workers backtest|training [flags]`; without the first argument WORKER_TYPE decides."""

import os
import sys

from worker_agent.base import WorkerAPIBase

NAMES = {"backtest": "backtesting", "backtesting": "backtesting", "training": "training"}


def main(arguments: list[str]) -> None:
    if arguments and not arguments[0].startswith("-"):
        wish, arguments = arguments[0], arguments[1:]
    else:
        wish = os.environ.get("WORKER_TYPE", "")
    kind = NAMES.get(wish)
    if kind is None:
        said = f"{wish!r} is neither" if wish else "say which:"
        raise SystemExit(f"{said} backtest or training (python -m workers backtest|training, or WORKER_TYPE)")
    worker(kind).main(arguments)


def worker(kind: str) -> type[WorkerAPIBase]:
    """Imported only when chosen: a worker that backtests loads no training code."""
    if kind == "training":
        from workers.training import TrainingWorker

        return TrainingWorker
    from workers.backtest import BacktestWorker

    return BacktestWorker


if __name__ == "__main__":
    main(sys.argv[1:])
