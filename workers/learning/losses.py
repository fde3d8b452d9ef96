"""Loss functions: the weighted mean over the rows of a batch."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from workers.strategy.sections.training import Training

CLASSES = 3
MIN_WEIGHT = 1e-12


class Loss(nn.Module):
    """Weighted mean over a batch of classes 0, 1, 2 (short, flat, long), or of one standardised value per row."""

    class_weights: Tensor | None

    def __init__(
        self,
        name: str,
        *,
        class_weights: Tensor | None = None,
        label_smoothing: float = 0.0,
        focal_gamma: float = 2.0,
        huber_delta: float = 1.0,
    ) -> None:
        super().__init__()
        self.name = name
        self.label_smoothing = label_smoothing
        self.focal_gamma = focal_gamma
        self.huber_delta = huber_delta
        self.register_buffer("class_weights", class_weights)

    def forward(self, out: Tensor, y: Tensor, weight: Tensor | None) -> Tensor:
        """Return a scalar. `out`: [batch, outputs]; `y`, `weight`: [batch], None if all rows have the same weight."""
        if self.name == "cross_entropy" and weight is None and self.class_weights is None:
            # The same mean in one operation: the extra ones are expensive for a small network.
            return functional.cross_entropy(out, y, label_smoothing=self.label_smoothing)
        rows = self._rows(out, y)  # [batch]
        if self.class_weights is not None:
            by_class = self.class_weights[y]
            weight = by_class if weight is None else weight * by_class
        if weight is None:
            return rows.mean()
        return (rows * weight).sum() / weight.sum().clamp(min=MIN_WEIGHT)

    def _rows(self, out: Tensor, y: Tensor) -> Tensor:
        match self.name:
            case "cross_entropy":
                smooth = self.label_smoothing
                return functional.cross_entropy(out, y, reduction="none", label_smoothing=smooth)
            case "focal":  # Lin et al. 2017
                logarithm = functional.log_softmax(out, dim=1).gather(1, y.unsqueeze(1)).squeeze(1)
                return -((1.0 - logarithm.exp()) ** self.focal_gamma) * logarithm
            case "huber":
                return functional.huber_loss(out.squeeze(1), y, reduction="none", delta=self.huber_delta)
            case "mse":
                return (out.squeeze(1) - y) ** 2
            case "mae":
                return (out.squeeze(1) - y).abs()
            case other:
                raise ValueError(f"unknown loss {other}")


def make_loss(config: Training, y: NDArray[np.float32] | NDArray[np.int64], label_scale: float) -> Loss:
    """Return the configured loss. `y`: labels of the training part; `label_scale`: divisor of a regression's label."""
    classification = y.dtype.kind == "i"
    balanced = classification and config.class_weights != "none"
    return Loss(
        config.loss or ("cross_entropy" if classification else "huber"),
        class_weights=class_weights(config, y) if balanced else None,
        label_smoothing=config.label_smoothing or 0.0,
        focal_gamma=2.0 if config.focal_gamma is None else config.focal_gamma,
        # The label is standardised, so its unit is too.
        huber_delta=(0.01 if config.huber_delta is None else config.huber_delta) / label_scale,
    )


def class_weights(config: Training, y: NDArray[np.float32] | NDArray[np.int64]) -> Tensor:
    """Return the configured weights, or the inverse class counts with mean 1 over the rows; 0 for an absent class."""
    if not isinstance(config.class_weights, str):
        return torch.tensor(config.class_weights, dtype=torch.float32)
    counts = np.bincount(y.astype(np.int64), minlength=CLASSES).astype(np.float64)
    present = counts > 0
    weights = np.where(present, counts.sum() / (present.sum() * np.maximum(counts, 1.0)), 0.0)
    return torch.tensor(weights, dtype=torch.float32)
