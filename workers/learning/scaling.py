"""Scale the inputs; scales are fitted only on the training part and saved with the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workers.strategy.grammar import TrainedStrategy

Floats = NDArray[np.float64]
MIN_SPREAD = 1e-10
"""Relative to the input's size: a smaller spread is the rounding of a constant and must not become a signal."""


@dataclass(frozen=True, slots=True)
class Scaler:
    """`(x - shift) / scale` for each input; float64[inputs] each."""

    shift: Floats
    scale: Floats

    def apply(self, features: Floats) -> NDArray[np.float32]:
        """Return float32[n, inputs]. Values outside the range of the training part are not clipped."""
        return ((features - self.shift) / self.scale).astype(np.float32)


def fit_scaler(strategy: TrainedStrategy, features: Floats) -> Scaler:
    """Fit the scales to `features`, float64[rows of the training part, inputs].

    An input's `normalization` is `zscore` or `minmax`; `scale_features` and any TSK model standardise the other
    inputs. A constant input is only shifted.
    """
    count = features.shape[1]
    shift, scale = np.zeros(count), np.ones(count)
    scale_others = strategy.model.features.scale_features or strategy.model.type == "tsk"
    for column, normalization in enumerate(_normalizations(strategy)):
        values = features[:, column]
        if normalization == "minmax":
            shift[column], spread = values.min(), values.max() - values.min()
        elif normalization == "zscore" or scale_others:
            shift[column], spread = values.mean(), values.std()
        else:
            continue
        scale[column] = spread if spread > MIN_SPREAD * np.abs(values).max() else 1.0
    return Scaler(shift, scale)


def _normalizations(strategy: TrainedStrategy) -> Sequence[str]:
    """Return the normalization of each input, including those of earlier bars."""
    of_one_bar = [feature.normalization for feature in strategy.features]
    return of_one_bar * (strategy.model.features.lookback_periods + 1)
