"""The optimisers give the same bits as those of torch, without its compiler in memory."""

import copy
import subprocess
import sys
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from workers.learning.networks import Recurrent, build_network
from workers.learning.optimizers import Optimizer, clear_gradients, make_optimizer, trainable
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import (
    GRUModel,
    MLPArchitecture,
    MLPModel,
    ModelSpec,
    RecurrentArchitecture,
)
from workers.strategy.sections.training import Training

INPUTS, ROWS = 5, 32
INTERRUPTED_AT = 4
RATES = (0.05, 0.01, 0.01, 0.002, 0.03, 0.03, 0.01)
KINDS: dict[str, ModelSpec] = {
    "mlp": MLPModel(type="mlp", architecture=MLPArchitecture(hidden_layers=(6,))),
    "gru": GRUModel(type="gru", architecture=RecurrentArchitecture(sequence_length=4, hidden_size=3)),
}
TRAINING = """
import sys
import numpy, torch
from workers.learning.batches import Rows
from workers.learning.trainer import start, train
from workers.strategy.sections.labels import ForwardReturnLabels
from workers.strategy.sections.model import MLPModel
from workers.strategy.sections.training import Training

config = Training(labels=ForwardReturnLabels(source="forward_return"), epochs=1)
rows = Rows(numpy.arange(8), numpy.zeros(8, numpy.int64), numpy.ones(8, numpy.float32))
parts = {"train": rows, "validation": rows}
train(start(MLPModel(type="mlp"), config, numpy.zeros((8, 2), numpy.float32), parts, seed=1, device=torch.device("cpu")))
print("trained", *({"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules)))
"""
CASES = [
    *product(KINDS, ("adam", "adamw"), (0.0, 0.1), (None,)),
    *product(KINDS, ("sgd",), (0.0, 0.1), (None, 0.0, 0.5)),
]


def training(name: str, decay: float, momentum: float | None) -> Training:
    labels = ForwardReturnLabels(source="forward_return")
    keys = {"optimizer": name, "weight_decay": decay, "momentum": momentum, "learning_rate": RATES[0]}
    return Training.model_validate({"labels": labels, **keys})


def network(kind: str) -> nn.Module:
    torch.manual_seed(4)
    return build_network(KINDS[kind], INPUTS, 3)


def reference(config: Training, parameters: list[Tensor]) -> torch.optim.Optimizer:
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "sgd":
        momentum = 0.9 if config.momentum is None else config.momentum
        return torch.optim.SGD(parameters, rate, momentum, weight_decay=decay, fused=True)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(parameters, rate, weight_decay=decay, fused=True)


def compute_gradients(model: nn.Module, parameters: list[Tensor], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    shape = (ROWS, 4, INPUTS) if isinstance(model, Recurrent) else (ROWS, INPUTS)
    clear_gradients(parameters)
    nn.functional.cross_entropy(
        model(torch.randn(shape, generator=generator)),
        torch.randint(0, 3, (ROWS,), generator=generator),
    ).backward()  # type: ignore[no-untyped-call]  # no types in torch


def vector(parameters: list[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in parameters])


@pytest.mark.parametrize(("kind", "name", "decay", "momentum"), CASES)
def test_each_step_gives_the_bits_of_torch(
    kind: str, name: str, decay: float, momentum: float | None
) -> None:
    """Also after the state was taken out and put into a new optimiser, as from a checkpoint."""
    config = training(name, decay, momentum)
    ours, theirs = network(kind), network(kind)
    optimizer: Optimizer = make_optimizer(config, ours)
    parameters = trainable(theirs)
    other = reference(config, parameters)
    for step, rate in enumerate(RATES):
        if step == INTERRUPTED_AT:
            saved = copy.deepcopy(optimizer.state())
            optimizer = make_optimizer(config, ours)
            optimizer.restore(saved)
        optimizer.learning_rate = other.param_groups[0]["lr"] = rate
        compute_gradients(ours, optimizer.parameters, step)
        compute_gradients(theirs, parameters, step)
        optimizer.step()
        other.step()
        assert torch.equal(vector(optimizer.parameters), vector(parameters)), step
    state = optimizer.state()
    slots = other.state_dict()["state"]
    expected = {
        (number, key): value
        for number, row in slots.items()
        for key, value in row.items()
        if value is not None
    }
    assert {(number, key) for number, row in state.items() for key in row} == set(expected)
    assert all(torch.equal(state[number][key], value) for (number, key), value in expected.items())


def test_a_training_does_not_import_the_compiler_of_torch() -> None:
    """It would take a second and 70 MB in the process from which jobs are forked."""
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], check=True, capture_output=True, text=True, timeout=120
    )
    assert done.stdout.split() == ["trained"]
