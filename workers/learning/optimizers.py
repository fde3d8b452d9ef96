"""The optimisers of the grammar; each updates all weights of a network at once."""

import torch
from torch import nn

from workers.learning.networks import Recurrent
from workers.strategy.sections.training import Training


def make_optimizer(config: Training, network: nn.Module) -> torch.optim.Optimizer:
    parameters = trainable(network)
    rate, decay = config.learning_rate, config.weight_decay
    # Fused: one kernel for all parameters, on the CPU too.
    match config.optimizer:
        case "adam":
            return torch.optim.Adam(parameters, rate, weight_decay=decay, fused=True)
        case "adamw":
            return torch.optim.AdamW(parameters, rate, weight_decay=decay, fused=True)
        case "sgd":
            momentum = 0.9 if config.momentum is None else config.momentum
            return torch.optim.SGD(parameters, rate, momentum, weight_decay=decay, fused=True)


def trainable(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters to optimise: one vector, of which the network's own parameters become views.

    A step then costs the same for any number of layers. A recurrent network keeps its own parameters, because cuDNN
    determines their layout.
    """
    own = list(network.parameters())
    if isinstance(network, Recurrent):
        return own
    vector = nn.Parameter(nn.utils.parameters_to_vector(own).detach().clone())
    vector.grad = torch.zeros_like(vector)
    at = 0
    for parameter in own:
        here = slice(at, at + parameter.numel())
        parameter.data = vector.data[here].view_as(parameter)
        parameter.grad = vector.grad[here].view_as(parameter)
        at = here.stop
    return [vector]


def clear_gradients(parameters: list[nn.Parameter]) -> None:
    """Set the gradients to zero in place, because the network's own are views of them."""
    for parameter in parameters:
        if parameter.grad is not None:
            parameter.grad.zero_()
