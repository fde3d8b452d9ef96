"""Labels compared with values read off a few bars by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.learning.labels import LabelSpec, make_labels
from workers.strategy.sections.labels import (
    ForwardReturnLabels,
    RegimeLabels,
    TripleBarrierLabels,
    ZigzagLabels,
)


def bars(close: list[float], reach: float = 0.0, index: pd.DatetimeIndex | None = None) -> pd.DataFrame:
    values = np.asarray(close, dtype=float)
    index = pd.date_range("2020-01-01", periods=len(values), freq="h", tz="UTC") if index is None else index
    return pd.DataFrame(
        {"open": values, "high": values * (1 + reach), "low": values * (1 - reach), "close": values},
        index=index,
    )


def test_a_forward_return_spans_its_horizon() -> None:
    labels = make_labels(
        bars([100, 110, 121, 121]),
        ForwardReturnLabels(source="forward_return", horizon=2),
        "1h",
        classification=False,
    )
    assert labels.value[:2].tolist() == pytest.approx([0.21, 0.1])
    assert np.isnan(labels.value[2:]).all()
    assert labels.end.tolist() == [2, 3, 3, 3]


def test_a_threshold_splits_a_forward_return_into_three_classes() -> None:
    spec = ForwardReturnLabels(source="forward_return", horizon=1, threshold=0.05)
    labels = make_labels(bars([100, 110, 109, 90, 90]), spec, "1h")
    assert labels.value[:4].tolist() == [1, 0, -1, 0]


def test_no_window_crosses_a_gap_in_the_data() -> None:
    index = pd.DatetimeIndex(
        [*pd.date_range("2020-01-01", periods=3, freq="h"), *pd.date_range("2020-02-01", periods=3, freq="h")]
    ).tz_localize("UTC")
    labels = make_labels(
        bars([100, 101, 102, 200, 201, 202], index=index),
        ForwardReturnLabels(source="forward_return", horizon=1),
        "1h",
        classification=False,
    )
    assert np.isnan(labels.value[[2, 5]]).all()
    assert labels.value[[0, 1, 3, 4]].max() < 0.02


def barrier(**more: object) -> TripleBarrierLabels:
    return TripleBarrierLabels.model_validate(
        {
            "source": "triple_barrier",
            "pt_multiplier": 1.0,
            "sl_multiplier": 1.0,
            "max_holding_period": 3,
            "vol_span": 2,
        }
        | more
    )


def test_the_first_barrier_touched_is_the_label() -> None:
    close = [100.0] * 6 + [101, 103, 103, 103, 103, 97, 97, 97, 97, 97]
    labels = make_labels(bars(close, reach=0.005), barrier(), "1h")
    assert labels.value[5] == 1
    assert labels.end[5] == 6
    assert labels.value[10] == -1
    assert labels.end[10] == 11


def test_a_bar_that_touches_both_barriers_counts_as_the_stop() -> None:
    data = bars([100.0] * 12, reach=0.005)
    data.iloc[8, data.columns.get_loc("high")] = 110
    data.iloc[8, data.columns.get_loc("low")] = 90
    labels = make_labels(data, barrier(pt_multiplier=2.0, sl_multiplier=2.0), "1h")
    assert labels.value[7] == -1


def test_an_expired_window_is_flat_and_a_truncated_one_has_no_label() -> None:
    labels = make_labels(bars([100.0] * 10, reach=0.001), barrier(pt_multiplier=50, sl_multiplier=50), "1h")
    assert labels.value[5] == 0
    assert np.isnan(labels.value[8])


@pytest.mark.parametrize(
    "spec", [barrier(), ZigzagLabels(source="zigzag", zigzag_threshold=0.01, label_lookahead=3)]
)
def test_a_truncated_window_has_no_label_even_if_the_price_has_moved(spec: LabelSpec) -> None:
    """Otherwise the last labelled rows before the end or a gap would be only those that moved early."""
    close = [100.0] * 6 + [103.0, 106.0, 109.0, 112.0]
    labels = make_labels(bars(close, reach=0.005), spec, "1h")
    assert labels.value[6] == 1
    assert np.isnan(labels.value[7:]).all()


def test_overlapping_windows_have_smaller_weights() -> None:
    close = list(100 + np.cumsum(np.random.default_rng(1).normal(0, 0.2, 60)))
    labels = make_labels(bars(close, reach=0.001), barrier(compute_weights=True, max_holding_period=10), "1h")
    known = ~np.isnan(labels.value)
    assert labels.weight[known].min() > 0
    assert labels.weight[known].max() <= 1.0
    assert labels.weight[known].std() > 0


def test_a_zigzag_label_is_the_direction_of_the_first_move() -> None:
    spec = ZigzagLabels(source="zigzag", zigzag_threshold=0.05, label_lookahead=4)
    labels = make_labels(bars([100, 101, 106, 100, 94, 94, 94, 94, 94]), spec, "1h")
    assert labels.value[0] == 1
    assert labels.value[2] == -1
    assert labels.value[4] == 0


def test_a_steady_move_is_a_trend_and_noise_is_flat() -> None:
    spec = RegimeLabels(source="regime", horizon=10, vol_lookback=5)
    noise = [100 + (i % 2) * 0.5 for i in range(30)]
    rising = [100 + i for i in range(30)]
    labels = make_labels(bars([*noise, *rising]), spec, "1h")
    assert labels.value[8] == 0
    assert make_labels(bars(rising), spec, "1h").value[10] == 1


def test_regression_requires_forward_returns() -> None:
    with pytest.raises(ValueError, match="forward_return"):
        make_labels(bars([1.0, 2.0]), barrier(), "1h", classification=False)


SPECS = [
    ForwardReturnLabels(source="forward_return", horizon=5),
    barrier(max_holding_period=5),
    ZigzagLabels(source="zigzag", zigzag_threshold=0.02, label_lookahead=5),
    RegimeLabels(source="regime", horizon=5, vol_lookback=4),
]


@pytest.mark.parametrize(
    "spec",
    [
        ForwardReturnLabels(source="forward_return", horizon=3),
        TripleBarrierLabels(source="triple_barrier", max_holding_period=5, vol_span=4),
        ZigzagLabels(source="zigzag", label_lookahead=5),
        RegimeLabels(source="regime", horizon=4, vol_lookback=4),
    ],
    ids=lambda spec: spec.source,
)
def test_bars_without_prices_have_no_label(spec: LabelSpec) -> None:
    index = pd.bdate_range("2020-01-01", periods=40, tz="UTC")
    empty = pd.DataFrame({name: np.full(40, np.nan) for name in ("open", "high", "low", "close")}, index)
    assert np.isnan(make_labels(empty, spec, "1d").value).all()


@given(seed=st.integers(0, 2**32 - 1), cut=st.integers(10, 59), spec=st.sampled_from(SPECS))
@settings(max_examples=60, deadline=None)
def test_a_label_does_not_depend_on_bars_after_its_end(seed: int, cut: int, spec: object) -> None:
    """Lesson Q8: later bars do not change a label whose window has ended."""
    close = list(100 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 0.01, 60))))
    whole = make_labels(bars(close, reach=0.004), spec, "1h")  # type: ignore[arg-type]  # one of SPECS
    other = [*close[:cut], *(value * 1.5 for value in close[cut:])]
    changed = make_labels(bars(other, reach=0.004), spec, "1h")  # type: ignore[arg-type]  # one of SPECS
    ended = whole.end < cut
    np.testing.assert_array_equal(whole.value[ended], changed.value[ended])
