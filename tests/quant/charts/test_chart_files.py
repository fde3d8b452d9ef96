"""A chart file contains every bar exactly, at its own resolution and at longer ones."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.browser.charts import GAP_AT, SPIKE_AT, market_data_chart, sample_bars
from tests.quant.charts.chart_reader import read_index, read_levels
from workers.charts.decimals import exact_decimals, price_decimals
from workers.charts.market import chart_file
from workers.charts.tiles import MISSING, TILE_ROWS, Column, Level, encode, fitting_scale
from workers.market_data.resampling import resample

PRICES = ["open", "high", "low", "close"]


def test_every_bar_is_in_the_file_at_each_resolution() -> None:
    bars = sample_bars(3 * TILE_ROWS + 7)
    levels = read_levels(chart_file(bars, "1m", "24/7", {}, {}))
    assert list(levels) == ["1m", "5m", "15m", "1h"]
    for timeframe, level in levels.items():
        expected = bars if timeframe == "1m" else resample(bars, "1m", timeframe, "24/7")[0]
        assert level.index.tolist() == [time.timestamp() for time in expected.index]
        np.testing.assert_allclose(level[[*PRICES, "volume"]], expected[[*PRICES, "volume"]], rtol=1e-12)


def test_gaps_and_spikes_are_marked_at_their_bars_and_kept_at_longer_ones() -> None:
    content = market_data_chart()
    index, _ = read_index(content)
    levels = read_levels(content)
    assert levels["1m"]["missing"].iloc[GAP_AT] == 30
    assert levels["1m"]["mark"].iloc[SPIKE_AT] == 1
    assert [len(index["listed"][kind]) for kind in ("gaps", "spikes", "suspected_splits")] == [1, 2, 0]
    for level in levels.values():
        assert (level["missing"].sum(), level["mark"].max()) == (30, 1)


@given(st.lists(st.floats(-1e5, 1e5) | st.just(np.nan), min_size=1, max_size=40), st.integers(0, 6))
def test_values_come_back_to_half_a_unit_of_their_column(values: list[float], decimals: int) -> None:
    column = np.array(values)
    scale = fitting_scale(column, decimals)
    times = np.arange(len(values), dtype=np.int64) * 3600 * 10**9 - 10**18
    content = encode([Column("x", scale)], [Level("1h", times, {"x": column})], {})
    read = read_levels(content)["1h"]
    np.testing.assert_allclose(read["x"], column, atol=0.5001 / scale, rtol=1e-9)
    assert read.index.tolist() == (times // 10**9).tolist()
    assert abs(np.nanmax(np.abs(column), initial=0.0) * scale) < -MISSING


def test_no_value_is_lost_where_groups_of_tiles_meet() -> None:
    rng = np.random.default_rng(0)
    values = np.round(rng.normal(size=66 * TILE_ROWS + 5), 3)
    times = np.cumsum(rng.integers(1, 90_000, len(values))) * 10**9
    read = read_levels(encode([Column("x", 1000.0)], [Level("1m", times, {"x": values})], {}))["1m"]
    np.testing.assert_allclose(read["x"], values, atol=1e-9)
    assert read.index.tolist() == (times // 10**9).tolist()


@pytest.mark.parametrize(
    ("prices", "decimals"),
    [([1.1, 1.23457, 1.2], 5), ([101.25, 99.5], 2), ([150.0, 149.0], 0), ([0.00001234, 0.00001], 8)],
)
def test_the_tick_size_gives_the_decimals(prices: list[float], decimals: int) -> None:
    assert price_decimals(np.array(prices)) == decimals


def test_adjusted_prices_have_five_significant_digits() -> None:
    prices = np.array([37.0, 38.5, 36.2]) / 3.0 * np.pi
    assert exact_decimals(prices) is None
    assert price_decimals(prices) == 3


def test_sessions_alternate_and_hours_outside_of_them_differ() -> None:
    hours = pd.date_range("2024-01-08 12:30", "2024-01-12 23:30", freq="1h", tz="UTC", name="time")
    bars = pd.DataFrame(dict.fromkeys(PRICES, 10.0) | {"volume": 1.0}, index=hours)
    session = read_levels(chart_file(bars, "1h", "XNYS", {}, {}))["1h"]["session"].to_numpy()
    inside = (hours.hour * 60 + hours.minute >= 14 * 60 + 30) & (hours.hour < 21)
    assert (session[inside] < 2).all()
    assert (session[~inside] == 2).all()
    by_day = [set(session[inside & (hours.day == day)]) for day in range(8, 13)]
    assert [len(kinds) for kinds in by_day] == [1] * 5
    assert all(one != other for one, other in pairwise(by_day))
