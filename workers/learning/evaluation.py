"""Scores of a trained model on one part of the data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CLASS_NAMES = ("short", "flat", "long")
BINS = 10


@dataclass(frozen=True, slots=True)
class Scored:
    """A part's predictions beside the truth."""

    metrics: dict[str, float | None]
    predictions: Floats
    """float64[n, 3] probabilities, or float64[n] forecasts."""
    truth: Floats
    """float64[n]: classes 0, 1, 2, or returns."""


def classification_scores(probability: Floats, truth: NDArray[np.int64]) -> dict[str, float | None]:
    """Accuracy, its value for who always says the commonest class, macro recall and F1, log loss."""
    if len(truth) == 0:
        return dict.fromkeys(("accuracy", "majority_accuracy", "balanced_accuracy", "f1", "log_loss"))
    said = probability.argmax(axis=1)
    rows = per_class(confusion(truth, said))
    present = [row for row in rows if row["support"]]
    chosen = np.clip(probability[np.arange(len(truth)), truth], 1e-12, 1.0)
    return {
        "accuracy": float((said == truth).mean()),
        "majority_accuracy": float(np.bincount(truth, minlength=3).max() / len(truth)),
        "balanced_accuracy": float(np.mean([row["recall"] for row in present])),
        "f1": float(np.mean([row["f1"] for row in present])),
        "log_loss": float(-np.log(chosen).mean()),
    }


def regression_scores(forecast: Floats, truth: Floats) -> dict[str, float | None]:
    """Errors in the label's units; r2 against the mean; how often the direction is right; correlation."""
    if len(truth) == 0:
        return dict.fromkeys(("mse", "mae", "r2", "direction_accuracy", "correlation"))
    error = forecast - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    moving = truth != 0
    varied = forecast.std() > 0 and truth.std() > 0
    return {
        "mse": float((error**2).mean()),
        "mae": float(np.abs(error).mean()),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else None,
        "direction_accuracy": float((np.sign(forecast[moving]) == np.sign(truth[moving])).mean())
        if moving.any()
        else None,
        "correlation": float(np.corrcoef(forecast, truth)[0, 1]) if varied else None,
    }


def confusion(truth: NDArray[np.int64], said: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[3, 3]: rows are what was, columns what was said."""
    return np.bincount(truth * 3 + said, minlength=9).reshape(3, 3)


def per_class(matrix: NDArray[np.int64]) -> list[dict[str, Any]]:
    rows = []
    for number, name in enumerate(CLASS_NAMES):
        right = int(matrix[number, number])
        support, claimed = int(matrix[number].sum()), int(matrix[:, number].sum())
        precision = right / claimed if claimed else 0.0
        recall = right / support if support else 0.0
        both = precision + recall
        rows.append(
            {
                "class": name,
                "precision": precision,
                "recall": recall,
                "f1": 2 * precision * recall / both if both else 0.0,
                "support": support,
            }
        )
    return rows


def calibration(probability: Floats, truth: NDArray[np.int64]) -> dict[str, list[float | int]]:
    """Of the class that was chosen: what the model said and how often it was right, in ten bins of what it said."""
    said = probability.argmax(axis=1)
    confidence = probability.max(axis=1)
    right = said == truth
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    found: dict[str, list[float | int]] = {"predicted": [], "observed": [], "rows": []}
    for number in range(BINS):
        inside = bins == number
        if inside.any():
            found["predicted"].append(float(confidence[inside].mean()))
            found["observed"].append(float(right[inside].mean()))
            found["rows"].append(int(inside.sum()))
    return found


def forecast_bins(forecast: Floats, truth: Floats) -> dict[str, list[float | int]]:
    """What was forecast and what came, as means over ten equal groups from the lowest forecast to the highest."""
    order = np.argsort(forecast, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if len(group)]
    return {
        "predicted": [float(forecast[group].mean()) for group in groups],
        "observed": [float(truth[group].mean()) for group in groups],
        "rows": [len(group) for group in groups],
    }
