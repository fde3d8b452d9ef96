"""Scales of the inputs, fitted on the training part alone and saved with the model."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.strategy.grammar import Strategy

Floats = NDArray[np.float64]
LEAST_SPREAD = 1e-10
"""Relative to the input's size: less is the rounding of a constant, which must not be blown up to a signal."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """`(x - shift) / scale` for each input; float64[inputs] each."""

    shift: Floats
    scale: Floats

    def apply(self, features: Floats) -> NDArray[np.float32]:
        """float32[n, inputs]. A value outside the training part's range is not cut."""
        return ((features - self.shift) / self.scale).astype(np.float32)


def fit_scaler(strategy: Strategy, features: Floats) -> Scaler:
    """`features`: float64[rows of the training part, inputs].

    `zscore` and `minmax` as the input asks; `scale_features`, and any TSK model, standardise the rest. A constant
    input is only shifted.
    """
    count = features.shape[1]
    shift, scale = np.zeros(count), np.ones(count)
    rest = strategy.model.features.scale_features or strategy.model.type == "tsk"
    for column, wish in enumerate(_normalizations(strategy)):
        values = features[:, column]
        if wish == "minmax":
            shift[column], spread = values.min(), values.max() - values.min()
        elif wish == "zscore" or rest:
            shift[column], spread = values.mean(), values.std()
        else:
            continue
        scale[column] = spread if spread > LEAST_SPREAD * np.abs(values).max() else 1.0
    return Scaler(shift, scale)


def _normalizations(strategy: Strategy) -> list[str]:
    """For each input, those of earlier bars included."""
    own = [feature.normalization for feature in strategy.features]
    return [wish for _ in range(strategy.model.features.lookback_periods + 1) for wish in own]
