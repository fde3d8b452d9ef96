"""Train a network: plain torch, one loop, the data on the device, metrics once per epoch.

Batches are slices of a permuted tensor; a DataLoader is many times slower for networks of this size. On the CPU the
same data, config and seed give the same bits, whether or not the training was interrupted and resumed.
"""

import os
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from worker_agent.protocol import InvalidInput
from workers.learning.batches import Batches, Part, Rows
from workers.learning.learning_rate import LearningRateSchedule
from workers.learning.losses import CLASSES, make_loss
from workers.learning.networks import build_network
from workers.learning.optimizers import clear_gradients, make_optimizer
from workers.learning.training_loop import Epoch, Loop, LoopSetup, State, TrainedNetwork, mean_loss, score
from workers.learning.tsk import TSK
from workers.strategy.sections.model import ModelSpec, TSKModel, sequence_length
from workers.strategy.sections.training import Training


class NoSuchDevice(InvalidInput):
    """The worker does not have the requested device."""


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


def start(
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
    pause_after: int | None = None,
) -> Loop:
    """Return a training before its first epoch, or before the next one of the state that `restore` puts back.

    `on_epoch` is called after each epoch and ends the training by returning False.
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
    return Loop(state, setup, on_epoch, initial_weights, state.epoch, pause_after)


def train(loop: Loop) -> TrainedNetwork:
    """Train to the end; the epoch with the least validation loss is chosen. Raises Diverged."""
    started = time.monotonic()
    stopped = ""
    while not stopped:
        stopped = loop.start_epoch() or loop.finish_epoch(*_train_epoch(loop.state, loop.setup))
        stopped = stopped or loop.report_epoch()
    return loop.result(stopped, time.monotonic() - started)


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
    return mean_loss(torch.stack(losses), n, size), score(torch.cat(batch_outputs), part.y)
