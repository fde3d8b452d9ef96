"""From predictions to the direction wanted at each bar, by the strategy's `decisions`."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.strategy.sections.decisions import ClassificationDecisions, RegressionDecisions

Floats = NDArray[np.float64]
UNCLEAR = 2
"""Beside -1, 0 and 1: the prediction gives no clear signal."""


class BadPredictions(InvalidInput):
    """The model's output is not what the strategy's decisions need."""


def signals(
    decisions: ClassificationDecisions | RegressionDecisions, predictions: Floats
) -> NDArray[np.int8]:
    """int8[n]: -1, 0, 1 or UNCLEAR for each prediction by itself.

    `predictions`: float64[n, 3] probabilities of short, flat, long, or float64[n] forecast returns; NaN where the
    model has no whole window. Raises BadPredictions.
    """
    if np.isinf(predictions).any():
        raise BadPredictions("The model predicts infinite values.")
    if isinstance(decisions, ClassificationDecisions):
        return _by_class(decisions, predictions)
    return _by_forecast(decisions, predictions)


def _by_class(decisions: ClassificationDecisions, predictions: Floats) -> NDArray[np.int8]:
    if predictions.ndim != 2 or predictions.shape[1] != decisions.num_classes:
        raise BadPredictions(
            f"The strategy classifies into 3 classes; the model predicts {predictions.shape}."
        )
    known: NDArray[np.bool_] = np.logical_not(np.isnan(predictions).any(axis=1))
    filled = np.where(known[:, None], predictions, 0.0)
    best = filled.argmax(axis=1)
    clear = (best == 1) | (filled.max(axis=1) >= decisions.confidence_threshold)
    return np.where(known & clear, best - 1, UNCLEAR).astype(np.int8)


def _by_forecast(decisions: RegressionDecisions, predictions: Floats) -> NDArray[np.int8]:
    if predictions.ndim != 1:
        raise BadPredictions(
            f"The strategy needs one forecast per bar; the model predicts {predictions.shape}."
        )
    edge = decisions.cost_model.round_trip_cost * decisions.cost_model.min_edge_multiplier
    # A NaN compares false on both sides, and is unclear like a forecast that its costs would eat.
    return np.where(predictions > edge, 1, np.where(predictions < -edge, -1, UNCLEAR)).astype(np.int8)


def targets(
    decisions: ClassificationDecisions | RegressionDecisions,
    predictions: Floats,
    *,
    allow_short: bool | None = None,
) -> NDArray[np.int8]:
    """int8[n] in {-1, 0, 1}: the direction wanted at the close of each bar, from the past and present alone.

    `allow_short` overrides the strategy's own permission where given.
    """
    short = decisions.allow_short if allow_short is None else allow_short and decisions.allow_short
    return _hold(
        signals(decisions, predictions),
        decisions.position_awareness,
        decisions.filters.min_signal_separation,
        short,
    )


@njit(cache=True)
def _hold(found: np.ndarray, keep: bool, separation: int, short: bool) -> np.ndarray:
    wanted = np.zeros(found.size, np.int8)
    held = 0
    changed = -separation - 1
    for t in range(found.size):
        wish = int(found[t])
        if wish == UNCLEAR:
            wish = held if keep else 0
        if wish < 0 and not short:
            wish = 0
        if wish != held and t - changed > separation:
            held = wish
            changed = t
        wanted[t] = held
    return wanted
