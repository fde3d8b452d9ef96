"""How far a training may be believed: plain warnings."""

import math

import numpy as np

from workers.learning.evaluation import CLASS_NAMES, Scored
from workers.learning.material import Bars, Material
from workers.learning.report import held_out
from workers.learning.trainer import Trained
from workers.market_data.quality import suspected_splits
from workers.strategy.grammar import Strategy

ROWS_PER_WEIGHT = 3
STANDARD_ERRORS = 2.0


def warnings(
    strategy: Strategy,
    bars: Bars,
    material: Material,
    trained: Trained,
    scored: dict[str, Scored],
    weights: int,
) -> list[dict[str, str]]:
    """`[{code, message}]`, the plainest first. `weights`: trainable numbers of the network."""
    part = held_out(material.split)
    found = _no_skill(strategy, material, scored[part], part)
    if strategy.is_classification:
        found += _missing_classes(material)
    rows = len(material.split.train)
    if rows < ROWS_PER_WEIGHT * weights:
        message = f"{weights:,} weights were fitted to {rows:,} rows: the model can learn them by heart."
        found.append(("few_rows", message))
    if part == "validation":
        message = "There is no test part: the figures are of the part by which the epoch was chosen."
        found.append(("no_test", message))
    found += _stopping(trained)
    found += _splits(bars, strategy.base_timeframe)
    return [{"code": code, "message": message} for code, message in found]


def _no_skill(strategy: Strategy, material: Material, scored: Scored, part: str) -> list[tuple[str, str]]:
    """Rows whose labels look at the same bars are one observation, not many: the standard error counts windows."""
    metrics = scored.metrics
    if not strategy.is_classification:
        r2 = metrics["r2"]
        if r2 is None or r2 > 0:
            return []
        message = f"On the {part} part the forecasts are no better than the mean (r2 {r2:.3f})."
        return [("no_skill", message)]
    classes = len(np.unique(scored.truth))
    skill = metrics["balanced_accuracy"]
    if skill is None or classes < 2:
        return []
    moments = len(np.unique(material.dataset.time[getattr(material.split, part)]))
    chance = 1.0 / classes
    error = math.sqrt(chance * (1.0 - chance) / max(1.0, moments / strategy.label_horizon))
    if skill > chance + STANDARD_ERRORS * error:
        return []
    message = (
        f"On the {part} part the balanced accuracy is {100 * skill:.1f} %, where chance gives {100 * chance:.1f} % "
        f"(standard error {100 * error:.1f} %): no skill can be told."
    )
    return [("no_skill", message)]


def _missing_classes(material: Material) -> list[tuple[str, str]]:
    present = np.unique(material.parts["train"].y)
    missing = [name for number, name in enumerate(CLASS_NAMES) if number not in present]
    if not missing:
        return []
    return [
        ("missing_class", f"No row of the training part is {' or '.join(missing)}: it cannot be learned.")
    ]


def _splits(bars: Bars, timeframe: str) -> list[tuple[str, str]]:
    jumps = {symbol: suspected_splits(frames[timeframe]) for symbol, frames in bars.items()}
    named = [f"{symbol} on {found[0]:%Y-%m-%d}" for symbol, found in jumps.items() if len(found)]
    if not named:
        return []
    message = (
        f"Prices jump as by a split ({', '.join(named)}): "
        "where they are not adjusted, such a jump is learned as a return."
    )
    return [("splits", message)]


def _stopping(trained: Trained) -> list[tuple[str, str]]:
    if trained.stopped == "diverged":
        message = (
            f"The loss became no number after epoch {trained.epochs}; epoch {trained.best_epoch} is kept."
        )
        return [("diverged", message)]
    if trained.stopped == "epochs" and trained.best_epoch == trained.epochs > 1:
        message = "The validation loss was lowest in the last epoch: more epochs may help."
        return [("unfinished", message)]
    if trained.best_epoch == 1 and trained.epochs > 1:
        return [("learned_nothing", "The validation loss was lowest after the first epoch and only rose.")]
    return []
