"""The basis of annual figures on each kind of market, compared with formulas written here; the sessions of exchanges
come from `exchange_calendars` directly."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Literal

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.backtesting.backtest_report import monthly_returns
from workers.backtesting.metrics import Metrics, compute
from workers.backtesting.periods import periods_of
from workers.backtesting.rolling import rolling_figures, rolling_window
from workers.market_data.session_counts import FIRST_YEAR, LAST_YEAR, SESSIONS_PER_YEAR

EXACT = 1e-9
Labels = list[object]
"""The day of each bar."""


def schedule(exchange: str, start: str, end: str) -> pd.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return exchange_calendars.get_calendar(exchange, start=start, end=end).schedule


def exchange_bars(
    exchange: str, start: str, end: str, freq: str | None = "1h"
) -> tuple[pd.DatetimeIndex, Labels]:
    """Return the opening times of the bars of each session and their session; `freq` None makes daily bars."""
    times: list[pd.Timestamp] = []
    labels: Labels = []
    for day, row in schedule(exchange, start, end).iterrows():
        opens = (
            [day.tz_localize("UTC")]
            if freq is None
            else pd.date_range(row["open"], row["close"], freq=freq, inclusive="left").tolist()
        )
        times += opens
        labels += [day] * len(opens)
    return pd.DatetimeIndex(times), labels


def forex_bars(start: str, end: str, freq: str, *, pause: bool = False) -> tuple[pd.DatetimeIndex, Labels]:
    """Sunday to Friday 17:00 in New York; metals pause from 17:00 to 18:00."""
    local = pd.date_range(start, end, freq=freq, tz="UTC").tz_convert("America/New_York")
    day = [(time + pd.Timedelta(hours=7)).date() for time in local.tz_localize(None)]
    is_open = [
        d.weekday() < 5 and not (pause and time.hour == 17) for d, time in zip(day, local, strict=True)
    ]
    index = local.tz_convert("UTC")[is_open]
    return index, [d for d, opened in zip(day, is_open, strict=True) if opened]


def forex_days(start: str, end: str) -> tuple[pd.DatetimeIndex, Labels]:
    """Daily bars by UTC days, as many sources have them: the hours of Sunday evening are a bar of their own."""
    index = pd.date_range(start, end, freq="D", tz="UTC")
    index = index[index.day_of_week != 5]
    return index, [(time + pd.Timedelta(days=int(time.day_of_week == 6))).date() for time in index]


def local_days(exchange: str, zone: str) -> tuple[pd.DatetimeIndex, Labels]:
    """Daily bars that open at midnight of the exchange's own zone, as many sources have them: the day before by UTC."""
    days = schedule(exchange, "2015-01-05", "2019-12-30").index
    return days.tz_localize(zone).tz_convert("UTC"), days.tolist()


def new_york_days() -> tuple[pd.DatetimeIndex, Labels]:
    """Daily bars of FX that open at 17:00 in New York."""
    days = pd.bdate_range("2015-01-05", "2019-12-31")
    opens = (days - pd.Timedelta(hours=7)).tz_localize("America/New_York")
    return opens.tz_convert("UTC"), days.tolist()


def crypto_bars(freq: str) -> tuple[pd.DatetimeIndex, Labels]:
    index = pd.date_range("2020-01-01", "2022-06-30 23:00", freq=freq, tz="UTC")
    return index, [time.date() for time in index]


def each_bar(freq: str, periods: int) -> tuple[pd.DatetimeIndex, Labels]:
    index = pd.date_range("2014-01-06", periods=periods, freq=freq, tz="UTC")
    return index, list(range(len(index)))


MARKETS: dict[str, tuple[Callable[[], tuple[pd.DatetimeIndex, Labels]], str | None, float, str]] = {
    # name: maker of the bars, calendar, number a year, text of the basis
    "US hourly": (partial(exchange_bars, "XNYS", "2016-01-04", "2019-12-31"), "XNYS", 252, "daily"),
    "US daily": (partial(exchange_bars, "XNYS", "2016-01-04", "2019-12-31", None), "XNYS", 252, "daily"),
    "Tel Aviv hourly": (partial(exchange_bars, "XTAE", "2016-01-04", "2019-12-31"), "XTAE", 246, "daily"),
    "Tel Aviv daily": (partial(exchange_bars, "XTAE", "2016-01-04", "2019-12-31", None), "XTAE", 246, "daily"),
    "Riyadh hourly": (partial(exchange_bars, "XSAU", "2021-02-01", "2024-12-31"), "XSAU", 249, "daily"),
    "Tokyo hourly": (partial(exchange_bars, "XTKS", "2016-01-04", "2019-12-30"), "XTKS", 245, "daily"),
    "Sydney hourly": (partial(exchange_bars, "XASX", "2016-01-04", "2020-12-31"), "XASX", 253, "daily"),
    "Wellington 15 minutes": (partial(exchange_bars, "XNZE", "2018-01-04", "2020-12-31", "15min"), "XNZE", 251, "daily"),
    "EURUSD hourly": (partial(forex_bars, "2016-01-04", "2019-12-31", "1h"), "fx", 260, "daily"),
    "EURUSD daily": (partial(forex_days, "2016-01-03", "2019-12-31"), "fx", 260, "daily"),
    "EURUSD daily from 17:00": (partial(new_york_days), "fx", 260, "daily"),
    "London daily at local midnight": (partial(local_days, "XLON", "Europe/London"), "XLON", 253, "daily"),
    "Tokyo daily at local midnight": (partial(local_days, "XTKS", "Asia/Tokyo"), "XTKS", 245, "daily"),
    "Sydney daily at local midnight": (partial(local_days, "XASX", "Australia/Sydney"), "XASX", 253, "daily"),
    "New York daily at local midnight": (partial(local_days, "XNYS", "America/New_York"), "XNYS", 252, "daily"),
    "XAUUSD hourly": (partial(forex_bars, "2016-01-04", "2019-12-31", "1h", pause=True), "fx", 260, "daily"),
    "BTCUSD hourly": (partial(crypto_bars, "1h"), "24/7", 365, "daily"),
    "BTCUSD daily": (partial(crypto_bars, "D"), "24/7", 365, "daily"),
    "weekly": (partial(each_bar, "W-MON", 483), "XNYS", 365.25 / 7, "weekly"),
    "two weeks": (partial(each_bar, "2W-MON", 200), "XNYS", 365.25 / 14, "2-week"),
    "four weeks": (partial(each_bar, "28D", 150), "XNYS", 365.25 / 28, "4-week"),
    "monthly": (partial(each_bar, "MS", 120), "XNYS", 12, "monthly"),
    "month ends": (partial(each_bar, "BME", 120), None, 12, "monthly"),
    "quarterly": (partial(each_bar, "QS", 60), "fx", 4, "quarterly"),
    "yearly": (partial(each_bar, "YS", 40), "24/7", 1, "yearly"),
    "3 days": (partial(each_bar, "3D", 300), "24/7", 365.25 / 3, "3-day"),
}  # fmt: skip


@cache
def bars_of(market: str) -> tuple[pd.DatetimeIndex, Labels]:
    return MARKETS[market][0]()


def random_equity(index: pd.DatetimeIndex, seed: int = 1) -> "pd.Series[float]":
    steps = np.random.default_rng(seed).normal(2e-5, 2e-3, len(index))
    return pd.Series(1e5 * np.exp(np.cumsum(steps)), index)


def expected_figures(
    equity: "pd.Series[float]", labels: Labels, per_year: float, start: float | None
) -> dict[str, float]:
    closes = [value for value, label, after in _with_next(equity.tolist(), labels) if label != after]
    marks = closes if start is None else [start, *closes]
    returns = [b / a - 1 for a, b in itertools.pairwise(marks)]
    n = len(returns)
    mean = math.fsum(returns) / n
    deviation = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / (n - 1))
    downside = math.sqrt(math.fsum(min(r, 0) ** 2 for r in returns) / n)
    ordered = sorted(returns)
    position = 0.05 * (n - 1)
    below = math.floor(position)
    edge = ordered[below] + (position - below) * (ordered[below + 1] - ordered[below])
    tail = [r for r in returns if r <= edge]
    return {
        "n": n,
        "sharpe": mean / deviation * math.sqrt(per_year),
        "sortino": mean / downside * math.sqrt(per_year),
        "volatility": deviation * math.sqrt(per_year),
        "var_95": edge,
        "cvar_95": math.fsum(tail) / len(tail),
    }


def as_text(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _with_next(values: list[float], labels: Labels) -> Iterator[tuple[float, object, object]]:
    yield from zip(values, labels, [*labels[1:], None], strict=True)


@pytest.mark.parametrize("start", [None, 99_000.0])
@pytest.mark.parametrize("market", MARKETS)
def test_the_figures_of_each_market_are_those_of_its_sessions(market: str, start: float | None) -> None:
    """Lessons Q1 and Q2."""
    _, calendar, per_year, unit = MARKETS[market]
    index, labels = bars_of(market)
    equity = random_equity(index)
    metrics = compute(equity, initial_capital=start, calendar=calendar)
    expected = expected_figures(equity, labels, per_year, start)
    assert metrics["periods_per_year"] == pytest.approx(per_year, rel=EXACT)
    for name in ("sharpe", "sortino", "volatility", "var_95", "cvar_95"):
        assert metrics[name] == pytest.approx(expected[name], rel=EXACT), name
    assert str(metrics["sharpe_basis"]).startswith(
        f"{expected['n']} {unit} observations, {as_text(per_year)} a year"
    )


@pytest.mark.parametrize("market", MARKETS)
def test_the_days_are_the_same_without_a_calendar(market: str) -> None:
    """A notebook's equity has only times."""
    index, labels = bars_of(market)
    per_year = MARKETS[market][2]
    equity = random_equity(index)
    metrics = compute(equity)
    measured = metrics["periods_per_year"]
    assert isinstance(measured, float)
    assert measured == pytest.approx(per_year, rel=0.015)
    expected = expected_figures(equity, labels, measured, None)
    for name in ("sharpe", "volatility", "var_95"):
        assert metrics[name] == pytest.approx(expected[name], rel=EXACT), name


@given(
    st.sampled_from(["24/7", "fx", "weekdays", "XNYS", "XASX", None]),
    st.sampled_from(["15min", "1h", "4h", "1D", "3D", "7D"]),
    st.integers(0, 10**6),
    st.lists(st.integers(1, 5), min_size=1, max_size=200),
    st.sampled_from(["s", "ms", "us", "ns"]),
)
@settings(max_examples=150, deadline=None)
def test_the_returns_of_any_periods_compound_to_the_total(
    calendar: str | None, step: str, start: int, gaps: list[int], unit: Literal["s", "ms", "us", "ns"]
) -> None:
    """Whatever the bars that are missing: no part of the equity is lost or counted twice."""
    opens = pd.Timestamp("2016-03-01", tz="UTC") + pd.Timedelta(hours=start % 5000)
    index = pd.DatetimeIndex([opens + int(n) * pd.Timedelta(step) for n in np.cumsum(gaps)]).as_unit(unit)
    periods = periods_of(index, calendar)
    assert (np.diff(periods.ends) > 0).all()
    assert periods.ends[-1] == len(index) - 1
    assert periods.per_year > 0
    equity = random_equity(index).to_numpy()
    with_start = periods.returns(equity, 50_000.0)
    assert np.prod(1 + with_start) == pytest.approx(equity[-1] / 50_000.0)
    assert len(periods.returns(equity)) == len(with_start) - 1
    assert np.prod(1 + periods.returns(equity)) == pytest.approx(equity[-1] / equity[periods.ends[0]])


def test_the_basis_is_stated_in_words() -> None:
    def basis(market: str, calendar: str | None) -> object:
        equity = random_equity(bars_of(market)[0])
        return compute(equity, initial_capital=1e5, calendar=calendar)["sharpe_basis"]

    assert basis("weekly", "XNYS") == "483 weekly observations, 52.18 a year"
    assert basis("monthly", "fx") == "120 monthly observations, 12 a year"
    assert basis("US daily", "XNYS") == "1006 daily observations, 252 a year (sessions of XNYS)"
    assert basis("US daily", None) == "1006 daily observations, 251.94 a year (measured)"
    assert str(basis("EURUSD hourly", "fx")).endswith(", 260 a year (sessions end at 17:00 New York)")
    assert str(basis("BTCUSD hourly", "24/7")).endswith(", 365 a year (UTC days)")


def test_a_year_or_less_of_unknown_data_is_not_measured() -> None:
    index = pd.bdate_range("2021-01-04", periods=60, tz="UTC")
    metrics = compute(random_equity(index))
    assert metrics["periods_per_year"] == 252
    assert metrics["sharpe_basis"] == "59 daily observations, 252 a year (assumed, calendar unknown)"


@pytest.mark.parametrize("zone", [None, "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize(
    "market", ["US hourly", "Sydney hourly", "BTCUSD hourly", "EURUSD daily", "month ends"]
)
def test_the_zone_in_which_times_are_written_changes_nothing(market: str, zone: str | None) -> None:
    index, _ = bars_of(market)
    calendar = MARKETS[market][1]
    for name in (calendar, None):
        equity = random_equity(index)
        assert compute(equity.tz_convert(zone), calendar=name) == compute(equity, calendar=name)


def test_the_calendar_of_the_equity_is_used() -> None:
    index, _ = bars_of("Tel Aviv hourly")
    equity = random_equity(index)
    equity.attrs["calendar"] = "XTAE"
    assert compute(equity)["periods_per_year"] == 246


def test_without_initial_capital_no_return_is_invented() -> None:
    """The first value is the base of the second; a return of zero before it would change every figure."""
    equity = pd.Series(
        [100.0, 110.0, 99.0, 104.0], pd.date_range("2020-01-31", periods=4, freq="ME", tz="UTC")
    )
    metrics = compute(equity)
    returns = equity.pct_change().dropna()
    assert metrics["sharpe"] == pytest.approx(returns.mean() / returns.std() * math.sqrt(12), rel=EXACT)
    assert metrics["sharpe_basis"] == "3 monthly observations, 12 a year"
    years = (equity.index[-1] - equity.index[0]).days / 365.25
    assert metrics["cagr"] == pytest.approx(1.04 ** (1 / years) - 1, rel=EXACT)


@pytest.mark.parametrize("exchange", ["XNYS", "XTAE", "XSAU", "XTKS", "XASX", "XLON", "XSHG"])
def test_the_nominal_number_of_sessions_is_the_mean_of_the_calendar(exchange: str) -> None:
    first = 2021 if exchange == "XSAU" else FIRST_YEAR
    sessions = schedule(exchange, f"{first}-01-01", f"{LAST_YEAR}-12-31").index
    assert SESSIONS_PER_YEAR[exchange] == round(len(sessions) / (LAST_YEAR - first + 1))


def test_every_exchange_has_a_nominal_number() -> None:
    exchanges = set(exchange_calendars.get_calendar_names(include_aliases=False)) - {"24/5", "24/7"}
    assert exchanges <= set(SESSIONS_PER_YEAR)
    assert all(230 <= number <= 262 for name, number in SESSIONS_PER_YEAR.items() if name != "24/7")


def test_the_rolling_ratio_has_the_same_basis() -> None:
    for market in ("Sydney hourly", "weekly", "monthly"):
        index, labels = bars_of(market)
        calendar = MARKETS[market][1]
        equity = random_equity(index)
        periods = periods_of(index, calendar)
        window = rolling_window(periods)
        rolling = rolling_figures(equity.to_numpy(), equity.to_numpy(), 1e5, periods)["rolling_sharpe"]
        days = list(dict.fromkeys(labels))
        in_window = [label in set(days[-window:]) for label in labels]
        before = equity[[not inside for inside in in_window]].iloc[-1]
        last: Metrics = compute(equity[in_window], initial_capital=float(before), calendar=calendar)
        assert rolling[-1] == pytest.approx(last["sharpe"], rel=EXACT), market
        assert np.isnan(rolling[: labels.index(days[window - 1])]).all()


def test_months_do_not_divide_sessions() -> None:
    """The first hours of the Sydney session of 1 March 2016 are on 29 February by UTC."""
    index, labels = bars_of("Sydney hourly")
    calendar = MARKETS["Sydney hourly"][1]
    equity = random_equity(index)
    rows = monthly_returns(equity.to_numpy(), 1e5, periods_of(index, calendar), index)
    days = pd.DatetimeIndex([pd.Timestamp(str(label)) for label in labels])
    ends = equity.groupby([days.year, days.month]).last()
    expected = (ends / ends.shift(fill_value=1e5) - 1).to_numpy()
    np.testing.assert_allclose([row["return"] for row in rows], expected, rtol=1e-9)
