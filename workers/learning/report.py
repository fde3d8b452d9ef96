"""`report.json` of a training: what a page draws of it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.learning.dataset import Dataset
from workers.learning.evaluation import CLASS_NAMES, Scored, calibration, confusion, forecast_bins, per_class
from workers.learning.fuzzy_curves import fuzzy_curves
from workers.learning.importance import permutation_importance
from workers.learning.material import Bars, Material
from workers.learning.networks import sequence_length
from workers.learning.rules import describe_rules
from workers.learning.splits import PARTS, Split
from workers.learning.trainer import Trained
from workers.learning.tsk import TSK
from workers.strategy.grammar import Strategy

Floats = NDArray[np.float64]


def held_out(split: Split) -> str:
    """The part that nothing was chosen by, where there is one."""
    return "test" if len(split.test) else "validation"


def build(
    strategy: Strategy, bars: Bars, material: Material, trained: Trained, scored: dict[str, Scored]
) -> dict[str, Any]:
    """All figures are of the test part, or of the validation part where there is no test."""
    dataset, split = material.dataset, material.split
    part = held_out(split)
    importance = permutation_importance(
        trained.network,
        material.x,
        sequence_length(strategy.model),
        material.parts[part],
        tuple(feature.name for feature in strategy.features),
    )
    report: dict[str, Any] = {
        "curves": _curves(trained),
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "evaluated_on": part,
        "importance": importance["values"],
        "importance_of": importance["of"],
        "splits": _splits(dataset, split),
        "boundaries": [moment.isoformat() for moment in _moments(split)],
        "purged": split.purged,
        "left_out": dataset.left_out,
        "fuzzy_sets": fuzzy_curves(strategy, bars, *_moments(split)[:2]),
    }
    if strategy.is_classification:
        truth = scored[part].truth.astype(np.int64)
        matrix = confusion(truth, scored[part].predictions.argmax(axis=1))
        report |= {
            "confusion_matrix": {"labels": list(CLASS_NAMES), "matrix": matrix.tolist()},
            "classes": per_class(matrix),
            "calibration": calibration(scored[part].predictions, truth),
            "label_balance": label_balance(dataset, split),
        }
    else:
        report["forecasts"] = forecast_bins(scored[part].predictions, scored[part].truth)
    if isinstance(trained.network, TSK):
        report |= describe_rules(
            trained.network,
            trained.before,
            material.scaler,
            material.x[dataset.row[split.train]],
            strategy.input_names,
            label_mean=material.label_mean,
            label_scale=material.label_scale,
        )
    return report


def _curves(trained: Trained) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch.epoch,
            "train_loss": epoch.train_loss,
            "validation_loss": epoch.validation_loss,
            "train_score": epoch.train_score,
            "validation_score": epoch.validation_score,
            "learning_rate": epoch.learning_rate,
        }
        for epoch in trained.history
    ]


def _moments(split: Split) -> list[pd.Timestamp]:
    """First moment of each part, as the purge counts it."""
    return [pd.Timestamp(moment, tz="UTC") for moment in split.boundaries]


def _splits(dataset: Dataset, split: Split) -> list[dict[str, Any]]:
    """First and last row of each part that has any."""
    rows = []
    for name in PARTS:
        chosen = getattr(split, name)
        if len(chosen):
            time = dataset.time[chosen]
            rows.append(
                {
                    "part": "training" if name == "train" else name,
                    "start": pd.Timestamp(int(time.min()), tz="UTC").isoformat(),
                    "end": pd.Timestamp(int(time.max()), tz="UTC").isoformat(),
                    "rows": len(chosen),
                }
            )
    return rows


def label_balance(dataset: Dataset, split: Split) -> dict[str, dict[str, float]]:
    """Part -> class -> share of its rows."""
    found = {}
    for name in PARTS:
        label = dataset.label[getattr(split, name)]
        if len(label):
            shares = [float((label == value).mean()) for value in (-1, 0, 1)]
            found[name] = dict(zip(CLASS_NAMES, shares, strict=True))
    return found
