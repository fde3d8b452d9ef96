"""Train a network: plain torch, one loop, the data on the device, metrics once per epoch.

Batches are slices of a permuted tensor; a DataLoader is many times slower for networks of this size. On the CPU the
same data, config and seed give the same bits, whether or not the training was interrupted and resumed.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker_agent.protocol import InvalidInput
from workers.learning.batches import Batches, Part, Rows, outputs
from workers.learning.learning_rate import LearningRateSchedule
from workers.learning.losses import CLASSES, Loss, make_loss
from workers.learning.networks import build_network
from workers.learning.optimizers import Optimizer, clear_gradients, make_optimizer
from workers.learning.tsk import TSK
from workers.strategy.sections.model import ModelSpec, TSKModel, sequence_length
from workers.strategy.sections.training import Training


class Diverged(InvalidInput):
    """The loss is NaN or infinite in the first epoch; try a lower learning_rate or scaled inputs."""


class NoSuchDevice(InvalidInput):
    """The worker does not have the requested device."""


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
    """`epochs`, `early_stopping`, `diverged` or `cancelled`."""
    initial_weights: dict[str, Tensor]
    """The weights before the first step."""


def choose_device(name: str) -> torch.device:
    """Return the device; `auto` is CUDA, else MPS, else the CPU. Raises NoSuchDevice."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise NoSuchDevice(f"This worker does not have the device {name}; set `device` to auto.") from error
    return torch.device(name)


def make_deterministic(seed: int, device: torch.device) -> torch.Generator:
    """Seed torch and forbid algorithms whose result depends on the order of threads; a GPU without others only warns."""
    # cuBLAS reads it at its first use.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    # Like `use_deterministic_algorithms`, which also imports the compiler of torch to configure it.
    torch.set_deterministic_debug_mode("error" if device.type == "cpu" else "warn")
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


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


def train(
    spec: ModelSpec,
    config: Training,
    x: NDArray[np.float32],  # [rows, inputs]
    parts: dict[str, Rows],
    *,
    seed: int,
    device: torch.device,
    label_scale: float = 1.0,
    restore: Callable[[State], None] = lambda state: None,
    on_epoch: Callable[[State, Epoch], bool] = lambda state, epoch: True,
) -> TrainedNetwork:
    """Train on `parts["train"]` and choose the epoch by the loss on `parts["validation"]`. Raises Diverged.

    `restore` may put back an earlier state; `on_epoch` is called after each epoch and ends the training by returning
    False.
    """
    generator = make_deterministic(seed, device)
    classification = parts["train"].y.dtype.kind == "i"
    network = build_network(spec, x.shape[1], CLASSES if classification else 1)
    if isinstance(network, TSK) and isinstance(spec, TSKModel):
        cluster = spec.architecture.initialization == "kmeans"
        network.place_centres(torch.from_numpy(x[parts["train"].row]), generator, cluster=cluster)
    initial_weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    network.to(device)
    setup = LoopSetup(
        config,
        Batches(torch.from_numpy(x).to(device), sequence_length(spec)),
        Part.of(parts["train"], device),
        Part.of(parts["validation"], device),
        make_loss(config, parts["train"].y, label_scale).to(device),
        1.0 if classification else label_scale,
    )
    state = State(1, network, make_optimizer(config, network), LearningRateSchedule.of(config), generator)
    restore(state)
    started, first = time.monotonic(), state.epoch
    stopped = _run_epochs(state, setup, on_epoch)
    seconds = time.monotonic() - started
    samples = (state.epoch - first) * len(setup.train_part.row)
    network.load_state_dict(state.best_weights)
    network.eval()
    speed = samples / seconds if seconds > 0 else 0.0
    return TrainedNetwork(
        network, state.best_epoch, len(state.history), state.history, seconds, speed, stopped, initial_weights
    )


def _run_epochs(state: State, setup: LoopSetup, on_epoch: Callable[[State, Epoch], bool]) -> str:
    """Train until a reason to stop and return that reason. Raises Diverged."""
    config = setup.config
    while state.epoch <= config.epochs:
        if _patience_is_over(state, config):
            return "early_stopping"
        rate = state.schedule.rate(state.epoch)
        state.optimizer.learning_rate = rate
        train_loss, train_score = _train_epoch(state, setup)
        validation_loss, validation_score = evaluate(
            state.network, setup.data, setup.validation_part, setup.loss
        )
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            if state.best_epoch == 0:
                raise Diverged
            return "diverged"
        epoch = Epoch(
            state.epoch,
            rate,
            train_loss,
            validation_loss,
            train_score * setup.score_scale,
            validation_score * setup.score_scale,
            validation_loss < state.best_loss,
        )
        _record_epoch(state, config, epoch)
        if not on_epoch(state, epoch):
            return "cancelled"
    return "epochs"


def _train_epoch(state: State, setup: LoopSetup) -> tuple[float, float]:
    """Return (loss, score) over the epoch's batches, while the weights change."""
    config, data = setup.config, setup.data
    state.network.train()
    part = setup.train_part.shuffle(state.generator)
    n, size = len(part.row), config.batch_size
    # Single rows are gathered once; all windows together would be `length` times the data.
    inputs = data.take(part.row) if data.length == 1 else None  # [n, inputs]
    weights = state.optimizer.parameters
    batch_outputs: list[Tensor] = []
    losses: list[Tensor] = []
    for first in range(0, n, size):
        chosen = slice(first, first + size)
        x = data.take(part.row[chosen]) if inputs is None else inputs[chosen]
        out = state.network(x)  # [batch, outputs]
        weight = None if part.weight is None else part.weight[chosen]
        value = setup.loss(out, part.y[chosen], weight)
        clear_gradients(weights)
        value.backward()
        if config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(weights, config.gradient_clip)
        state.optimizer.step()
        batch_outputs.append(out.detach())
        losses.append(value.detach())
    rows_of_batch = torch.full((len(losses),), float(size), device=part.row.device)
    rows_of_batch[-1] = n - (len(losses) - 1) * size
    mean = (torch.stack(losses) * rows_of_batch).sum() / n
    return float(mean), score(torch.cat(batch_outputs), part.y)


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
    """Return whether to stop early. Checked before an epoch, so that a training resumed at that point does not continue."""
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
