"""Compute the inputs of a model from bars. Training and backtests both use `build_features`.

A row belongs to a bar of the base timeframe and contains only values that are known when that bar closes. From
another timeframe it uses the newest bar that has closed by then, never one that is still forming.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.bars import check_shape
from workers.market_data.calendars import calendar_of
from workers.market_data.errors import MarketDataError
from workers.strategy.definition import Feature, Strategy
from workers.strategy.fuzzy import degrees
from workers.strategy.indicator_expressions import fields_of
from workers.strategy.indicator_lines import IndicatorLines
from workers.strategy.indicators.columns import BarColumns, Floats
from workers.strategy.indicators.compute import compute_unchecked
from workers.strategy.sections.model_inputs import Indicator
from workers.strategy.views import (
    Frames,
    View,
    build_views,
    frame_key,
    require_base_bars,
    symbol_of,
    timeframe_of,
)


class NoCompleteRow(MarketDataError):
    """No bar has every input."""


class NoVolume(MarketDataError):
    """An indicator needs volume, but every volume is 0."""


Compute = Callable[[str, BarColumns, Indicator], Mapping[str, Floats]]
"""Computes an indicator of the catalog on the bars of a frame with this key."""


def build_features(strategy: Strategy, frames: Frames) -> pd.DataFrame:
    """Return the unscaled inputs of one symbol: float64, one column for each of `strategy.input_names`, in order.

    The index contains the opening times of the base bars that have every input; `attrs["left_out"]` counts the
    others (`warm_up` at the start, `gaps` later). A timeframe that `frames` lacks is resampled from the base bars by
    session. Raises `MarketDataError` if a timeframe cannot be resampled, required volume is missing, or no row is left.
    """
    frames = attach_calendar(strategy, frames)
    require_volume(strategy, frames)
    return complete_rows(strategy, input_matrix(strategy, frames), frames)


def complete_rows(strategy: Strategy, inputs: Floats, frames: Frames) -> pd.DataFrame:
    """Return the rows of `input_matrix` that have every input, as `build_features` does. Raises `NoCompleteRow`."""
    usable: npt.NDArray[np.bool_] = np.logical_not(np.isnan(inputs).any(axis=1))
    usable[: strategy.training_data.history_required] = False
    if not usable.any():
        raise NoCompleteRow(_too_short_message(strategy, len(inputs)))
    rows = np.flatnonzero(usable)
    first = int(rows[0])
    index = pd.DatetimeIndex(frames[strategy.base_timeframe].index)[rows]
    features = pd.DataFrame(
        _select_rows(inputs, rows), index=index, columns=list(strategy.input_names), copy=False
    )
    features.attrs["left_out"] = {"warm_up": first, "gaps": int((~usable[first:]).sum())}
    return features


def _select_rows(matrix: Floats, rows: npt.NDArray[np.intp]) -> Floats:
    """Return these rows of `matrix`, as a view if they are all rows from the first one on."""
    return matrix[rows[0] :] if len(matrix) - rows[0] == len(rows) else matrix[rows]


def attach_calendar(strategy: Strategy, frames: Frames) -> dict[str, pd.DataFrame]:
    """Return the frames that the strategy uses, with their shape checked and the calendar of their base bars attached.

    Raises `MarketDataError` if base bars are missing or a frame does not have the shape of bars.
    """
    require_base_bars(strategy, frames)
    checked = {}
    for symbol in ("", *strategy.other_symbols):
        calendar = calendar_of(check_shape(frames[frame_key(symbol, strategy.base_timeframe)]))
        for key in (frame_key(symbol, timeframe) for timeframe in strategy.timeframes):
            if key in frames:
                checked[key] = check_shape(frames[key]).copy(deep=False)
                checked[key].attrs["calendar"] = calendar
    return checked


def input_matrix(strategy: Strategy, frames: Frames) -> Floats:
    """Return one row for each base bar and one column for each input, NaN if missing; float64[n, inputs].

    `frames` come from `attach_calendar`.
    """
    present = len(strategy.features)
    lags = strategy.lookback_periods
    inputs = np.empty((len(frames[strategy.base_timeframe]), present * (lags + 1)), order="F")
    for column, values in enumerate(feature_columns(strategy, build_views(strategy, frames))):
        inputs[:, column] = values
    for lag in range(1, lags + 1):
        earlier = inputs[:, lag * present : (lag + 1) * present]
        earlier[:lag] = np.nan
        earlier[lag:] = inputs[:-lag, :present]
    return inputs


def compute_indicator(key: str, bars: BarColumns, indicator: Indicator) -> Mapping[str, Floats]:
    return compute_unchecked(indicator.type, bars, indicator.parameters)


def feature_columns(
    strategy: Strategy, views: Mapping[str, View], compute: Compute = compute_indicator
) -> Iterator[Floats]:
    """Yield the values of each of `strategy.features` at the base bars; float64[n], not to be written to.

    Every indicator is computed once on each frame that it is needed on. `views` come from `build_views`.
    """
    lines = {key: indicator_lines(strategy, view, key, compute) for key, view in views.items()}
    for feature in strategy.features:
        key = strategy.frame_of(feature)
        values = lines[key].outputs(feature.indicator)[feature.output]
        yield views[key].at_base(encode(values, feature))


def indicator_lines(
    strategy: Strategy, view: View, key: str, compute: Compute = compute_indicator
) -> IndicatorLines:
    """Return the indicators of the strategy on the bars of a view, computed when they are first needed."""
    others = {
        symbol: indicator_lines(strategy, joined, frame_key(symbol, timeframe_of(key)), compute)
        for symbol, joined in view.joined.items()
    }

    def of_other(name: str, output: str) -> Floats:
        symbol = strategy.symbol_of(name)
        return view.joined[symbol].at_base(others[symbol].outputs(name)[output])

    return IndicatorLines(
        strategy,
        symbol_of(key),
        len(view.bars),
        lambda indicator: compute(key, view.bars, indicator),
        view.bars.value,
        of_other,
    )


def encode(values: Floats, feature: Feature) -> Floats:
    """Return the values of an indicator as the input `feature`; float64[n]."""
    return values if feature.membership is None else degrees(values, feature.membership)


def require_volume(strategy: Strategy, frames: Frames) -> None:
    """Raise `NoVolume` if an input needs volume and its bars have none; `frames` come from `attach_calendar`."""
    for feature in strategy.features:
        if "volume" not in fields_of(strategy.indicators, feature.indicator):
            continue
        symbol = strategy.symbol_of(feature.indicator)
        base = frames[frame_key(symbol, strategy.base_timeframe)]
        bars = frames.get(strategy.frame_of(feature), base)
        if not bars["volume"].to_numpy().any():
            kind = strategy.indicator(feature.indicator).type
            raise NoVolume(
                f"{feature.indicator} ({kind}) needs volume, but every volume of the {feature.timeframe} bars is 0"
            )


def _too_short_message(strategy: Strategy, bars: int) -> str:
    needed = {
        f"{f.indicator} on {f.timeframe}": strategy.warm_up_rows(f.indicator) for f in strategy.features
    }
    longest = max(needed, key=lambda name: needed[name])
    return (
        f"none of the {bars} bars of {strategy.base_timeframe} has all inputs: {longest} has no value in its "
        f"first {needed[longest]} bars, and history_required is {strategy.training_data.history_required}"
    )
