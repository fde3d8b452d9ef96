"""Compute the inputs of a model from bars. Training and backtests both use `build_features`.

A row belongs to a bar of the base timeframe and contains only values that are known when that bar closes. From
another timeframe it uses the newest bar that has closed by then, never one that is still forming.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workers.market_data.bars import check_shape
from workers.market_data.calendars import calendar_of
from workers.market_data.errors import MarketDataError
from workers.market_data.resampling import resample
from workers.market_data.sessions import NANOSECONDS_A_DAY, UnixNanoseconds
from workers.market_data.timeframes import close_times, nanoseconds
from workers.strategy.definition import Feature, Strategy
from workers.strategy.fuzzy import degrees
from workers.strategy.indicator_expressions import fields_of
from workers.strategy.indicator_lines import IndicatorLines
from workers.strategy.indicators.columns import BarColumns, Floats
from workers.strategy.indicators.compute import compute_unchecked
from workers.strategy.sections.model_inputs import Indicator


class NoCompleteRow(MarketDataError):
    """No bar has every input."""


class NoVolume(MarketDataError):
    """An indicator needs volume, but every volume is 0."""


Frames = Mapping[str, pd.DataFrame]
"""Timeframe to the bars of one symbol."""

_STALE_LENGTHS = 3
_STALE_DAYS = 7
"""A value of another timeframe is used for three of its bars plus a week of closed markets, then it is stale."""


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
    """Return the frames that the strategy uses, with their shape checked and the calendar of the base bars attached.

    Raises `MarketDataError` if the base timeframe is missing or a frame does not have the shape of bars.
    """
    if strategy.base_timeframe not in frames:
        available = ", ".join(frames) or "none"
        raise MarketDataError(f"the strategy needs {strategy.base_timeframe} bars; available: {available}")
    calendar = calendar_of(check_shape(frames[strategy.base_timeframe]))
    checked = {}
    for timeframe in strategy.timeframes:
        if timeframe in frames:
            checked[timeframe] = check_shape(frames[timeframe]).copy(deep=False)
            checked[timeframe].attrs["calendar"] = calendar
    return checked


def input_matrix(strategy: Strategy, frames: Frames) -> Floats:
    """Return one row for each base bar and one column for each input, NaN if missing; float64[n, inputs].

    `frames` come from `attach_calendar`.
    """
    present = len(strategy.features)
    lags = strategy.lookback_periods
    inputs = np.empty((len(frames[strategy.base_timeframe]), present * (lags + 1)), order="F")
    views = build_views(strategy, frames)
    for column, values in enumerate(feature_columns(strategy, views)):
        inputs[:, column] = values
    for lag in range(1, lags + 1):
        earlier = inputs[:, lag * present : (lag + 1) * present]
        earlier[:lag] = np.nan
        earlier[lag:] = inputs[:-lag, :present]
    return inputs


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """Bars of one timeframe and, for each base bar, the position of the newest closed bar (-1: none)."""

    bars: BarColumns
    position: npt.NDArray[np.intp] | None

    def at_base(self, values: Floats) -> Floats:
        if self.position is None:
            return values
        return np.where(self.position >= 0, values[np.maximum(self.position, 0)], np.nan)


def build_views(strategy: Strategy, frames: Frames) -> dict[str, View]:
    """Return the view of each timeframe that an input uses; `frames` come from `attach_calendar`."""
    base = frames[strategy.base_timeframe]
    now = close_times(pd.DatetimeIndex(base.index), strategy.base_timeframe, calendar_of(base))
    timeframes = dict.fromkeys(feature.timeframe for feature in strategy.features)
    return {timeframe: _view(timeframe, strategy, frames, now) for timeframe in timeframes}


def _view(timeframe: str, strategy: Strategy, frames: Frames, now: UnixNanoseconds) -> View:
    base = frames[strategy.base_timeframe]
    if timeframe == strategy.base_timeframe:
        return View(BarColumns(base), None)
    calendar = calendar_of(base)
    if timeframe in frames:
        bars = frames[timeframe]
        closes = close_times(pd.DatetimeIndex(bars.index), timeframe, calendar)
    else:
        bars, closes = resample(base, strategy.base_timeframe, timeframe, calendar)
    position = np.searchsorted(closes, now, side="right") - 1
    oldest = _STALE_LENGTHS * nanoseconds(timeframe) + _STALE_DAYS * NANOSECONDS_A_DAY
    stale = now - closes[np.maximum(position, 0)] > oldest
    return View(BarColumns(bars), np.where(stale, -1, position))


Compute = Callable[[str, BarColumns, Indicator], Mapping[str, Floats]]
"""Computes an indicator of the catalog on the bars of a timeframe."""


def compute_indicator(timeframe: str, bars: BarColumns, indicator: Indicator) -> Mapping[str, Floats]:
    return compute_unchecked(indicator.type, bars, indicator.parameters)


def feature_columns(
    strategy: Strategy, views: Mapping[str, View], compute: Compute = compute_indicator
) -> Iterator[Floats]:
    """Yield the values of each of `strategy.features` at the base bars; float64[n], not to be written to.

    Every indicator is computed once for each timeframe that it is needed on. `views` come from `build_views`.
    """
    lines = {name: indicator_lines(strategy, view.bars, name, compute) for name, view in views.items()}
    for feature in strategy.features:
        values = lines[feature.timeframe].outputs(feature.indicator)[feature.output]
        yield views[feature.timeframe].at_base(encode(values, feature))


def indicator_lines(
    strategy: Strategy, bars: BarColumns, timeframe: str = "", compute: Compute = compute_indicator
) -> IndicatorLines:
    """Return the indicators of the strategy on these bars, computed when they are first needed."""
    return IndicatorLines(
        strategy, len(bars), lambda indicator: compute(timeframe, bars, indicator), bars.value
    )


def encode(values: Floats, feature: Feature) -> Floats:
    """Return the values of an indicator as the input `feature`; float64[n]."""
    return values if feature.membership is None else degrees(values, feature.membership)


def require_volume(strategy: Strategy, frames: Frames) -> None:
    """Raise `NoVolume` if an input needs volume and its bars have none; `frames` come from `attach_calendar`."""
    for feature in strategy.features:
        if "volume" not in fields_of(strategy.indicators, feature.indicator):
            continue
        bars = frames.get(feature.timeframe, frames[strategy.base_timeframe])
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
