"""Build `report.json` of a training: the data of its charts and tables."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.learning.constant_inputs import constant_inputs
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
from workers.learning.prepared_data import Bars, PreparedData
from workers.learning.splits import PARTS, Split
from workers.learning.training_loop import TrainedNetwork
from workers.learning.tsk import TSK
from workers.learning.tsk_rules import describe_rules
from workers.report_parts import Part, build_parts
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.sections.model import sequence_length

Floats = NDArray[np.float64]


def evaluated_part(split: Split) -> str:
    """Return the test part, or the validation part if the test part is empty."""
    return "test" if len(split.test) else "validation"


def build_report(
    strategy: TrainedStrategy,
    bars: Bars,
    data: PreparedData,
    trained: TrainedNetwork,
    scores: dict[str, PartScores],
) -> tuple[dict[str, Any], dict[str, Exception]]:
    """Return the report, whose scores are those of `evaluated_part`, and the errors of the parts that it lacks."""
    dataset, split = data.dataset, data.split
    part = evaluated_part(split)
    parts: dict[str, Part] = {
        "the learning curves": lambda: {"curves": _curves(trained)},
        "the facts of the training": lambda: {
            "best_epoch": trained.best_epoch,
            "stopped": trained.stopped,
            "evaluated_on": part,
            "purged": split.purged,
            "left_out": dataset.left_out,
        },
        "the importance of the inputs": lambda: _importance(strategy, data, trained, part),
        "the parts": lambda: {
            "splits": _splits(dataset, split),
            "boundaries": [time.isoformat() for time in _boundaries(split)],
        },
        "the fuzzy sets": lambda: {"fuzzy_sets": fuzzy_curves(strategy, bars, *_boundaries(split)[:2])},
        "the constant inputs": lambda: {"constant_inputs": constant_inputs(strategy, data)},
    }
    if strategy.is_classification:
        parts["the confusion matrix"] = lambda: _confusion(scores[part])
        parts["the calibration"] = lambda: {
            "calibration": calibration(scores[part].predictions, scores[part].actual.astype(np.int64))
        }
        parts["the label balance"] = lambda: {"label_balance": label_balance(dataset, split)}
    else:
        parts["the forecasts"] = lambda: {
            "forecasts": forecast_bins(scores[part].predictions, scores[part].actual)
        }
    network = trained.network
    if isinstance(network, TSK):
        parts["the rules"] = lambda: describe_rules(
            network,
            trained.initial_weights,
            data.scaler,
            data.x[dataset.row[split.train]],
            strategy.input_names,
            label_mean=data.label_mean,
            label_scale=data.label_scale,
        )
    return build_parts(parts)


def _importance(
    strategy: TrainedStrategy, data: PreparedData, trained: TrainedNetwork, part: str
) -> dict[str, Any]:
    importance = permutation_importance(
        trained.network,
        data.x,
        sequence_length(strategy.model),
        data.parts[part],
        tuple(feature.name for feature in strategy.features),
    )
    return {"importance": importance["values"], "importance_of": importance["of"]}


def _confusion(scores: PartScores) -> dict[str, Any]:
    matrix = confusion(scores.actual.astype(np.int64), scores.predictions.argmax(axis=1))
    return {
        "confusion_matrix": {"labels": list(CLASS_NAMES), "matrix": matrix.tolist()},
        "classes": per_class(matrix),
    }


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
