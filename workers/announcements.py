"""The announcements of the product's workers, built once for all agents that are forked from this process."""

from workers.backtest import BacktestWorker
from workers.training import TrainingWorker


def prepare() -> None:
    """Build the messages with the JSON schemas of all operation types."""
    for worker_class in (BacktestWorker, TrainingWorker):
        for spec in worker_class.specs():
            spec.to_message()
