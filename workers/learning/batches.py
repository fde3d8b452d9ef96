"""Rows of one matrix on the device: the parts of the split, batches of them, and a network's outputs for them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

EVALUATION_BATCH = 8192
"""Rows predicted at once: large enough for speed, small enough for the processor's cache."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One part of the split, as positions in the matrix of inputs."""

    row: NDArray[np.int64]
    """int64[n]. A sequence ends at its row and includes those before it."""
    y: NDArray[np.float32] | NDArray[np.int64]
    """int64[n] classes 0, 1, 2 (short, flat, long), or float32[n] standardised values."""
    weight: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the split, on the device."""

    row: Tensor
    y: Tensor
    weight: Tensor | None
    """None if all rows have the same weight."""

    @classmethod
    def of(cls, rows: Rows, device: torch.device) -> "Part":
        equal = bool((rows.weight == 1.0).all())
        weight = None if equal else torch.from_numpy(rows.weight).to(device)
        return cls(torch.from_numpy(rows.row).to(device), torch.from_numpy(rows.y).to(device), weight)

    def shuffle(self, generator: torch.Generator) -> "Part":
        order = torch.randperm(len(self.row), generator=generator).to(self.row.device)
        weight = None if self.weight is None else self.weight[order]
        return Part(self.row[order], self.y[order], weight)


class Batches:
    """Gathers the inputs of rows from the matrix on the device."""

    def __init__(self, x: Tensor, length: int) -> None:
        self.x = x
        self.length = length
        self.offsets = torch.arange(1 - length, 1, device=x.device)

    def take(self, row: Tensor) -> Tensor:
        """Return [n, inputs], or [n, length, inputs] for sequences."""
        if self.length == 1:
            return self.x[row]
        return self.x[row.unsqueeze(1) + self.offsets]


@torch.no_grad()
def outputs(network: nn.Module, data: Batches, row: Tensor) -> Tensor:
    """Return float32[n, outputs] logits, computed in evaluation mode."""
    network.eval()
    # Windows repeat rows: process as many numbers at once as without windows.
    size = max(1, EVALUATION_BATCH // data.length) if len(row) else 1
    batches = [network(data.take(row[first : first + size])) for first in range(0, len(row), size)]
    return torch.cat(batches) if batches else network(data.take(row))
