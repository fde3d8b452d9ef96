"""`report.json` of a training: what a page draws of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from workers.learning.dataset import Dataset
from workers.learning.evaluation import CLASS_NAMES, Scored, calibration, confusion, per_class
from workers.learning.scaling import Scaler
from workers.learning.splits import PARTS, Split
from workers.learning.trainer import Trained
from workers.learning.tsk import TSK
from workers.strategy.fuzzy import degrees
from workers.strategy.grammar import Strategy

Floats = NDArray[np.float64]
HISTOGRAM_BINS = 60
IMPORTANCE_ROWS = 5000
IMPORTANCE_SEED = 11
CURVE_POINTS = 121
MOST_IN_A_RULE = 4


def build(
    strategy: Strategy,
    dataset: Dataset,
    split: Split,
    trained: Trained,
    scored: dict[str, Scored],
    importance: dict[str, float],
    indicators: dict[str, Floats],
    scaler: Scaler,
) -> dict[str, Any]:
    """`indicators`: values of each fuzzy set's indicator over the training part, for the histograms."""
    part = "test" if len(split.test) else "validation"
    report: dict[str, Any] = {
        "curves": [
            {
                "epoch": e.epoch,
                "train_loss": e.train_loss,
                "validation_loss": e.validation_loss,
                "train_score": e.train_score,
                "validation_score": e.validation_score,
                "learning_rate": e.learning_rate,
            }
            for e in trained.history
        ],
        "best_epoch": trained.best_epoch,
        "stopped": trained.stopped,
        "importance": importance,
        "splits": _splits(dataset, split),
        "left_out": dataset.left_out,
        "evaluated_on": part,
        "fuzzy_sets": fuzzy_sets(strategy, indicators),
    }
    if strategy.is_classification:
        truth = scored[part].truth.astype(np.int64)
        matrix = confusion(truth, scored[part].predictions.argmax(axis=1))
        report |= {
            "confusion_matrix": {"labels": list(CLASS_NAMES), "matrix": matrix.tolist()},
            "classes": per_class(matrix),
            "calibration": calibration(scored[part].predictions, truth),
            "label_balance": _balance(dataset, split),
        }
    if isinstance(trained.network, TSK):
        report |= tsk_rules(trained, scaler, strategy, dataset, split)
    return report


def _splits(dataset: Dataset, split: Split) -> list[dict[str, Any]]:
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


def _balance(dataset: Dataset, split: Split) -> dict[str, float]:
    label = dataset.label[split.train]
    return {name: float((label == value).mean()) for name, value in zip(CLASS_NAMES, (-1, 0, 1), strict=True)}


def fuzzy_sets(strategy: Strategy, indicators: dict[str, Floats]) -> list[dict[str, Any]]:
    """Each fuzzy set's curves over the range of the data, with the data's histogram."""
    drawn = []
    for name, fuzzy_set in strategy.fuzzy_sets.items():
        values = indicators.get(name)
        if values is None or len(values) == 0:
            continue
        low, high = float(np.quantile(values, 0.001)), float(np.quantile(values, 0.999))
        if not high > low:
            low, high = low - 0.5, high + 0.5
        x = np.linspace(low, high, CURVE_POINTS)
        density, edges = np.histogram(values, bins=HISTOGRAM_BINS, range=(low, high), density=True)
        drawn.append(
            {
                "name": name,
                "indicator": fuzzy_set.indicator,
                "x": x.tolist(),
                "sets": [
                    {"name": member, "y": degrees(x, membership).tolist()}
                    for member, membership in fuzzy_set.memberships.items()
                ],
                "histogram": {"x": ((edges[1:] + edges[:-1]) / 2).tolist(), "density": density.tolist()},
            }
        )
    return drawn


def permutation_importance(
    score: Callable[[Floats], float], features: Floats, names: tuple[str, ...], rows: NDArray[np.int64]
) -> dict[str, float]:
    """How much worse the score gets when one input is shuffled among `rows` (Breiman 2001); larger matters more.

    `score(features)` takes the whole matrix and looks at `rows`; at most 5,000 of them are used, seeded.
    """
    generator = np.random.default_rng(IMPORTANCE_SEED)
    base = score(features)
    found = {}
    for column, name in enumerate(names):
        kept = features[rows, column].copy()
        features[rows, column] = generator.permutation(kept)
        found[name] = base - score(features)
        features[rows, column] = kept
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def tsk_rules(
    trained: Trained, scaler: Scaler, strategy: Strategy, dataset: Dataset, split: Split
) -> dict[str, Any]:
    """Rules as text in the inputs' own units, how much each is used, and the sets before and after training."""
    network = trained.network
    assert isinstance(network, TSK)
    x = torch.from_numpy(scaler.apply(dataset.features[dataset.row[split.train]]))
    with torch.no_grad():
        usage = network.cpu().firing(x).mean(0).numpy()
    weights = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    before = {name: tensor.numpy() for name, tensor in trained.before.items()}
    rules, sets = [], []
    for number in np.argsort(-usage).tolist():
        text = _rule_text(weights, number, scaler, strategy)
        rules.append(f"[used {usage[number]:.1%}] {text}")
        sets.append(
            {
                "rule": number,
                "usage": float(usage[number]),
                "before": _centres(before, number, scaler, strategy.input_names),
                "after": _centres(weights, number, scaler, strategy.input_names),
            }
        )
    return {"rules": rules, "rule_sets": sets}


def _rule_text(weights: dict[str, Any], rule: int, scaler: Scaler, strategy: Strategy) -> str:
    centre = weights["centres"][rule] * scaler.scale + scaler.shift
    width = np.exp(weights["log_widths"][rule]) * scaler.scale
    # The narrowest sets, in the inputs' own spread, say most about when the rule fires.
    telling = np.argsort(weights["log_widths"][rule])[:MOST_IN_A_RULE]
    when = " AND ".join(
        f"{strategy.input_names[i]} is near {centre[i]:.4g} (+-{width[i]:.2g})" for i in telling
    )
    constant = weights["constant"][rule]
    if strategy.is_classification:
        says = CLASS_NAMES[int(constant.argmax())]
        return f"IF {when} THEN {says} ({', '.join(f'{n} {v:+.2f}' for n, v in zip(CLASS_NAMES, constant, strict=True))})"
    return f"IF {when} THEN forecast {constant[0]:+.3g} (in standard deviations of the label)"


def _centres(
    weights: dict[str, Any], rule: int, scaler: Scaler, names: tuple[str, ...]
) -> dict[str, list[float]]:
    """Input -> [centre, width] in its own units."""
    centre = weights["centres"][rule] * scaler.scale + scaler.shift
    width = np.exp(weights["log_widths"][rule]) * scaler.scale
    return {name: [float(c), float(w)] for name, c, w in zip(names, centre, width, strict=True)}
