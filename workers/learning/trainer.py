"""Trains a network: plain torch, one loop, the data on the device, metrics once an epoch.

Rows are sliced from a permuted tensor; a DataLoader is many times slower on networks of this size. On the CPU the
same data, config and seed give the same bits, whether or not the training was interrupted and resumed.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker_agent.protocol import InvalidInput
from workers.learning.networks import TSK, Loss, ModelSpec, build_network, loss_function, sequence_length
from workers.learning.schedule import Schedule
from workers.strategy.sections.model import TSKModel
from workers.strategy.sections.training import Training

EVALUATION_BATCH = 65_536
CLASSES = 3


class Diverged(InvalidInput):
    """The loss is not a number in the first epoch; a lower learning_rate or scaled inputs may help."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One part of the split. `x` is shared by all parts; `row` says which of its rows are this part's."""

    row: NDArray[np.int64]
    """int64[n], positions in the matrix of inputs. A sequence ends at its row and holds those before it."""
    y: NDArray[np.float32] | NDArray[np.int64]
    """int64[n] classes 0, 1, 2 (short, flat, long), or float32[n] standardised values."""
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Epoch:
    epoch: int
    learning_rate: float
    train_loss: float
    validation_loss: float
    train_score: float
    """Accuracy, or the mean absolute error in the label's units."""
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
    """What the loss has to fall below for patience to begin anew: the best one, less min_delta."""
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
    """`auto`: CUDA, else MPS, else the CPU."""
    if wish != "auto":
        return torch.device(wish)
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def make_deterministic(seed: int) -> torch.Generator:
    """Seeds torch; refuses algorithms whose result depends on the order of threads where there is another."""
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


class Batches:
    """Inputs of rows, from one matrix on the device: [n, inputs], or [n, length, inputs] for sequences."""

    def __init__(self, x: Tensor, length: int) -> None:
        self.x = x
        self.offsets = torch.arange(1 - length, 1, device=x.device) if length > 1 else None

    def take(self, row: Tensor) -> Tensor:
        if self.offsets is None:
            return self.x[row]
        return self.x[row.unsqueeze(1) + self.offsets]


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
    generator = make_deterministic(seed)
    classification = parts["train"].y.dtype.kind == "i"
    network = build_network(spec, x.shape[1], CLASSES if classification else 1)
    data = Batches(torch.from_numpy(x).to(device), sequence_length(spec))
    row, y, weight = _tensors(parts["train"], device)
    if isinstance(network, TSK) and isinstance(spec, TSKModel):
        cluster = spec.architecture.initialization == "kmeans"
        network.place_centres(torch.from_numpy(x[parts["train"].row]), generator, cluster=cluster)
    network.to(device)
    before = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    loss = make_loss(config, parts["train"], classification, label_scale).to(device)
    state = State(1, network, make_optimizer(config, network), Schedule.of(config), generator)
    begin(state)

    begun, samples, stopped = time.monotonic(), 0, "epochs"
    while state.epoch <= config.epochs:
        rate = state.schedule.rate(state.epoch)
        for group in state.optimizer.param_groups:
            group["lr"] = rate
        train_loss = _one_epoch(state, config, data, row, y, weight, loss)
        samples += len(row)
        epoch = _evaluate_epoch(state, rate, train_loss, data, parts, loss, device, label_scale)
        if not math.isfinite(epoch.train_loss) or not math.isfinite(epoch.validation_loss):
            if state.best_epoch == 0:
                raise Diverged
            stopped = "diverged"
            break
        _remember(state, config, epoch)
        state.schedule.seen(epoch.validation_loss)
        state.epoch += 1
        if not on_epoch(state, epoch):
            stopped = "cancelled"
            break
        if (
            config.early_stopping
            and config.early_stopping.enabled
            and state.waited >= config.early_stopping.patience
        ):
            stopped = "early_stopping"
            break
    seconds = time.monotonic() - begun
    network.load_state_dict(state.best_weights)
    network.eval()
    speed = samples / seconds if seconds > 0 else 0.0
    return Trained(
        network, state.best_epoch, len(state.history), state.history, seconds, speed, stopped, before
    )


def _tensors(part: Rows, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.from_numpy(part.row).to(device),
        torch.from_numpy(part.y).to(device),
        torch.from_numpy(part.weight).to(device),
    )


def _one_epoch(
    state: State, config: Training, data: Batches, row: Tensor, y: Tensor, weight: Tensor, loss: Loss
) -> float:
    """Mean loss over the epoch's batches, as the weights changed."""
    state.network.train()
    order = torch.randperm(len(row), generator=state.generator).to(row.device)
    row, y, weight = row[order], y[order], weight[order]
    total = torch.zeros((), device=row.device)
    for first in range(0, len(row), config.batch_size):
        chosen = slice(first, first + config.batch_size)
        value = loss(state.network(data.take(row[chosen])), y[chosen], weight[chosen])
        state.optimizer.zero_grad(set_to_none=True)
        value.backward()
        if config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(state.network.parameters(), config.gradient_clip)
        state.optimizer.step()
        total += value.detach() * len(row[chosen])
    return float(total) / len(row)


def _evaluate_epoch(
    state: State,
    rate: float,
    train_loss: float,
    data: Batches,
    parts: dict[str, Rows],
    loss: Loss,
    device: torch.device,
    label_scale: float,
) -> Epoch:
    _, train_score = evaluate(state.network, data, parts["train"], loss, device, label_scale)
    validation_loss, validation_score = evaluate(
        state.network, data, parts["validation"], loss, device, label_scale
    )
    best = validation_loss < state.best_loss
    return Epoch(state.epoch, rate, train_loss, validation_loss, train_score, validation_score, best)


def _remember(state: State, config: Training, epoch: Epoch) -> None:
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


@torch.no_grad()
def outputs(network: nn.Module, data: Batches, row: Tensor) -> Tensor:
    """float32[n, outputs] logits, in evaluation mode."""
    network.eval()
    batches = [
        network(data.take(row[i : i + EVALUATION_BATCH])) for i in range(0, len(row), EVALUATION_BATCH)
    ]
    return torch.cat(batches) if batches else torch.zeros(0, 1, device=row.device)


def evaluate(
    network: nn.Module, data: Batches, part: Rows, loss: Loss, device: torch.device, label_scale: float
) -> tuple[float, float]:
    """(loss, accuracy or mean absolute error in the label's units)."""
    row, y, weight = _tensors(part, device)
    out = outputs(network, data, row)
    value = float(loss(out, y, weight))
    if out.shape[1] > 1:
        return value, float((out.argmax(1) == y).double().mean())
    return value, float((out.squeeze(1) - y).abs().double().mean()) * label_scale


def make_loss(config: Training, part: Rows, classification: bool, label_scale: float) -> Loss:
    name = config.loss or ("cross_entropy" if classification else "huber")
    weights = None
    if classification and config.class_weights != "none":
        weights = class_weights(config, part.y)
    return loss_function(
        name,
        class_weights=weights,
        label_smoothing=config.label_smoothing or 0.0,
        focal_gamma=2.0 if config.focal_gamma is None else config.focal_gamma,
        # The label is standardised, so its unit is too.
        huber_delta=(0.01 if config.huber_delta is None else config.huber_delta) / label_scale,
    )


def class_weights(config: Training, y: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    """By hand, or inverse to the class counts with mean 1 over the rows; a class without rows weighs 0."""
    if not isinstance(config.class_weights, str):
        return torch.tensor(config.class_weights, dtype=torch.float32)
    counts = np.bincount(y.astype(np.int64), minlength=CLASSES).astype(np.float64)
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1.0)), 0.0)
    return torch.tensor(weights, dtype=torch.float32)


def make_optimizer(config: Training, network: nn.Module) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    # Fused: one kernel for all parameters, on the CPU too.
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(
                parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
            )
        case "adamw":
            return torch.optim.AdamW(
                parameters, config.learning_rate, weight_decay=config.weight_decay, fused=True
            )
        case "sgd":
            momentum = 0.9 if config.momentum is None else config.momentum
            return torch.optim.SGD(
                parameters, config.learning_rate, momentum, weight_decay=config.weight_decay
            )
