"""Compute the model's predictions on the bars of a backtest."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.backtest_inputs import ModelInputs
from workers.strategy.sections.model import sequence_length


def predict(inputs: ModelInputs, features: pd.DataFrame) -> pd.DataFrame:
    """Predict one row per bar of the test period that has all features. An inference error fails the backtest.

    `features`: from the first bar up to any bar; later bars are not read.
    """
    start = inputs.test_bars.index[0]
    first = int(features.index.searchsorted(start))
    # A sequence that ends at the first bar of the test period starts before it.
    needed = features.iloc[max(0, first - sequence_length(inputs.strategy.model) + 1) :]
    opens = pd.DatetimeIndex(inputs.base_bars.index)
    known_opens = opens[: opens.searchsorted(features.index[-1], side="right")]
    return pd.DataFrame(inputs.model.predict(needed, known_opens), index=needed.index).loc[start:]


def decision_array(predictions: pd.DataFrame) -> NDArray[np.float64]:
    """Return the predictions as `decisions` reads them: float64[n, 3] probabilities or float64[n] forecasts."""
    values: NDArray[np.float64] = predictions.to_numpy(dtype=np.float64)
    return values[:, 0] if values.shape[1] == 1 else values
