"""The scores of a training in the order in which people ask for them, shares in per cent."""

from dataclasses import dataclass
from typing import Any

from operations.presentation.numbers import percent, short, whole

NAMES = {
    "accuracy": "Accuracy",
    "majority_accuracy": "Commonest class alone",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "Matthews correlation",
    "log_loss": "Log loss",
    "loss": "Loss",
    "r2": "R²",
    "rmse": "RMSE",
    "mae": "MAE",
}
SHARES = {"accuracy", "majority_accuracy", "balanced_accuracy", "f1", "precision", "recall"}
HEADLINES = 3


@dataclass(frozen=True, slots=True)
class Score:
    """One score on the three parts of the data, as text."""

    name: str
    train: str
    validation: str
    test: str


def scores(result: dict[str, Any]) -> list[Score]:
    """Known ones first; what a newer worker adds comes after; the number of rows at the end."""
    metrics = result.get("metrics") or {}
    parts = [metrics.get(part) or {} for part in ("train", "validation", "test")]
    known = [name for name in NAMES if any(name in part for part in parts)]
    others = dict.fromkeys(name for part in parts for name in part if name not in NAMES)
    rows = result.get("rows") or {}
    return [
        *(_score(name, [part.get(name) for part in parts]) for name in (*known, *others)),
        Score("Rows", whole(rows.get("train")), whole(rows.get("validation")), whole(rows.get("test"))),
    ]


def _score(name: str, values: list[Any]) -> Score:
    reads = percent if name in SHARES else short
    return Score(NAMES.get(name, name.replace("_", " ").capitalize()), *(reads(value) for value in values))


def headlines(found: list[Score]) -> list[Score]:
    """Those that stand large on the page."""
    return [score for score in found if score.name not in ("Rows", NAMES["majority_accuracy"])][:HEADLINES]
