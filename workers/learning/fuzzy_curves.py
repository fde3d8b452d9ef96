"""Compute the curves of the model's fuzzy sets, with the distribution of the training data."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.learning.prepared_data import Bars
from workers.strategy.features import attach_calendar, indicator_lines
from workers.strategy.fuzzy import degrees
from workers.strategy.grammar import TrainedStrategy
from workers.strategy.views import View, build_views, frame_key

Floats = NDArray[np.float64]
HISTOGRAM_BINS = 60
CURVE_POINTS = 121
CUT = 0.001
"""Fraction of the data at either end that is counted in the outermost bin."""
NARROW = 1e-9
"""Relative width that 60 bins cannot divide."""
SMALLEST = 1e-200
"""Smaller values count as 0, because floating-point numbers that small are too sparse for 60 bins."""


def fuzzy_curves(
    strategy: TrainedStrategy, bars: Bars, since: pd.Timestamp, until: pd.Timestamp
) -> list[dict[str, Any]]:
    """Return the curves of each fuzzy set, and the histogram of its indicator over the bars of all symbols from `since`
    to `until`."""
    used = dict.fromkeys(
        (feature.timeframe, feature.fuzzy_set)
        for feature in strategy.features
        if feature.fuzzy_set is not None
    )
    views = [build_views(strategy, attach_calendar(strategy, frames)) for frames in bars.values()]
    curves = []
    for timeframe, name in used:
        values = _values(strategy, views, (timeframe, name), since, until)
        if len(values):
            title = name if len(strategy.timeframes) == 1 else f"{timeframe} {name}"
            curves.append({"name": title, **_curve(strategy, name, values)})
    return curves


def _curve(strategy: TrainedStrategy, name: str, values: Floats) -> dict[str, Any]:
    fuzzy_set = strategy.fuzzy_sets[name]
    low, high = float(np.quantile(values, CUT)), float(np.quantile(values, 1 - CUT))
    if high - low <= NARROW * max(abs(low), abs(high), SMALLEST):
        margin = max(0.5, NARROW * abs(low))
        low, high = low - margin, high + margin
    x = np.linspace(low, high, CURVE_POINTS)
    # Two values lie outside their own quantiles; clipped, every value counts.
    counts, edges = np.histogram(np.clip(values, low, high), bins=HISTOGRAM_BINS, range=(low, high))
    density = counts / (len(values) * (edges[1] - edges[0]))
    return {
        "indicator": fuzzy_set.indicator,
        "x": x.tolist(),
        "sets": [
            {"name": member, "y": degrees(x, membership).tolist()}
            for member, membership in fuzzy_set.memberships.items()
        ],
        "histogram": {"x": ((edges[1:] + edges[:-1]) / 2).tolist(), "density": density.tolist()},
    }


def _values(
    strategy: TrainedStrategy,
    views: Iterable[Mapping[str, View]],
    used: tuple[str, str],
    since: pd.Timestamp,
    until: pd.Timestamp,
) -> Floats:
    """Return the finite values of the set's indicator on that timeframe, for all symbols."""
    timeframe, name = used
    indicator, output = strategy.resolve(strategy.fuzzy_sets[name].indicator)
    key = frame_key(strategy.symbol_of(indicator), timeframe)
    parts = []
    for view in (of_symbol[key] for of_symbol in views):
        values = indicator_lines(strategy, view, key).outputs(indicator)[output]
        values = values[(view.bars.bars.index >= since) & (view.bars.bars.index < until)]
        parts.append(values[np.isfinite(values)])
    return np.concatenate(parts)
