"""Score a trained model on one part of the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CLASS_NAMES = ("short", "flat", "long")
BINS = 10


@dataclass(frozen=True, slots=True)
class PartScores:
    """The predictions for one part, the actual values, and the metrics of both."""

    metrics: dict[str, float | None]
    predictions: Floats
    """float64[n, 3] probabilities, or float64[n] forecasts."""
    actual: Floats
    """float64[n]: classes 0, 1, 2, or returns."""


def classification_scores(probability: Floats, actual: NDArray[np.int64]) -> dict[str, float | None]:
    """Return accuracy, that of always predicting the majority class, macro recall and F1, and log loss."""
    if len(actual) == 0:
        return dict.fromkeys(("accuracy", "majority_accuracy", "balanced_accuracy", "f1", "log_loss"))
    predicted = probability.argmax(axis=1)
    rows = per_class(confusion(actual, predicted))
    present = [row for row in rows if row["support"]]
    chosen = np.clip(probability[np.arange(len(actual)), actual], 1e-12, 1.0)
    return {
        "accuracy": float((predicted == actual).mean()),
        "majority_accuracy": float(np.bincount(actual, minlength=3).max() / len(actual)),
        "balanced_accuracy": float(np.mean([row["recall"] for row in present])),
        "f1": float(np.mean([row["f1"] for row in present])),
        "log_loss": float(-np.log(chosen).mean()),
    }


def regression_scores(forecast: Floats, actual: Floats) -> dict[str, float | None]:
    """Return errors in the label's units, r2 against the mean, the share of right directions, and the correlation."""
    if len(actual) == 0:
        return dict.fromkeys(("mse", "mae", "r2", "direction_accuracy", "correlation"))
    error = forecast - actual
    spread = float(((actual - actual.mean()) ** 2).sum())
    moving = actual != 0
    varied = forecast.std() > 0 and actual.std() > 0
    return {
        "mse": float((error**2).mean()),
        "mae": float(np.abs(error).mean()),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else None,
        "direction_accuracy": float((np.sign(forecast[moving]) == np.sign(actual[moving])).mean())
        if moving.any()
        else None,
        "correlation": float(np.corrcoef(forecast, actual)[0, 1]) if varied else None,
    }


def confusion(actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return int64[3, 3]: rows are actual classes, columns are predicted classes."""
    return np.bincount(actual * 3 + predicted, minlength=9).reshape(3, 3)


def per_class(matrix: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Return precision, recall, F1 and support of each class of a confusion matrix."""
    rows = []
    for number, name in enumerate(CLASS_NAMES):
        right = int(matrix[number, number])
        support, predicted = int(matrix[number].sum()), int(matrix[:, number].sum())
        precision = right / predicted if predicted else 0.0
        recall = right / support if support else 0.0
        total = precision + recall
        rows.append(
            {
                "class": name,
                "precision": precision,
                "recall": recall,
                "f1": 2 * precision * recall / total if total else 0.0,
                "support": support,
            }
        )
    return rows


def calibration(probability: Floats, actual: NDArray[np.int64]) -> dict[str, list[float | int]]:
    """Return the predicted probability of the predicted class and its observed accuracy, in ten probability bins."""
    predicted = probability.argmax(axis=1)
    confidence = probability.max(axis=1)
    right = predicted == actual
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    curve: dict[str, list[float | int]] = {"predicted": [], "observed": [], "rows": []}
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            curve["predicted"].append(float(confidence[inside].mean()))
            curve["observed"].append(float(right[inside].mean()))
            curve["rows"].append(int(inside.sum()))
    return curve


def forecast_bins(forecast: Floats, actual: Floats) -> dict[str, list[float | int]]:
    """Return mean forecast and mean actual return of ten equal groups, from the lowest forecast to the highest."""
    order = np.argsort(forecast, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    return {
        "predicted": [float(forecast[group].mean()) for group in groups],
        "observed": [float(actual[group].mean()) for group in groups],
        "rows": [len(group) for group in groups],
    }
