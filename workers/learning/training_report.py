"""Build `report.json` of a training: the data of its charts and tables."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.learning.dataset import Dataset
from workers.learning.evaluation import (
    CLASS_NAMES,
    PartScores,
    calibration,
    confusion,
    forecast_bins,
    per_class,
)
from workers.learning.fuzzy_curves import fuzzy_curves
from workers.learning.importance import permutation_importance
from workers.learning.networks import sequence_length
from workers.learning.prepared_data import Bars, PreparedData
from workers.learning.splits import PARTS, Split
from workers.learning.trainer import TrainedNetwork
from workers.learning.tsk import TSK
from workers.learning.tsk_rules import describe_rules
from workers.strategy.grammar import Strategy

Floats = NDArray[np.float64]


def evaluated_part(split: Split) -> str:
    """Return the test part, or the validation part if the test part is empty."""
    return "test" if len(split.test) else "validation"


def build_report(
    strategy: Strategy,
    bars: Bars,
    data: PreparedData,
    trained: TrainedNetwork,
    scores: dict[str, PartScores],
) -> dict[str, Any]:
    """Return the report; its scores are those of `evaluated_part`."""
    dataset, split = data.dataset, data.split
    part = evaluated_part(split)
    importance = permutation_importance(
        trained.network,
        data.x,
        sequence_length(strategy.model),
        data.parts[part],
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
        "boundaries": [time.isoformat() for time in _boundaries(split)],
        "purged": split.purged,
        "left_out": dataset.left_out,
        "fuzzy_sets": fuzzy_curves(strategy, bars, *_boundaries(split)[:2]),
    }
    if strategy.is_classification:
        actual = scores[part].actual.astype(np.int64)
        matrix = confusion(actual, scores[part].predictions.argmax(axis=1))
        report |= {
            "confusion_matrix": {"labels": list(CLASS_NAMES), "matrix": matrix.tolist()},
            "classes": per_class(matrix),
            "calibration": calibration(scores[part].predictions, actual),
            "label_balance": label_balance(dataset, split),
        }
    else:
        report["forecasts"] = forecast_bins(scores[part].predictions, scores[part].actual)
    if isinstance(trained.network, TSK):
        report |= describe_rules(
            trained.network,
            trained.initial_weights,
            data.scaler,
            data.x[dataset.row[split.train]],
            strategy.input_names,
            label_mean=data.label_mean,
            label_scale=data.label_scale,
        )
    return report


def _curves(trained: TrainedNetwork) -> list[dict[str, float]]:
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


def _boundaries(split: Split) -> list[pd.Timestamp]:
    """Return the first time of each part, as used for the purge."""
    return [pd.Timestamp(time, tz="UTC") for time in split.boundaries]


def _splits(dataset: Dataset, split: Split) -> list[dict[str, Any]]:
    """Return the first and last row of each part that has rows."""
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
    """Return part -> class -> fraction of its rows."""
    balance = {}
    for name in PARTS:
        label = dataset.label[getattr(split, name)]
        if len(label):
            shares = [float((label == value).mean()) for value in (-1, 0, 1)]
            balance[name] = dict(zip(CLASS_NAMES, shares, strict=True))
    return balance
