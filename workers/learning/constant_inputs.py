"""Find inputs that hardly change: a model cannot learn anything from them."""

import numpy as np

from workers.learning.prepared_data import PreparedData
from workers.strategy.grammar import TrainedStrategy

NEARLY_ALL = 0.999
"""Share of the rows with one and the same value that makes an input nearly constant."""
SMALL = 1e-9
"""Change, relative to the size of the input, that does not count."""


def constant_inputs(strategy: TrainedStrategy, data: PreparedData) -> dict[str, float]:
    """Return the inputs of the current bar that are constant or nearly so in the training part, with their value."""
    rows = data.dataset.row[data.split.train]
    found = {}
    for column, feature in enumerate(strategy.features):
        values = data.dataset.features[rows, column]
        middle = float(np.median(values))
        same = np.abs(values - middle) <= SMALL * max(abs(middle), float(np.abs(values).max()))
        if same.mean() >= NEARLY_ALL:
            found[feature.name] = middle
    return found
