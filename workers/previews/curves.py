"""Curves of the indicators and fuzzy sets that a strategy uses, at the base bars of one symbol."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from workers.strategy.definition import Feature, Strategy
from workers.strategy.features import attach_calendar, encode, indicator_lines, require_volume
from workers.strategy.indicator_expressions import FIELD_INDICATORS
from workers.strategy.views import Frames, build_views

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Values at the base bars, float64[bars] each, NaN where one is missing."""

    indicators: dict[str, Floats]
    """Name such as `rsi_14` or `trend@1w` -> its line; without the fields of the bars."""
    fuzzy: dict[str, dict[str, Floats]]
    """Name of a fuzzy set, with its timeframe if there are several -> name of a membership -> degrees."""
    inputs: dict[str, Floats]
    """Name of an input of one bar -> its values."""


def compute_curves(strategy: Strategy, frames: Frames) -> Curves:
    """Compute every indicator and membership that is an input. Raises `MarketDataError` as `build_features` does."""
    frames = attach_calendar(strategy, frames)
    require_volume(strategy, frames)
    views = build_views(strategy, frames)
    lines = {key: indicator_lines(strategy, view, key) for key, view in views.items()}
    curves = Curves({}, {}, {})
    for feature in strategy.features:
        key = strategy.frame_of(feature)
        values = lines[key].outputs(feature.indicator)[feature.output]
        degrees = views[key].at_base(encode(values, feature))
        curves.inputs[feature.name] = degrees
        if feature.indicator not in FIELD_INDICATORS:
            curves.indicators.setdefault(_line_name(strategy, feature), views[key].at_base(values))
        if feature.fuzzy_set is not None:
            members = curves.fuzzy.setdefault(_with_timeframe(strategy, feature.fuzzy_set, feature), {})
            members[_member_name(feature)] = degrees
    return curves


def _line_name(strategy: Strategy, feature: Feature) -> str:
    output = "" if feature.output == "value" else f".{feature.output}"
    return _with_timeframe(strategy, f"{feature.indicator}{output}", feature)


def _with_timeframe(strategy: Strategy, name: str, feature: Feature) -> str:
    return name if feature.timeframe == strategy.base_timeframe else f"{name}@{feature.timeframe}"


def _member_name(feature: Feature) -> str:
    """Return `low` of an input named `1d_momentum_low` or `momentum.low`."""
    assert feature.fuzzy_set is not None, "only memberships have a member's name"
    return feature.name.partition(feature.fuzzy_set)[2].lstrip("._").partition("@")[0]
