"""Trains a network: plain torch, one loop, the data on the device, metrics once an epoch.

Batches are slices of a permuted tensor; a DataLoader is many times slower on networks of this size. On the CPU the
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
from workers.learning.losses import CLASSES, Loss, make_loss
from workers.learning.networks import ModelSpec, build_network, sequence_length
from workers.learning.optimizers import clear, make_optimizer
from workers.learning.schedule import Schedule
from workers.learning.tsk import TSK
from workers.strategy.sections.model import TSKModel
from workers.strategy.sections.training import Training


class Diverged(InvalidInput):
    """The loss is not a number in the first epoch; a lower learning_rate or scaled inputs may help."""


class NoSuchDevice(InvalidInput):
    """The device asked for is not there."""


@dataclass(frozen=True, slots=True)
class Epoch:
    epoch: int
    learning_rate: float
    train_loss: float
    """Mean over the epoch's batches, while the weights changed."""
    validation_loss: float
    train_score: float
    """Accuracy, or the mean absolute error in the label's units; of the same moment as the loss."""
    validation_score: float
    best: bool


@dataclass(slots=True)
class State:
    """All that a resumed training needs to go on as if it had not been interrupted."""

    epoch: int
    """The next one, from 1."""
    network: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    generator: torch.Generator
    best_epoch: int = 0
    best_loss: float = math.inf
    stopping_loss: float = math.inf
    """What the loss has to fall below, by min_delta, for patience to begin anew."""
    waited: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[Epoch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trained:
    network: nn.Module
    """With the best epoch's weights, in evaluation mode."""
    best_epoch: int
    epochs: int
    history: list[Epoch]
    seconds: float
    samples_per_second: float
    stopped: str
    """`epochs`, `early_stopping`, `diverged` or `cancelled`."""
    before: dict[str, Tensor]
    """The weights before the first step."""


def choose_device(wish: str) -> torch.device:
    """`auto`: CUDA, else MPS, else the CPU. Raises NoSuchDevice."""
    if wish == "auto":
        wish = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=wish)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise NoSuchDevice(f"This worker has no device {wish}.") from error
    return torch.device(wish)


def make_deterministic(seed: int, device: torch.device) -> torch.Generator:
    """Seeds torch; refuses algorithms whose result depends on the order of threads. A GPU that has no other warns."""
    # cuBLAS reads it when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=device.type != "cpu")
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


@dataclass(frozen=True, slots=True)
class Lesson:
    """What does not change during a training."""

    config: Training
    data: Batches
    learned: Part
    held_out: Part
    loss: Loss
    unit: float
    """What a score is multiplied by to be told to people."""


def train(
    spec: ModelSpec,
    config: Training,
    x: NDArray[np.float32],  # [rows, inputs]
    parts: dict[str, Rows],
    *,
    seed: int,
    device: torch.device,
    label_scale: float = 1.0,
    begin: Callable[[State], None] = lambda state: None,
    on_epoch: Callable[[State, Epoch], bool] = lambda state, epoch: True,
) -> Trained:
    """Trains on `parts["train"]`, chooses the epoch by the loss on `parts["validation"]`.

    `begin` may put an earlier state back; `on_epoch` is called after each epoch and ends the training by
    returning False. Raises Diverged.
    """
    generator = make_deterministic(seed, device)
    classification = parts["train"].y.dtype.kind == "i"
    network = build_network(spec, x.shape[1], CLASSES if classification else 1)
    if isinstance(network, TSK) and isinstance(spec, TSKModel):
        cluster = spec.architecture.initialization == "kmeans"
        network.place_centres(torch.from_numpy(x[parts["train"].row]), generator, cluster=cluster)
    before = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
    network.to(device)
    lesson = Lesson(
        config,
        Batches(torch.from_numpy(x).to(device), sequence_length(spec)),
        Part.of(parts["train"], device),
        Part.of(parts["validation"], device),
        make_loss(config, parts["train"].y, label_scale).to(device),
        1.0 if classification else label_scale,
    )
    state = State(1, network, make_optimizer(config, network), Schedule.of(config), generator)
    begin(state)
    begun, first = time.monotonic(), state.epoch
    stopped = _epochs(state, lesson, on_epoch)
    seconds = time.monotonic() - begun
    samples = (state.epoch - first) * len(lesson.learned.row)
    network.load_state_dict(state.best_weights)
    network.eval()
    speed = samples / seconds if seconds > 0 else 0.0
    return Trained(
        network, state.best_epoch, len(state.history), state.history, seconds, speed, stopped, before
    )


def _epochs(state: State, lesson: Lesson, on_epoch: Callable[[State, Epoch], bool]) -> str:
    """Epoch after epoch; why it stopped. Raises Diverged."""
    config = lesson.config
    while state.epoch <= config.epochs:
        if _patience_is_over(state, config):
            return "early_stopping"
        rate = state.schedule.rate(state.epoch)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        train_loss, train_score = _one_epoch(state, lesson)
        validation_loss, validation_score = evaluate(state.network, lesson.data, lesson.held_out, lesson.loss)
        if not (math.isfinite(train_loss) and math.isfinite(validation_loss)):
            if state.best_epoch == 0:
                raise Diverged
            return "diverged"
        epoch = Epoch(
            state.epoch,
            rate,
            train_loss,
            validation_loss,
            train_score * lesson.unit,
            validation_score * lesson.unit,
            validation_loss < state.best_loss,
        )
        _remember(state, config, epoch)
        if not on_epoch(state, epoch):
            return "cancelled"
    return "epochs"


def _one_epoch(state: State, lesson: Lesson) -> tuple[float, float]:
    """(loss, score) over the epoch's batches, while the weights change."""
    config, data = lesson.config, lesson.data
    state.network.train()
    part = lesson.learned.shuffled(state.generator)
    n, size = len(part.row), config.batch_size
    # Rows without a past are gathered once; windows would be `length` times the data.
    inputs = data.take(part.row) if data.length == 1 else None  # [n, inputs]
    weights = state.optimizer.param_groups[0]["params"]
    said: list[Tensor] = []
    losses: list[Tensor] = []
    for first in range(0, n, size):
        chosen = slice(first, first + size)
        x = data.take(part.row[chosen]) if inputs is None else inputs[chosen]
        out = state.network(x)  # [batch, outputs]
        weight = None if part.weight is None else part.weight[chosen]
        value = lesson.loss(out, part.y[chosen], weight)
        clear(weights)
        value.backward()
        if config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(weights, config.gradient_clip)
        state.optimizer.step()
        said.append(out.detach())
        losses.append(value.detach())
    rows_of_batch = torch.full((len(losses),), float(size), device=part.row.device)
    rows_of_batch[-1] = n - (len(losses) - 1) * size
    mean = (torch.stack(losses) * rows_of_batch).sum() / n
    return float(mean), score(torch.cat(said), part.y)


def _remember(state: State, config: Training, epoch: Epoch) -> None:
    """Takes the epoch into the state; the next one begins where this ended."""
    state.history.append(epoch)
    if epoch.best:
        state.best_epoch, state.best_loss = epoch.epoch, epoch.validation_loss
        state.best_weights = {
            name: tensor.detach().clone() for name, tensor in state.network.state_dict().items()
        }
    least = config.early_stopping.min_delta if config.early_stopping else 0.0
    if epoch.validation_loss < state.stopping_loss - least:
        state.stopping_loss, state.waited = epoch.validation_loss, 0
    else:
        state.waited += 1
    state.schedule.seen(epoch.validation_loss)
    state.epoch += 1


def _patience_is_over(state: State, config: Training) -> bool:
    """Asked before an epoch, not after one: a training resumed just then must not train on."""
    stopping = config.early_stopping
    return stopping is not None and stopping.enabled and state.waited >= stopping.patience


def evaluate(network: nn.Module, data: Batches, part: Part, loss: Loss) -> tuple[float, float]:
    """(loss, score)."""
    out = outputs(network, data, part.row)
    return float(loss(out, part.y, part.weight)), score(out, part.y)


def score(out: Tensor, y: Tensor) -> float:
    """Accuracy, or the mean absolute error in standard deviations of the label."""
    if out.shape[1] > 1:
        return float((out.argmax(1) == y).float().mean())
    return float((out.squeeze(1) - y).abs().mean())
