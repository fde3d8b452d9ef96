"""Save the state of a training as two files and restore it, so that the training continues bit for bit."""

import json
import math
from dataclasses import asdict
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from worker_agent.protocol import InvalidInput
from workers.learning.training_loop import Epoch, State

TENSORS, SCALARS = "state.safetensors", "state.json"


class OtherTraining(InvalidInput):
    """The checkpoint belongs to another training."""


def pack(state: State, identity: str) -> dict[str, bytes]:
    """Return the files of a checkpoint; only a training with the same `identity` can restore it."""
    tensors: dict[str, Tensor] = {
        "random/torch": torch.get_rng_state() if state.noise is None else state.noise.get_state(),
        "random/order": state.generator.get_state(),
    }
    device = next(state.network.parameters()).device
    if device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        tensors["random/mps"] = torch.mps.get_rng_state()
    for name, tensor in state.network.state_dict().items():
        tensors[f"network/{name}"] = tensor
    for name, tensor in state.best_weights.items():
        tensors[f"best/{name}"] = tensor
    for number, slots in state.optimizer.state().items():
        for name, tensor in slots.items():
            tensors[f"optimizer/{number}/{name}"] = tensor
    scalars = {
        "identity": identity,
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_loss": _finite(state.best_loss),
        "stopping_loss": _finite(state.stopping_loss),
        "waited": state.waited,
        "schedule": state.schedule.as_data(),
        "history": [asdict(epoch) for epoch in state.history],
    }
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    return {TENSORS: save(plain), SCALARS: json.dumps(scalars).encode()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def restore(state: State, tensors: bytes, scalars: bytes, identity: str) -> None:
    """Restore the state. Raises OtherTraining."""
    saved: dict[str, Any] = json.loads(scalars)
    if saved["identity"] != identity:
        raise OtherTraining
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}, "random": {}}
    for name, tensor in load(tensors).items():
        group, _, rest = name.partition("/")
        groups[group][rest] = tensor
    device = next(state.network.parameters()).device
    state.network.load_state_dict(groups["network"])
    state.best_weights = {name: tensor.to(device) for name, tensor in groups["best"].items()}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups["optimizer"].items():
        number, _, key = name.partition("/")
        slots.setdefault(int(number), {})[key] = tensor
    state.optimizer.restore(slots)
    torch.set_rng_state(groups["random"]["torch"])
    state.generator.set_state(groups["random"]["order"])
    if device.type == "cuda" and "cuda" in groups["random"]:
        torch.cuda.set_rng_state(groups["random"]["cuda"], device)
    elif device.type == "mps" and "mps" in groups["random"]:
        torch.mps.set_rng_state(groups["random"]["mps"])
    state.epoch, state.best_epoch, state.waited = saved["epoch"], saved["best_epoch"], saved["waited"]
    state.best_loss = math.inf if saved["best_loss"] is None else saved["best_loss"]
    state.stopping_loss = math.inf if saved["stopping_loss"] is None else saved["stopping_loss"]
    state.schedule.restore(saved["schedule"])
    state.history = [Epoch(**epoch) for epoch in saved["history"]]
