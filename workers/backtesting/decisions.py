"""Turn predictions into the target direction at each bar, by the strategy's `decisions`."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worker_agent.protocol import InvalidInput
from workers.strategy.sections.decisions import ClassificationDecisions, RegressionDecisions
from workers.strategy.sections.rules import RulesDecisions

Floats = NDArray[np.float64]
UNCLEAR = 2
"""Beside -1, 0 and 1: the prediction gives no clear signal."""


class BadPredictions(InvalidInput):
    """The model's output does not match the strategy's decisions."""


def signals(
    decisions: ClassificationDecisions | RegressionDecisions, predictions: Floats
) -> NDArray[np.int8]:
    """Return int8[n]: -1, 0, 1 or UNCLEAR for each prediction, regardless of the others.

    `predictions`: float64[n, 3] probabilities of short, flat, long, or float64[n] forecast returns; NaN where the
    model lacks a complete window. Raises BadPredictions.
    """
    if np.isinf(predictions).any():
        raise BadPredictions("The model's predictions contain infinite values.")
    if isinstance(decisions, ClassificationDecisions):
        return _class_signals(decisions, predictions)
    return _forecast_signals(decisions, predictions)


def threshold(decisions: ClassificationDecisions | RegressionDecisions) -> float:
    """Return the probability, or the forecast return, from which a prediction is a clear signal."""
    if isinstance(decisions, ClassificationDecisions):
        return decisions.confidence_threshold
    return decisions.cost_model.round_trip_cost * decisions.cost_model.min_edge_multiplier


def _class_signals(decisions: ClassificationDecisions, probabilities: Floats) -> NDArray[np.int8]:
    if probabilities.ndim != 2 or probabilities.shape[1] != decisions.num_classes:
        raise BadPredictions(
            f"The strategy expects {decisions.num_classes} class probabilities per bar, "
            f"but the model's predictions have shape {probabilities.shape}."
        )
    known: NDArray[np.bool_] = np.logical_not(np.isnan(probabilities).any(axis=1))
    filled = np.where(known[:, None], probabilities, 0.0)
    best_class = filled.argmax(axis=1)
    clear = (best_class == 1) | (filled.max(axis=1) >= decisions.confidence_threshold)
    return np.where(known & clear, best_class - 1, UNCLEAR).astype(np.int8)


def _forecast_signals(decisions: RegressionDecisions, forecasts: Floats) -> NDArray[np.int8]:
    if forecasts.ndim != 1:
        raise BadPredictions(
            "The strategy expects one forecast per bar, "
            f"but the model's predictions have shape {forecasts.shape}."
        )
    edge = threshold(decisions)
    # A NaN fails both comparisons, so it is unclear, like a forecast smaller than its costs.
    return np.where(forecasts > edge, 1, np.where(forecasts < -edge, -1, UNCLEAR)).astype(np.int8)


def target_directions(
    decisions: ClassificationDecisions | RegressionDecisions,
    predictions: Floats,
    *,
    allow_short: bool | None = None,
) -> NDArray[np.int8]:
    """Return int8[n] in {-1, 0, 1}: the target direction at the close of each bar, from this and earlier bars only.

    `allow_short`, if not None, can take away the strategy's own permission, but not extend it.
    """
    return directions_from_signals(decisions, signals(decisions, predictions), allow_short=allow_short)


def directions_from_signals(
    decisions: ClassificationDecisions | RegressionDecisions,
    signals: NDArray[np.int8],
    *,
    allow_short: bool | None = None,
) -> NDArray[np.int8]:
    """Return the target directions, int8[n], of signals, int8[n], as `target_directions` does."""
    return _follow_signals(
        signals,
        decisions.position_awareness,
        decisions.filters.min_signal_separation,
        may_short(decisions, allow_short),
    )


def may_short(
    decisions: ClassificationDecisions | RegressionDecisions | RulesDecisions, allow_short: bool | None
) -> bool:
    """Return whether short positions are allowed: by the strategy, and by the backtest if it decides."""
    return decisions.allow_short if allow_short is None else allow_short and decisions.allow_short


@njit(cache=True)
def _follow_signals(
    signals: np.ndarray, keep_if_unclear: bool, separation: int, allow_short: bool
) -> np.ndarray:
    target = np.zeros(signals.size, np.int8)
    direction = 0
    changed_at = -separation - 1
    for t in range(signals.size):
        signal = int(signals[t])
        if signal == UNCLEAR:
            signal = direction if keep_if_unclear else 0
        if signal < 0 and not allow_short:
            signal = 0
        if signal != direction and t - changed_at > separation:
            direction = signal
            changed_at = t
        target[t] = direction
    return target
