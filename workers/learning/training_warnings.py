"""Warn about trainings whose model should not be trusted."""

import math

import numpy as np

from workers.learning.constant_inputs import constant_inputs
from workers.learning.evaluation import CLASS_NAMES, PartScores
from workers.learning.prepared_data import Bars, PreparedData
from workers.learning.training_loop import TrainedNetwork
from workers.learning.training_report import evaluated_part
from workers.market_data.quality import suspected_splits
from workers.strategy.grammar import TrainedStrategy

ROWS_PER_WEIGHT = 3
STANDARD_ERRORS = 2.0
MAX_NAMED = 8

Warnings = list[tuple[str, str]]
"""(code, message)"""


def collect_warnings(
    strategy: TrainedStrategy,
    bars: Bars,
    data: PreparedData,
    trained: TrainedNetwork,
    scores: dict[str, PartScores],
    weights: int,
) -> list[dict[str, str]]:
    """Return `[{code, message}]`, the most serious first. `weights`: number of trainable weights."""
    part = evaluated_part(data.split)
    warnings = [
        *_no_skill(strategy, data, scores[part], part),
        *_missing_classes(strategy, data),
        *warn_of_constant_inputs(strategy, data),
        *_few_rows(data, weights),
        *_no_test(part),
        *_stopping(trained),
        *_splits(bars, strategy.base_timeframe),
    ]
    return [{"code": code, "message": message} for code, message in warnings]


def _no_skill(strategy: TrainedStrategy, data: PreparedData, scores: PartScores, part: str) -> Warnings:
    """Warn if the scores could be chance.

    Rows whose labels depend on the same bars are one observation, not many, so the standard error counts windows.
    """
    metrics = scores.metrics
    if not strategy.is_classification:
        r2 = metrics["r2"]
        if r2 is None or r2 > 0:
            return []
        message = f"On the {part} part the forecasts are not better than the mean (r2 {r2:.3f})."
        return [("no_skill", message)]
    classes = len(np.unique(scores.actual))
    skill = metrics["balanced_accuracy"]
    if skill is None or classes < 2:
        return []
    times = len(np.unique(data.dataset.time[getattr(data.split, part)]))
    chance = 1.0 / classes
    error = math.sqrt(chance * (1.0 - chance) / max(1.0, times / strategy.label_horizon))
    if skill > chance + STANDARD_ERRORS * error:
        return []
    message = (
        f"On the {part} part the balanced accuracy is {100 * skill:.1f} %; chance alone gives {100 * chance:.1f} % "
        f"(standard error {100 * error:.1f} %): no evidence of skill."
    )
    return [("no_skill", message)]


def _missing_classes(strategy: TrainedStrategy, data: PreparedData) -> Warnings:
    if not strategy.is_classification:
        return []
    present = np.unique(data.parts["train"].y)
    missing = [name for number, name in enumerate(CLASS_NAMES) if number not in present]
    if not missing:
        return []
    message = f"No row of the training part is labelled {' or '.join(missing)}; the model cannot learn it."
    return [("missing_class", message)]


def warn_of_constant_inputs(strategy: TrainedStrategy, data: PreparedData) -> Warnings:
    """Warn about inputs without information, such as memberships in another unit than their indicator's."""
    constants = constant_inputs(strategy, data)
    if not constants:
        return []
    named = ", ".join(f"{name} ({value:g})" for name, value in list(constants.items())[:MAX_NAMED])
    others = f" and {len(constants) - MAX_NAMED} others" if len(constants) > MAX_NAMED else ""
    message = (
        f"Inputs that are constant in at least 99.9 % of the training part: {named}{others}; "
        "compare their fuzzy sets with the values of the indicator."
    )
    return [("constant_inputs", message)]


def _few_rows(data: PreparedData, weights: int) -> Warnings:
    rows = len(data.split.train)
    if rows >= ROWS_PER_WEIGHT * weights:
        return []
    message = f"{weights:,} weights were fitted to {rows:,} rows: the model can memorise them."
    return [("few_rows", message)]


def _no_test(part: str) -> Warnings:
    if part == "test":
        return []
    message = (
        "Without a test part, the metrics are those of the validation part, by which the epoch was chosen."
    )
    return [("no_test", message)]


def _splits(bars: Bars, timeframe: str) -> Warnings:
    splits = {symbol: suspected_splits(frames[timeframe]) for symbol, frames in bars.items()}
    named = [f"{symbol} on {dates[0]:%Y-%m-%d}" for symbol, dates in splits.items() if len(dates)]
    if not named:
        return []
    message = (
        f"Prices jump as at a stock split ({', '.join(named)}): "
        "if they are not adjusted, the model learns such a jump as a return."
    )
    return [("splits", message)]


def _stopping(trained: TrainedNetwork) -> Warnings:
    if trained.stopped == "diverged":
        message = (
            f"The loss became NaN or infinite after epoch {trained.epochs}; "
            f"the model is that of epoch {trained.best_epoch}."
        )
        return [("diverged", message)]
    if trained.stopped == "epochs" and trained.best_epoch == trained.epochs > 1:
        message = "The validation loss was lowest in the last epoch: more epochs may help."
        return [("unfinished", message)]
    if trained.best_epoch == 1 and trained.epochs > 1:
        return [
            ("learned_nothing", "The validation loss was lowest after the first epoch and then only rose.")
        ]
    return []
