"""Audit the data of a training: no input, scale or row may depend on later bars than it is allowed to."""

import math
import time
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.learning.prepared_data import Bars, PreparedData
from workers.learning.scaling import fit_scaler
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.lookahead import CUTS, FeatureAudit, LookAheadError, audit_features, choose_rows
from workers.strategy.sections.model import sequence_length
from workers.strategy.views import Frames

Floats = NDArray[np.float64]

FEWEST_CUTS = 60
"""Bars to cut at in each of many symbols."""
TOLERANCE = 1e-9
SINGLE_PRECISION = 1e-6
_SCALED_ROWS = 500


def audit_training(strategy: TrainedStrategy, bars: Bars, data: PreparedData) -> dict[str, Any]:
    """Audit the inputs of every symbol as they are trained on, then scales and parts. Raises LookAheadError."""
    started = time.monotonic()
    cuts = max(FEWEST_CUTS, math.ceil(CUTS / len(bars)))
    audits = [_audit_symbol(strategy, symbol, frames, data, cuts) for symbol, frames in bars.items()]
    audit_scales(strategy, data)
    audit_parts(data)
    return {
        "look_ahead": {
            "passed": True,
            "symbols": len(audits),
            "cuts": sum(audit.cuts for audit in audits),
            "rows_compared": sum(audit.rows_compared for audit in audits),
            "largest_difference": max(audit.largest_difference for audit in audits),
            "seconds": time.monotonic() - started,
        }
    }


def _audit_symbol(
    strategy: TrainedStrategy, symbol: str, frames: Frames, data: PreparedData, cuts: int
) -> FeatureAudit:
    dataset = data.dataset
    rows = dataset.rows_of_symbol[symbol]
    index = pd.DatetimeIndex(dataset.bar_time[rows], tz="UTC")
    full = pd.DataFrame(dataset.features[rows], index=index, columns=list(strategy.input_names), copy=False)
    used = dataset.row[(dataset.row >= rows.start) & (dataset.row < rows.stop)] - rows.start
    since = index[max(0, used[0] - sequence_length(strategy.model) + 1)] if len(used) else None
    try:
        return audit_features(strategy, frames, full, since=since, cuts=cuts)
    except LookAheadError as error:
        raise LookAheadError(f"{symbol}: {error}") from error


def audit_scales(strategy: TrainedStrategy, data: PreparedData) -> None:
    """Raise LookAheadError unless the scales of inputs and label are those of the training part alone."""
    dataset, train = data.dataset, data.split.train
    fitted = fit_scaler(strategy, dataset.features[dataset.row[train]])
    for name, own, expected in (
        ("shift", data.scaler.shift, fitted.shift),
        ("scale", data.scaler.scale, fitted.scale),
    ):
        wrong = np.abs(own - expected) > TOLERANCE * np.maximum(np.abs(expected), fitted.scale)
        if wrong.any():
            column = int(wrong.argmax())
            raise LookAheadError(
                f"the {name} of the input {strategy.input_names[column]} is {own[column]:.10g}, but "
                f"{expected[column]:.10g} in the training part: it was fitted on other rows"
            )
    chosen = choose_rows(len(data.x), _SCALED_ROWS)
    expected_x = fitted.apply(dataset.features[chosen])
    if not np.allclose(data.x[chosen], expected_x, rtol=SINGLE_PRECISION, atol=SINGLE_PRECISION):
        raise LookAheadError("the scaled inputs are not those of the scales of the training part")
    if strategy.is_classification:
        return
    label = dataset.label[train]
    mean, scale = float(label.mean()), float(label.std())
    if abs(data.label_mean - mean) > TOLERANCE * scale or abs(data.label_scale - scale) > TOLERANCE * scale:
        raise LookAheadError(
            f"the label is scaled by {data.label_mean:.10g} and {data.label_scale:.10g}, but mean and deviation of the "
            f"training part are {mean:.10g} and {scale:.10g}: they were fitted on other rows"
        )


def audit_parts(data: PreparedData) -> None:
    """Raise LookAheadError if a label of one part depends on a bar of the next one."""
    dataset, split = data.dataset, data.split
    for name, rows, next_start in (
        ("training", split.train, split.boundaries[1]),
        ("validation", split.validation, split.boundaries[2]),
    ):
        if len(split.test) == 0 and name == "validation":
            continue
        late = dataset.end[rows] >= next_start
        if late.any():
            row = rows[int(late.argmax())]
            raise LookAheadError(
                f"the label of the {name} row at {pd.Timestamp(int(dataset.time[row]), tz='UTC')} depends on bars of the "
                f"next part, which starts at {pd.Timestamp(int(next_start), tz='UTC')}"
            )
