"""A training as it runs, epoch by epoch: its state, what stays the same, and what follows from each epoch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from worker_agent.protocol import InvalidInput
from workers.learning.batches import Batches, Part, outputs
from workers.learning.learning_rate import LearningRateSchedule
from workers.learning.losses import Loss
from workers.learning.optimizers import Optimizer
from workers.strategy.sections.training import Training

PAUSED = "paused"


class Diverged(InvalidInput):
    """The loss is NaN or infinite in the first epoch; try a lower learning_rate or scaled inputs."""


@dataclass(frozen=True, slots=True)
class Epoch:
    epoch: int
    learning_rate: float
    train_loss: float
    """Mean over the epoch's batches, while the weights changed."""
    validation_loss: float
    train_score: float
    """Accuracy, or the mean absolute error in the label's units; measured at the same time as the loss."""
    validation_score: float
    best: bool


@dataclass(slots=True)
class State:
    """Everything that a resumed training needs to continue as if it had not been interrupted."""

    epoch: int
    """The next epoch, from 1."""
    network: nn.Module
    optimizer: Optimizer
    schedule: LearningRateSchedule
    generator: torch.Generator
    """Of the order of the rows."""
    noise: torch.Generator | None = None
    """Of the dropout of a network in a stack; the others use that of torch."""
    best_epoch: int = 0
    best_loss: float = math.inf
    stopping_loss: float = math.inf
    """The loss has to fall below this by `min_delta` to restart patience."""
    waited: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TrainedNetwork:
    network: nn.Module
    """With the best epoch's weights, in evaluation mode."""
    best_epoch: int
    epochs: int
    history: list[Epoch]
    seconds: float
    samples_per_second: float
    stopped: str
    """`epochs`, `early_stopping`, `diverged`, `cancelled` or `paused`."""
    initial_weights: dict[str, Tensor]
    """The weights before the first step."""


@dataclass(frozen=True, slots=True)
class LoopSetup:
    """Values that stay the same during a training."""

    config: Training
    data: Batches
    train_part: Part
    validation_part: Part
    loss: Loss
    score_scale: float
    """Factor that converts a score to the label's units."""


@dataclass(slots=True)
class Loop:
    """A training that runs epoch by epoch."""

    state: State
    setup: LoopSetup
    on_epoch: Callable[[State, Epoch], bool]
    initial_weights: dict[str, Tensor]
    first: int
    """The epoch with which it starts, later than 1 if resumed."""
    pause_after: int | None = None
    """The epoch after which it stops with `paused`, unless that is the last one."""

    def start_epoch(self) -> str:
        """Set the epoch's learning rate; return a reason to stop before it, or nothing.

        Patience is checked here, so that a training resumed at that point does not continue.
        """
        state, config = self.state, self.setup.config
        if state.epoch > config.epochs:
            return "epochs"
        if self.pause_after is not None and state.epoch > self.pause_after:
            return PAUSED
        if _patience_is_over(state, config):
            return "early_stopping"
        state.optimizer.learning_rate = state.schedule.rate(state.epoch)
        return ""

    def finish_epoch(self, train_loss: float, train_score: float) -> str:
        """Evaluate and record the epoch; return a reason to stop after it, or nothing. Raises Diverged."""
        state, setup = self.state, self.setup
        validation_loss, validation_score = evaluate(
            state.network, setup.data, setup.validation_part, setup.loss
        )
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            if state.best_epoch == 0:
                raise Diverged
            return "diverged"
        epoch = Epoch(
            state.epoch,
            state.optimizer.learning_rate,
            train_loss,
            validation_loss,
            train_score * setup.score_scale,
            validation_score * setup.score_scale,
            validation_loss < state.best_loss,
        )
        _record_epoch(state, setup.config, epoch)
        return ""

    def report_epoch(self) -> str:
        """Call `on_epoch` with the last epoch; return a reason to stop after it, or nothing."""
        return "" if self.on_epoch(self.state, self.state.history[-1]) else "cancelled"

    def result(self, stopped: str, seconds: float) -> TrainedNetwork:
        state = self.state
        samples = (state.epoch - self.first) * len(self.setup.train_part.row)
        state.network.load_state_dict(state.best_weights)
        state.network.eval()
        speed = samples / seconds if seconds > 0 else 0.0
        return TrainedNetwork(
            state.network,
            state.best_epoch,
            len(state.history),
            state.history,
            seconds,
            speed,
            stopped,
            self.initial_weights,
        )


def mean_loss(losses: Tensor, rows: int, size: int) -> float:
    """Return the mean over the rows of an epoch. `losses`: of its batches; `size`: rows of a batch, but of the last."""
    rows_of_batch = torch.full((len(losses),), float(size), device=losses.device)
    rows_of_batch[-1] = rows - (len(losses) - 1) * size
    return float((losses * rows_of_batch).sum() / rows)


def _record_epoch(state: State, config: Training, epoch: Epoch) -> None:
    """Update the state with the finished epoch."""
    state.history.append(epoch)
    if epoch.best:
        state.best_epoch, state.best_loss = epoch.epoch, epoch.validation_loss
        state.best_weights = {
            name: tensor.detach().clone() for name, tensor in state.network.state_dict().items()
        }
    min_delta = config.early_stopping.min_delta if config.early_stopping else 0.0
    if epoch.validation_loss < state.stopping_loss - min_delta:
        state.stopping_loss, state.waited = epoch.validation_loss, 0
    else:
        state.waited += 1
    state.schedule.record_loss(epoch.validation_loss)
    state.epoch += 1


def _patience_is_over(state: State, config: Training) -> bool:
    """Return whether to stop early."""
    stopping = config.early_stopping
    return stopping is not None and stopping.enabled and state.waited >= stopping.patience


def evaluate(network: nn.Module, data: Batches, part: Part, loss: Loss) -> tuple[float, float]:
    """Return (loss, score)."""
    out = outputs(network, data, part.row)
    return float(loss(out, part.y, part.weight)), score(out, part.y)


def score(out: Tensor, y: Tensor) -> float:
    """Return the accuracy, or the mean absolute error in standard deviations of the label."""
    if out.shape[1] > 1:
        return float((out.argmax(1) == y).float().mean())
    return float((out.squeeze(1) - y).abs().mean())
