"""A training without epochs and a backtest, run to load and compile what they need. Needs torch."""

import torch

from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.learning.batches import Batches, outputs
from workers.learning.networks import build_network
from workers.learning.optimizers import make_optimizer
from workers.learning.prepared_data import PreparedData
from workers.learning.training_loop import Epoch, TrainedNetwork
from workers.learning.training_parameters import TrainingParameters
from workers.learning.training_pipeline import Job, run_training
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.sections.model import sequence_length

CLASSES = 3
SEED = 1


def train(strategy_yaml: str, job: Job) -> None:
    """Run a training whose network stays as it was initialised."""
    run_training(TrainingParameters(strategy_yaml=strategy_yaml, device="cpu"), job, learn=_leave_untrained)


def backtest(symbol: str, timeframe: str, job: Job) -> None:
    run_backtest(BacktestParameters(symbol=symbol, timeframe=timeframe), job)


def _leave_untrained(
    strategy: TrainedStrategy,
    parameters: TrainingParameters,
    data: PreparedData,
    device: torch.device,
    job: Job,
) -> TrainedNetwork:
    """Return a new network after one forward pass."""
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(SEED)
        network = build_network(strategy.model, data.x.shape[1], CLASSES)
    weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    make_optimizer(strategy.training, network)
    network.eval()
    rows = torch.from_numpy(data.parts["train"].row)
    outputs(network, Batches(torch.from_numpy(data.x), sequence_length(strategy.model)), rows)
    epoch = Epoch(1, 0.001, 1.0, 1.0, 0.5, 0.5, best=True)
    return TrainedNetwork(network, 1, 1, [epoch], 1.0, 1.0, "epochs", weights)
