"""`build_features`, used by training and backtests: names, order, and no look-ahead."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.strategy.conftest import random_bars, strategy_with
from workers.market_data.errors import MarketDataError
from workers.market_data.resampling import resample
from workers.strategy.features import build_features
from workers.strategy.fuzzy import degrees
from workers.strategy.grammar import Strategy
from workers.strategy.indicators import compute
from workers.strategy.sections.model_inputs import Membership


def on_timeframes(base: str, *others: str, inputs: list[dict[str, Any]] | None = None) -> Strategy:
    def change(data: dict[str, Any]) -> None:
        timeframes = {"mode": "multi_timeframe", "list": [base, *others], "base_timeframe": base}
        data["training_data"]["timeframes"] = timeframes
        if inputs is not None:
            data["nn_inputs"] = inputs

    return strategy_with(change)


WEEKLY = on_timeframes("1d", "1w", inputs=[{"raw_indicator": "rsi_14", "timeframes": ["1d", "1w"]}])


def test_inputs_are_sorted_by_name(bars: pd.DataFrame) -> None:
    features = build_features(on_timeframes("1d", "1w"), {"1d": bars})
    assert list(features.columns) == [
        "1d_momentum_high", "1d_momentum_low", "1w_momentum_high", "1w_momentum_low",
    ]  # fmt: skip


def test_the_warm_up_is_dropped_and_not_filled(bars: pd.DataFrame) -> None:
    features = build_features(strategy_with(lambda data: None), {"1d": bars})
    assert len(features) == len(bars) - 14
    assert features.index[0] == bars.index[14]
    assert features.attrs["left_out"] == {"warm_up": 14, "gaps": 0}
    assert features.notna().all(axis=None)


def test_rows_affected_by_a_missing_value_are_left_out_and_counted(bars: pd.DataFrame) -> None:
    spoiled = bars.copy()
    spoiled.iloc[100, spoiled.columns.get_loc("close")] = np.nan
    features = build_features(strategy_with(lambda data: None), {"1d": spoiled})
    assert features.attrs["left_out"] == {"warm_up": 14, "gaps": 15}
    assert spoiled.index[100] not in features.index


def test_history_required_leaves_out_that_many_bars(bars: pd.DataFrame) -> None:
    strategy = strategy_with(lambda data: data["training_data"].update(history_required=100))
    assert build_features(strategy, {"1d": bars}).index[0] == bars.index[100]


def test_inputs_of_earlier_bars_are_appended(bars: pd.DataFrame) -> None:
    strategy = strategy_with(lambda data: data["model"].update(features={"lookback_periods": 2}))
    features = build_features(strategy, {"1d": bars})
    assert list(features.columns[2:4]) == ["1d_momentum_high@-1", "1d_momentum_low@-1"]
    now, before = features["1d_momentum_low"].to_numpy(), features["1d_momentum_low@-2"].to_numpy()
    np.testing.assert_array_equal(before[2:], now[:-2])


def test_a_weekly_value_is_available_from_the_close_of_its_last_session(bars: pd.DataFrame) -> None:
    """Lesson Q6."""
    features = build_features(WEEKLY, {"1d": bars})["1w_rsi_14_raw"]
    weekly, _ = resample(bars, "1d", "1w", "weekdays")
    expected = pd.Series(compute("rsi", weekly)["value"], weekly.index)
    for day, value in features.iloc[:60].items():
        monday = day - pd.Timedelta(days=day.dayofweek)
        week = monday if day.dayofweek == 4 else monday - pd.Timedelta(days=7)
        assert value == expected[week]


def test_imported_and_resampled_weeks_give_the_same_inputs(bars: pd.DataFrame) -> None:
    weekly, _ = resample(bars, "1d", "1w", "weekdays")
    pd.testing.assert_frame_equal(
        build_features(WEEKLY, {"1d": bars}), build_features(WEEKLY, {"1d": bars, "1w": weekly})
    )


def test_a_daily_value_reaches_hourly_bars_only_after_the_new_york_session() -> None:
    """Lesson Q6, with daylight saving: the session closes at 20:00 UTC in summer and at 21:00 in winter."""
    strategy = on_timeframes("1h", "1d", inputs=[{"raw_indicator": "rsi_14", "timeframes": ["1h", "1d"]}])
    hours = random_bars(24 * 90, start="2010-02-01", freq="1h")
    open_hours = (hours.index.hour >= 14) & (hours.index.hour < 20) & (hours.index.dayofweek < 5)
    hours = hours[open_hours]
    hours.attrs["calendar"] = "XNYS"
    features = build_features(strategy, {"1h": hours})["1d_rsi_14_raw"]
    changes = features.index[1:][np.diff(features.to_numpy()) != 0]
    # The 19:00 bar closes at 20:00, the end of the session in summer. In winter the value first appears the next day.
    assert set(changes[changes >= "2010-03-15 15:00"].hour) == {19}
    assert set(changes[changes < "2010-03-14"].hour) == {14}


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(120, 599), seed=st.integers(0, 5), scale=st.floats(0.1, 10))
def test_changing_the_future_changes_no_row_of_the_past(cut: int, seed: int, scale: float) -> None:
    """Lesson Q8: appending, removing or changing later bars does not affect earlier rows."""
    bars = random_bars(600, seed)
    altered = bars.copy()
    altered.iloc[cut:] *= scale
    full, shortened = build_features(WEEKLY, {"1d": bars}), build_features(WEEKLY, {"1d": bars.iloc[:cut]})
    other = build_features(WEEKLY, {"1d": altered})
    earlier = full.index < bars.index[cut]
    pd.testing.assert_frame_equal(shortened, full[earlier])
    pd.testing.assert_frame_equal(other[other.index < bars.index[cut]], full[earlier])


def test_too_few_bars_are_reported_with_the_required_number(bars: pd.DataFrame) -> None:
    with pytest.raises(MarketDataError, match="none of the 10 bars of 1d has all inputs: rsi_14 on 1d"):
        build_features(strategy_with(lambda data: None), {"1d": bars.iloc[:10]})


def test_a_lower_timeframe_cannot_be_resampled(bars: pd.DataFrame) -> None:
    strategy = on_timeframes("1d", "1h", inputs=[{"raw_indicator": "rsi_14", "timeframes": ["1h"]}])
    with pytest.raises(MarketDataError, match="1h bars cannot be made from 1d bars"):
        build_features(strategy, {"1d": bars})


def test_the_base_timeframe_is_required(bars: pd.DataFrame) -> None:
    with pytest.raises(MarketDataError, match="needs 1d bars; available: 1w"):
        build_features(strategy_with(lambda data: None), {"1w": bars})


def test_an_indicator_of_volume_rejects_bars_without_volume(bars: pd.DataFrame) -> None:
    def change(data: dict[str, Any]) -> None:
        data["indicators"] = {"flow": {"type": "cmf"}}
        data["nn_inputs"] = [{"raw_indicator": "flow", "timeframes": "all"}]
        del data["fuzzy_sets"]

    silent = bars.assign(volume=0.0)
    with pytest.raises(MarketDataError, match=r"flow \(cmf\) needs volume"):
        build_features(strategy_with(change), {"1d": silent})


def test_stale_values_of_another_timeframe_are_not_used(bars: pd.DataFrame) -> None:
    weekly, _ = resample(bars, "1d", "1w", "weekdays")
    features = build_features(WEEKLY, {"1d": bars, "1w": weekly.iloc[:60]})
    assert features.index[-1] < weekly.index[60] + pd.Timedelta(weeks=6)


@pytest.mark.parametrize(
    ("shape", "parameters", "points"),
    [
        ("triangular", (0.0, 5.0, 10.0), {-1: 0, 0: 0, 2.5: 0.5, 5: 1, 7.5: 0.5, 10: 0, 11: 0}),
        ("triangular", (0.0, 0.0, 10.0), {-1: 0, 0: 1, 5: 0.5, 10: 0}),
        ("trapezoidal", (0.0, 2.0, 4.0, 8.0), {0: 0, 1: 0.5, 2: 1, 3: 1, 4: 1, 6: 0.5, 8: 0}),
        ("trapezoidal", (0.0, 0.0, 4.0, 4.0), {-0.1: 0, 0: 1, 4: 1, 4.1: 0}),
        ("gaussian", (5.0, 2.0), {5: 1, 7: float(np.exp(-0.5)), 3: float(np.exp(-0.5))}),
    ],
)
def test_degrees_follow_the_shape_of_the_membership(
    shape: Any, parameters: tuple[float, ...], points: dict[float, float]
) -> None:
    values = np.array([*points, np.nan])
    expected = np.array([*points.values(), np.nan])
    membership = Membership(type=shape, parameters=parameters)
    np.testing.assert_allclose(degrees(values, membership), expected, atol=1e-12)
