"""Names, order and units of training scores."""

from dataclasses import dataclass
from typing import Any

from operations.presentation.metrics import MetricStyle
from operations.presentation.numbers import integer, percent, short, words

NAMES = {
    "accuracy": "Accuracy",
    "majority_accuracy": "Majority-class baseline",
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
PARTS = ("test", "validation", "train")
HEADLINES = 3


@dataclass(frozen=True, slots=True)
class Score:
    """One score on the three parts of the data, formatted."""

    name: str
    train: str
    validation: str
    test: str


def scores(result: dict[str, Any]) -> list[Score]:
    """Format the scores in display order, then unknown ones of newer workers, then the number of rows."""
    metrics = result.get("metrics") or {}
    parts = [metrics.get(part) or {} for part in ("train", "validation", "test")]
    known = [name for name in NAMES if any(name in part for part in parts)]
    others = dict.fromkeys(name for part in parts for name in part if name not in NAMES)
    rows = result.get("rows") or {}
    return [
        *(_score(name, [part.get(name) for part in parts]) for name in (*known, *others)),
        Score("Rows", integer(rows.get("train")), integer(rows.get("validation")), integer(rows.get("test"))),
    ]


def _score(name: str, values: list[Any]) -> Score:
    formatter = percent if name in SHARES else short
    return Score(
        NAMES.get(name, name.replace("_", " ").capitalize()), *(formatter(value) for value in values)
    )


def headlines(scores: list[Score]) -> list[Score]:
    """Select the scores for the tiles at the top of the page."""
    return [score for score in scores if score.name not in ("Rows", NAMES["majority_accuracy"])][:HEADLINES]


def metric_style(name: str) -> MetricStyle:
    """Return the style of a dotted name like `test.accuracy`: known scores first, the test part before the others."""
    part, _, key = name.rpartition(".")
    title = f"{NAMES.get(key, words(key))}, {part}" if part else NAMES.get(key, words(key))
    names, parts = list(NAMES), list(PARTS)
    rank = (parts.index(part) if part in parts else len(parts)) * 100 + (
        names.index(key) if key in names else len(names)
    )
    return MetricStyle(title, percent if key in SHARES else short, rank)
