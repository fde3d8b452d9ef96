"""Closing times of bars, and resampling to longer bars."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.strategy.conftest import random_bars
from workers.market_data.bars import read_bars, write_bars
from workers.market_data.errors import MarketDataError
from workers.market_data.exchanges import Runs
from workers.market_data.resampling import resample
from workers.market_data.sessions import Sessions, count_up_to
from workers.market_data.timeframes import close_times, parse_timeframe


def closes(times: list[str], timeframe: str, calendar: str) -> list[str]:
    index = pd.DatetimeIndex([pd.Timestamp(time, tz="UTC") for time in times])
    ends = pd.DatetimeIndex(close_times(index, timeframe, calendar))
    return [f"{end:%Y-%m-%d %H:%M}" for end in ends]


@pytest.mark.parametrize(
    ("time", "timeframe", "calendar", "close"),
    [
        ("2010-07-01 14:00", "1h", "24/7", "2010-07-01 15:00"),
        ("2010-07-01 19:30", "1h", "XNYS", "2010-07-01 20:00"),  # ends with the session, summer
        ("2010-12-01 20:30", "1h", "XNYS", "2010-12-01 21:00"),  # winter
        ("2010-11-26 17:30", "4h", "XNYS", "2010-11-26 18:00"),  # the day after Thanksgiving closes at 13:00
        ("2010-07-01", "1d", "XNYS", "2010-07-01 20:00"),
        ("2010-12-01", "1d", "XNYS", "2010-12-01 21:00"),
        ("2010-07-01", "1d", "24/7", "2010-07-02 00:00"),
        ("2010-06-28", "1w", "XNYS", "2010-07-02 20:00"),
        ("2010-03-29", "1w", "XNYS", "2010-04-01 20:00"),  # Good Friday: the week ends on Thursday
        ("2010-07-05", "1w", "weekdays", "2010-07-10 00:00"),
        ("2010-07-05", "1w", "24/7", "2010-07-12 00:00"),
        ("2010-07-01 21:00", "4h", "fx", "2010-07-02 01:00"),
        ("2010-07-02 19:00", "4h", "fx", "2010-07-02 21:00"),  # the FX week ends on Friday, 17:00 in New York
    ],
)
def test_a_bar_closes_after_its_length_or_with_its_session(
    time: str, timeframe: str, calendar: str, close: str
) -> None:
    assert closes([time], timeframe, calendar) == [close]


def test_the_fx_day_ends_at_five_in_new_york_all_year() -> None:
    hours = random_bars(24 * 300, start="2010-01-04", freq="1h")
    days, ends = resample(hours, "1h", "1d", "fx")
    ends = pd.DatetimeIndex(ends).tz_localize("UTC").tz_convert("America/New_York")
    assert set(ends[1:-1].hour) == {17}
    assert set(days.index.tz_convert("America/New_York").hour[1:-1]) == {17}


def test_a_longer_bar_has_the_first_open_the_extremes_and_the_last_close() -> None:
    bars = random_bars(60, start="2010-01-04", freq="B")
    weeks, _ = resample(bars, "1d", "1w", "weekdays")
    for monday, week in weeks.iloc[:-1].iterrows():
        part = bars[monday : monday + pd.Timedelta(days=6)]
        assert week["open"] == part["open"].iloc[0]
        assert week["close"] == part["close"].iloc[-1]
        assert week["high"] == part["high"].max()
        assert week["low"] == part["low"].min()
        assert week["volume"] == part["volume"].sum()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(2, 400),
    seed=st.integers(0, 9),
    to=st.sampled_from(["4h", "1d", "1w"]),
    calendar=st.sampled_from(["24/7", "fx", "weekdays"]),
)
def test_every_bar_is_in_one_longer_bar_that_does_not_close_earlier(
    n: int, seed: int, to: str, calendar: str
) -> None:
    bars = random_bars(n, seed, start="2010-03-10", freq="1h")
    longer, ends = resample(bars, "1h", to, calendar)
    assert longer["volume"].sum() == pytest.approx(bars["volume"].sum())
    assert longer["high"].max() == bars["high"].max()
    assert longer["low"].min() == bars["low"].min()
    assert longer.index.is_monotonic_increasing
    assert longer.index.is_unique
    assert (np.diff(ends) > 0).all()
    assert ends[-1] >= close_times(bars.index[-1:], "1h", calendar)[0]


@settings(max_examples=40, deadline=None)
@given(
    cut=st.integers(1, 399), to=st.sampled_from(["4h", "1d", "1w"]), calendar=st.sampled_from(["24/7", "fx"])
)
def test_a_longer_bar_that_has_closed_does_not_change_with_later_bars(
    cut: int, to: str, calendar: str
) -> None:
    """Lessons Q6 and Q8."""
    bars = random_bars(400, start="2010-03-10", freq="1h")
    longer, ends = resample(bars, "1h", to, calendar)
    shortened, shortened_ends = resample(bars.iloc[:cut], "1h", to, calendar)
    now = close_times(bars.index[cut - 1 : cut], "1h", calendar)[0]
    closed = int((shortened_ends <= now).sum())
    assert closed == int((ends <= now).sum())
    pd.testing.assert_frame_equal(shortened.iloc[:closed], longer.iloc[:closed])


def test_stored_bars_are_read_back_unchanged(tmp_path: Path) -> None:
    bars = random_bars(50).assign(spread=0.01)
    write_bars(bars, tmp_path / "a.parquet")
    again = read_bars(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(again, bars, check_freq=False, check_index_type=False)
    assert again.attrs["calendar"] == "weekdays"


def test_a_file_without_bars_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"not parquet")
    with pytest.raises(MarketDataError, match=r"a.parquet is not a valid Parquet bar file"):
        read_bars(path)
    random_bars(5).rename(columns={"close": "last"}).to_parquet(path)
    with pytest.raises(MarketDataError, match="close"):
        read_bars(path)


def test_unknown_names_are_rejected() -> None:
    with pytest.raises(MarketDataError, match="'7h' is not a timeframe"):
        parse_timeframe("7h")
    with pytest.raises(MarketDataError, match="unknown calendar 'XXXX'"):
        Sessions.covering("XXXX", 0, 10)
    with pytest.raises(MarketDataError, match="cannot be made"):
        resample(random_bars(5), "1d", "1h", "weekdays")


def test_the_table_of_exchanges_is_read_without_a_peak_of_memory() -> None:
    """Each early job reads it, and a machine with 1 GB runs several."""
    code = (
        "import pyarrow; from workers.market_data.exchanges import exchange_names; "
        "assert len(exchange_names()) > 50; print(pyarrow.default_memory_pool().max_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 16 * 2**20


@given(
    st.lists(st.sampled_from([0, 1, 810, -32768, 32767]), min_size=1, max_size=20),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_a_column_kept_as_runs_has_the_values_of_the_column(values: list[int], first: int, end: int) -> None:
    column = np.array(values, np.int16)
    first, end = min(first, len(column)), min(end, len(column))
    part = Runs.of(column).between(first, end)
    assert part.dtype == np.int16
    assert part.tolist() == column[first:end].tolist()


@given(
    st.lists(st.integers(-50, 50), max_size=40), st.lists(st.integers(-60, 60), max_size=60), st.booleans()
)
def test_edges_up_to_an_instant_are_counted_whether_or_not_the_instants_are_in_order(
    edges: list[int], instants: list[int], in_order: bool
) -> None:
    counted = count_up_to(
        np.array(sorted(instants) if in_order else instants, dtype=np.int64),
        np.array(sorted(edges), dtype=np.int64),
    )
    assert counted.tolist() == [
        sum(edge <= instant for edge in edges) for instant in (sorted(instants) if in_order else instants)
    ]
