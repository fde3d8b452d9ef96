"""Several networks of one shape as one batched computation, with the bits that each of them has alone.

The weights of all networks are the rows of one matrix, of which each network's own parameters are views, so that a
network of a stack is evaluated, saved and resumed like any other. A batched product may add in another order than a
single one: each shape is compared before its first use, and one that differs in a bit is multiplied for one network after
the other. Losses, clipping, learning rates and the choice of the epoch belong to each network.
"""

from collections.abc import Callable, Hashable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.learning.batches import Part
from workers.learning.networks import MLP
from workers.learning.optimizers import merge, place
from workers.learning.prepared_data import PreparedData
from workers.learning.training_loop import Loop, mean_loss, score
from workers.strategy.sections.model import MLPModel, ModelSpec
from workers.strategy.sections.training import Training

Linear = Callable[[Tensor, Tensor, Tensor], Tensor]
ALIGNED = 16
"""Numbers in the 64 bytes at which torch starts a tensor; the rows of a stack start there too."""
ELEMENTWISE = (nn.ReLU, nn.LeakyReLU)
"""Exact. The other activations round the last few numbers of a tensor differently, so each network needs its own call."""


def stack_key(spec: ModelSpec, config: Training, data: PreparedData, device: torch.device) -> Hashable | None:
    """Return what the trainings of one stack have in common; None if this one cannot be stacked."""
    if not isinstance(spec, MLPModel) or (spec.architecture.dropout and device.type != "cpu"):
        return None
    train = data.parts["train"]
    return spec.architecture, data.x.shape[1], len(train.row), train.y.dtype.kind, config.batch_size


class Stack:
    """The networks of trainings with the same `stack_key`."""

    def __init__(self, loops: Sequence[Loop]) -> None:
        self.loops = list(loops)
        network = self.loops[0].state.network
        assert isinstance(network, MLP), "the key of any other network is None"
        self._layers = network.layers
        self._gradients, self._weights, self._slots = self._share_weights()
        self._products: dict[tuple[int, int], Linear] = {}
        """By layer and rows of a batch."""

    def _share_weights(self) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Move all weights to one matrix; return its gradient, and of each parameter the part of both, for all networks."""
        vectors = [loop.state.optimizer.parameters[0] for loop in self.loops]
        size = vectors[0].numel()
        shape = (len(vectors), -(-size // ALIGNED) * ALIGNED)
        values = torch.zeros(shape, device=vectors[0].device)
        gradients = torch.zeros_like(values)
        for i, (loop, vector) in enumerate(zip(self.loops, vectors, strict=True)):
            values[i, :size] = vector.data
            place(list(loop.state.network.parameters()), vector, values[i, :size], gradients[i, :size])
        shared: list[Tensor] = []
        slots: list[Tensor] = []
        start = 0
        for own in self._layers.parameters():
            part = slice(start, start + own.numel())
            shared.append(values[:, part].view(len(vectors), *own.shape).requires_grad_())
            slots.append(gradients[:, part].view(len(vectors), *own.shape))
            start = part.stop
        return gradients, shared, slots

    def train_epoch(self) -> list[tuple[float, float]]:
        """Return (loss, score) of each network over the epoch's batches, while the weights change."""
        parts = [loop.setup.train_part.shuffle(loop.state.generator) for loop in self.loops]
        for loop in self.loops:
            loop.state.network.train()
        optimizers = merge([loop.state.optimizer for loop in self.loops])
        inputs, n, size = self._gather(parts), len(parts[0].row), self.loops[0].setup.config.batch_size
        outputs: list[Tensor] = []
        losses: list[Tensor] = []
        for first in range(0, n, size):
            chosen = slice(first, min(first + size, n))
            out = self._forward(inputs[:, chosen])
            values = self._losses(out, parts, chosen)
            self._set_gradients(torch.autograd.grad(values, self._weights))
            self._clip()
            for optimizer in optimizers:
                optimizer.step()
            outputs.append(out.detach())
            losses.append(torch.stack(values).detach())
        rows = zip(torch.stack(losses, 1), torch.cat(outputs, 1), parts, strict=True)
        return [(mean_loss(loss, n, size), score(out, part.y)) for loss, out, part in rows]

    def _gather(self, parts: Sequence[Part]) -> Tensor:
        """Return the inputs of all networks in the order of their epochs, float32[networks, rows, inputs]."""
        n, width = len(parts[0].row), self.loops[0].setup.data.x.shape[1]
        shape = (len(parts), -(-n // ALIGNED) * ALIGNED, width)
        inputs = torch.empty(shape, device=self._gradients.device)
        for own, loop, part in zip(inputs, self.loops, parts, strict=True):
            torch.index_select(loop.setup.data.x, 0, part.row, out=own[:n])
        return inputs[:, :n]

    def _forward(self, x: Tensor) -> Tensor:
        """Return float32[networks, batch, outputs]."""
        weights = iter(self._weights)
        for position, layer in enumerate(self._layers):
            if isinstance(layer, nn.Linear):
                x = self._multiply(position, x, next(weights), next(weights))
            elif isinstance(layer, ELEMENTWISE):
                x = layer(x)
            elif isinstance(layer, nn.Dropout):
                x = x * self._noise(x, layer.p)
            else:
                x = torch.stack([layer(own) for own in x.unbind()])
        return x

    def _multiply(self, position: int, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        key = (position, x.shape[1])
        if key not in self._products:
            self._products[key] = all_at_once if is_exact(x, weight, bias) else one_by_one
        return self._products[key](x, weight, bias)

    def _noise(self, x: Tensor, p: float) -> Tensor:
        """Return the factors of `nn.Dropout`, of each network from its own generator."""
        noise = torch.empty_like(x)
        for own, loop in zip(noise, self.loops, strict=True):
            own.bernoulli_(1.0 - p, generator=loop.state.noise)
        return noise.div_(1.0 - p)

    def _losses(self, out: Tensor, parts: Sequence[Part], chosen: slice) -> list[Tensor]:
        rows = zip(self.loops, out.unbind(), parts, strict=True)
        return [
            loop.setup.loss(own, part.y[chosen], None if part.weight is None else part.weight[chosen])
            for loop, own, part in rows
        ]

    def _set_gradients(self, gradients: Sequence[Tensor]) -> None:
        # A sum with zero, as in a single training, which turns -0 into 0.
        self._gradients.zero_()
        for slot, gradient in zip(self._slots, gradients, strict=True):
            slot.add_(gradient)

    def _clip(self) -> None:
        for loop in self.loops:
            if loop.setup.config.gradient_clip is not None:
                nn.utils.clip_grad_norm_(loop.state.optimizer.parameters, loop.setup.config.gradient_clip)


def all_at_once(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return `x @ weight.T + bias` of each network. Shapes: [k, batch, inputs], [k, outputs, inputs], [k, outputs]."""
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))


def one_by_one(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the same, as each network computes it alone."""
    rows = zip(x.unbind(), weight.unbind(), bias.unbind(), strict=True)
    return torch.stack([functional.linear(*row) for row in rows])


def is_exact(x: Tensor, weight: Tensor, bias: Tensor) -> bool:
    """Return whether both products, and their gradients, have the same bits at this shape. The values of `x` do not matter."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(x.shape, generator=generator).to(x.device)
    gradient = torch.randn((*x.shape[:2], weight.shape[1]), generator=generator).to(x.device)
    results = []
    for multiply in (all_at_once, one_by_one):
        operands = [each.detach().requires_grad_() for each in (inputs, weight, bias)]
        out = multiply(*operands)
        results.append((out, *torch.autograd.grad(out, operands, gradient)))
    return all(torch.equal(batched, single) for batched, single in zip(*results, strict=True))
