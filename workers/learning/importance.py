"""Measure the inputs that a trained model relies on."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from workers.learning.batches import EVALUATION_BATCH, Batches, Rows

MAX_ROWS = 5000
MAX_VALUES = 20_000_000
"""Limit for the numbers in all windows, which bounds the memory of long sequences."""
SEED = 11


@torch.no_grad()
def permutation_importance(
    network: nn.Module, x: NDArray[np.float32], length: int, part: Rows, names: tuple[str, ...]
) -> dict[str, Any]:
    """Return `{of, rows, values: {input: rise}}`: the rise of the loss when an input is shuffled among the rows
    (Breiman 2001). The loss is the log loss, or the mean squared error as a fraction of the label's variance.

    `names` are the inputs of one bar; earlier bars of an input (lags, or a sequence's window) are shuffled with it.
    """
    network.eval()
    device = next(network.parameters()).device
    generator = np.random.default_rng(SEED)
    limit = max(2, min(MAX_ROWS, MAX_VALUES // (length * x.shape[1])))
    sample = np.sort(generator.permutation(len(part.row))[:limit])
    y = torch.from_numpy(part.y[sample]).to(device)
    windows = Batches(torch.from_numpy(x).to(device), length).take(
        torch.from_numpy(part.row[sample]).to(device)
    )
    base_loss = _loss(network, windows, y)
    values = {}
    for number, name in enumerate(names):
        columns = slice(number, None, len(names))
        original = windows[..., columns].clone()
        order = torch.from_numpy(generator.permutation(len(sample))).to(device)
        windows[..., columns] = original[order]
        values[name] = _loss(network, windows, y) - base_loss
        windows[..., columns] = original
    of = "log_loss" if part.y.dtype.kind == "i" else "unexplained_variance"
    ordered = dict(sorted(values.items(), key=lambda item: -item[1]))
    return {"of": of, "rows": len(sample), "values": ordered}


def _loss(network: nn.Module, windows: Tensor, y: Tensor) -> float:
    size = EVALUATION_BATCH
    out = torch.cat([network(windows[first : first + size]) for first in range(0, len(windows), size)])
    if out.shape[1] > 1:
        return float(functional.cross_entropy(out, y))
    return float(((out.squeeze(1) - y) ** 2).mean() / y.var(correction=0).clamp(min=1e-12))
