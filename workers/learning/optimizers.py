"""The optimisers of the grammar; each updates all weights of a network with one fused kernel, on the CPU too.

They call the kernels of `torch.optim` with `fused=True` directly: its classes import the compiler of torch at the first
step (a second, 70 MB), although nothing is compiled here. Weights and checkpoints are equal to theirs, bit for bit.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor, nn

from workers.learning.networks import Recurrent
from workers.strategy.sections.training import Training

BETAS = (0.9, 0.999)
EPSILON = 1e-8
MOMENTUM = 0.9
"""Where the strategy does not set it."""


class Optimizer(Protocol):
    """`step` updates the parameters by their gradients."""

    parameters: list[Tensor]
    learning_rate: float

    def step(self) -> None: ...

    def state(self) -> dict[int, dict[str, Tensor]]:
        """Return the tensors that a resumed training needs, by the position of their parameter and their name."""

    def restore(self, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        """Continue with the tensors of `state()`."""


class Adam:
    """Adam (Kingma and Ba 2015), with `decoupled` weight decay AdamW (Loshchilov and Hutter 2019)."""

    def __init__(
        self,
        parameters: list[Tensor],
        learning_rate: float,
        weight_decay: float,
        *,
        decoupled: bool,
    ) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._decoupled = decoupled
        self._steps = [torch.zeros((), dtype=torch.float32, device=each.device) for each in parameters]
        self._means = [torch.zeros_like(each) for each in parameters]
        self._squares = [torch.zeros_like(each) for each in parameters]

    @classmethod
    def merged(cls, optimizers: Sequence[Self]) -> Self:
        """Return one optimiser of all parameters, with the same state tensors. Their `settings` must be equal."""
        learning_rate, weight_decay, decoupled = optimizers[0].settings
        merged = cls([], learning_rate, weight_decay, decoupled=decoupled)
        for optimizer in optimizers:
            merged.parameters += optimizer.parameters
            merged._steps += optimizer._steps
            merged._means += optimizer._means
            merged._squares += optimizer._squares
        return merged

    @property
    def settings(self) -> tuple[float, float, bool]:
        """The learning rate, the weight decay, and whether it is decoupled."""
        return self.learning_rate, self._weight_decay, self._decoupled

    @torch.no_grad()
    def step(self) -> None:
        torch._foreach_add_(self._steps, 1)
        update = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        update(
            self.parameters, gradients(self.parameters), self._means, self._squares, [], self._steps,
            lr=self.learning_rate, beta1=BETAS[0], beta2=BETAS[1], weight_decay=self._weight_decay, eps=EPSILON,
            amsgrad=False, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[int, dict[str, Tensor]]:
        rows = zip(self._steps, self._means, self._squares, strict=True)
        return {
            number: {"step": step, "exp_avg": mean, "exp_avg_sq": square}
            for number, (step, mean, square) in enumerate(rows)
        }

    def restore(self, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        for number, tensors in state.items():
            self._steps[number].copy_(tensors["step"])
            self._means[number].copy_(tensors["exp_avg"])
            self._squares[number].copy_(tensors["exp_avg_sq"])


class SGD:
    """Stochastic gradient descent with momentum (Polyak 1964)."""

    def __init__(
        self, parameters: list[Tensor], learning_rate: float, weight_decay: float, momentum: float
    ) -> None:
        self.parameters = parameters
        self.learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._momentum = momentum
        self._buffers: list[Tensor] = []
        """Empty before the first step, which fills them with the gradients."""

    @torch.no_grad()
    def step(self) -> None:
        is_first = self._momentum != 0 and not self._buffers
        if is_first:
            self._buffers = [torch.empty_like(each) for each in self.parameters]
        torch._fused_sgd_(
            self.parameters, gradients(self.parameters), self._buffers,
            weight_decay=self._weight_decay, momentum=self._momentum, lr=self.learning_rate, dampening=0.0,
            nesterov=False, maximize=False, is_first_step=is_first,
        )  # fmt: skip

    def state(self) -> dict[int, dict[str, Tensor]]:
        return {number: {"momentum_buffer": buffer} for number, buffer in enumerate(self._buffers)}

    def restore(self, state: Mapping[int, Mapping[str, Tensor]]) -> None:
        buffers = [tensors["momentum_buffer"] for _, tensors in sorted(state.items())]
        pairs = zip(buffers, self.parameters, strict=False)  # no buffers without momentum
        self._buffers = [buffer.to(parameter.device) for buffer, parameter in pairs]


def make_optimizer(config: Training, network: nn.Module) -> Optimizer:
    parameters = trainable(network)
    rate, decay = config.learning_rate, config.weight_decay
    match config.optimizer:
        case "adam" | "adamw":
            return Adam(parameters, rate, decay, decoupled=config.optimizer == "adamw")
        case "sgd":
            return SGD(parameters, rate, decay, MOMENTUM if config.momentum is None else config.momentum)


def merge(optimizers: Sequence[Optimizer]) -> list[Optimizer]:
    """Return fewer optimisers whose steps do the same: those of Adam with equal settings become one."""
    by_settings: dict[tuple[float, float, bool], list[Adam]] = {}
    others: list[Optimizer] = []
    for optimizer in optimizers:
        if isinstance(optimizer, Adam):
            by_settings.setdefault(optimizer.settings, []).append(optimizer)
        else:
            others.append(optimizer)
    return [*others, *map(Adam.merged, by_settings.values())]


def trainable(network: nn.Module) -> list[Tensor]:
    """Return the parameters to optimise: one vector, of which the network's own parameters become views.

    A step then costs the same for any number of layers. A recurrent network keeps its own parameters, because cuDNN
    determines their layout.
    """
    own: list[Tensor] = [*network.parameters()]
    if isinstance(network, Recurrent):
        return own
    vector = nn.Parameter(nn.utils.parameters_to_vector(own).detach().clone())
    place(own, vector, vector.data, torch.zeros_like(vector))
    return [vector]


def place(own: list[Tensor], vector: Tensor, values: Tensor, gradient: Tensor) -> None:
    """Let a network's parameters and their vector be views of `values` and `gradient`, float32[weights]."""
    vector.data, vector.grad = values, gradient
    sizes = [parameter.numel() for parameter in own]
    parts = zip(own, torch.split(values, sizes), torch.split(gradient, sizes), strict=True)
    for parameter, part, its_gradient in parts:
        parameter.data, parameter.grad = part.view_as(parameter), its_gradient.view_as(parameter)


def gradients(parameters: list[Tensor]) -> list[Tensor]:
    """Return the gradients; every parameter of a network has one after a backward pass."""
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def clear_gradients(parameters: list[Tensor]) -> None:
    """Set the gradients to zero in place, because the network's own are views of them."""
    for gradient in gradients(parameters):
        gradient.zero_()
