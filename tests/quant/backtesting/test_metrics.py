"""Metrics compared with values computed by hand and, on daily data, with empyrical."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest

from workers.backtesting import significance
from workers.backtesting.engine import Rules, simulate
from workers.backtesting.metrics import KEYS, compute

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical


def series(
    values: list[float] | np.ndarray, start: str = "2021-01-04", freq: str = "B"
) -> "pd.Series[float]":
    return pd.Series(
        values, index=pd.date_range(start, periods=len(values), freq=freq, tz="UTC"), dtype=float
    )


@pytest.fixture
def walk() -> "pd.Series[float]":
    generator = np.random.default_rng(3)
    return series(100_000 * np.exp(np.cumsum(generator.normal(0.0004, 0.01, 750))))


def test_daily_metrics_equal_those_of_empyrical(walk: "pd.Series[float]") -> None:
    """With the measured number of days a year; its own is 252 for every market."""
    metrics = compute(walk, initial_capital=100_000.0)
    days = metrics["periods_per_year"]
    assert days == pytest.approx(261, abs=0.5), "weekdays without holidays"
    returns = np.diff(np.concatenate(([100_000.0], walk.to_numpy()))) / np.concatenate(
        ([100_000.0], walk.to_numpy()[:-1])
    )
    frame = pd.Series(returns, index=walk.index)
    assert metrics["sharpe"] == pytest.approx(empyrical.sharpe_ratio(frame, annualization=days))
    assert metrics["sortino"] == pytest.approx(empyrical.sortino_ratio(frame, annualization=days))
    assert metrics["volatility"] == pytest.approx(empyrical.annual_volatility(frame, annualization=days))
    assert metrics["max_drawdown"] == pytest.approx(empyrical.max_drawdown(frame))
    assert metrics["var_95"] == pytest.approx(empyrical.value_at_risk(frame, 0.05))
    assert metrics["total_return"] == pytest.approx(walk.iloc[-1] / 100_000 - 1)


def test_every_key_is_present_and_undefined_is_null() -> None:
    metrics = compute(series([100.0, 100.0, 100.0]), simulate_nothing().trades)
    assert set(KEYS) <= set(metrics)
    for key in ("sharpe", "sortino", "profit_factor", "win_rate", "psr", "dsr", "kelly", "calmar"):
        assert metrics[key] is None, key
    assert metrics["total_return"] == 0.0
    assert metrics["max_drawdown"] == 0.0


def simulate_nothing():  # type: ignore[no-untyped-def]  # a Result; only its trades are of interest
    close = [100.0] * 3
    data = pd.DataFrame(
        {"open": close, "high": close, "low": close, "close": close},
        index=pd.date_range("2021-01-04", periods=3, tz="UTC"),
    )
    return simulate(data, [0, 0, 0], Rules())


def test_hourly_bars_give_the_sharpe_ratio_of_their_days() -> None:
    """Lesson Q1: 252 is never applied to bars that are not days."""
    generator = np.random.default_rng(1)
    hours = pd.date_range("2021-01-04", periods=24 * 400, freq="h", tz="UTC")
    equity = pd.Series(1e5 * np.exp(np.cumsum(generator.normal(1e-5, 2e-3, len(hours)))), index=hours)
    metrics = compute(equity, calendar="24/7")
    daily = compute(equity[equity.index.hour == 23], calendar="24/7")
    assert metrics["periods_per_year"] == daily["periods_per_year"] == 365
    assert metrics["sharpe"] == pytest.approx(daily["sharpe"])
    assert metrics["bars_per_year"] == pytest.approx(24 * 365.25)


def test_growth_is_by_calendar_time() -> None:
    """Lesson Q3. With the equity before the first bar, that bar's length counts too."""
    two_years = pd.Series([100.0, 144.0], index=pd.to_datetime(["2019-12-31", "2021-12-30"], utc=True))
    years = (pd.Timestamp("2021-12-30") - pd.Timestamp("2019-12-31")).days / 365.25
    assert compute(two_years)["cagr"] == pytest.approx(1.44 ** (1 / years) - 1)
    assert compute(two_years, initial_capital=100.0)["cagr"] == pytest.approx(1.44 ** (0.5 / years) - 1)


def test_the_denominator_of_sortino_includes_all_returns() -> None:
    metrics = compute(series([110.0, 99.0, 108.9, 108.9]), initial_capital=100.0, calendar="XNYS")
    returns = np.array([0.1, -0.1, 0.1, 0.0])
    assert metrics["sortino"] == pytest.approx(returns.mean() / math.sqrt(0.01 / 4) * math.sqrt(252))


def test_drawdown_reports_bars_and_seconds_of_the_longest_time_below_a_peak() -> None:
    metrics = compute(
        series([100, 90, 95, 80, 101, 100, 102], freq="D", start="2021-01-01"), initial_capital=100.0
    )
    assert metrics["max_drawdown"] == pytest.approx(-0.2)
    assert metrics["max_drawdown_bars"] == 3
    assert metrics["max_drawdown_seconds"] == 4 * 86400.0


def test_trade_metrics_are_net_of_costs() -> None:
    trades = pd.DataFrame(
        {"exit_index": [1, 2, 3, -1], "pnl": [100.0, -50.0, 25.0, 1000.0], "return": [0.1, -0.05, 0.025, 1.0]}
    )
    metrics = compute(series([100.0, 101.0]), trades)
    assert metrics["trades"] == 4
    assert metrics["win_rate"] == pytest.approx(2 / 3)
    assert metrics["profit_factor"] == pytest.approx(2.5)
    assert metrics["expectancy"] == pytest.approx(25.0)
    assert metrics["best_trade"] == 0.1
    assert metrics["sqn"] == pytest.approx(math.sqrt(3) * 25 / np.std([100, -50, 25], ddof=1))
    assert metrics["kelly"] == pytest.approx(2 / 3 - (1 / 3) / (62.5 / 50))


def test_losing_more_than_everything_is_minus_one_a_year() -> None:
    metrics = compute(series([100.0, -20.0, -20.0]))
    assert metrics["cagr"] == -1.0
    assert metrics["total_return"] == pytest.approx(-1.2)
    assert (metrics["final_equity"], metrics["debt"]) == (-20.0, 20.0)
    assert compute(series([100.0, 20.0, 20.0]))["debt"] == 0.0


def test_turnover_states_its_unit() -> None:
    metrics = compute(series([100.0, 200.0, 300.0]), turnover=800.0)
    assert (metrics["turnover"], metrics["turnover_basis"]) == (
        4.0,
        "notional traded / mean equity, whole period",
    )


def test_the_probabilistic_sharpe_ratio_equals_that_of_the_paper() -> None:
    """Bailey and Lopez de Prado 2012: for normal returns it is the normal quantile of SR sqrt(n-1) / sqrt(1 + SR^2/2)."""
    base = np.array([significance.NORMAL.inv_cdf((i + 0.5) / 1000) for i in range(1000)])
    returns = base / base.std(ddof=1) * 0.01 + 0.0005
    ratio = returns.mean() / returns.std(ddof=1)
    kurtosis = float(np.mean((returns - returns.mean()) ** 4) / np.var(returns) ** 2)
    expected = significance.NORMAL.cdf(ratio * math.sqrt(999) / math.sqrt(1 + (kurtosis - 1) / 4 * ratio**2))
    assert significance.probabilistic_sharpe(returns, 0.0) == pytest.approx(expected)


def test_the_expected_maximum_equals_that_of_the_paper() -> None:
    """Bailey and Lopez de Prado 2014: among 10 trials 1.57 standard deviations, among 1,000 3.26."""
    assert significance.expected_maximum_sharpe(10, 1.0) == pytest.approx(1.5746, abs=1e-3)
    assert significance.expected_maximum_sharpe(1000, 1.0) == pytest.approx(3.2556, abs=1e-3)
    assert significance.expected_maximum_sharpe(1, 1.0) == 0.0


def test_more_trials_deflate_the_ratio(walk: "pd.Series[float]") -> None:
    once, often = compute(walk, trials=1), compute(walk, trials=500)
    assert once["dsr"] == pytest.approx(once["psr"])
    assert isinstance(often["dsr"], float)
    assert isinstance(once["dsr"], float)
    assert often["dsr"] < once["dsr"]


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.2])
def test_known_trials_deflate_the_ratio_by_their_own_variance(
    walk: "pd.Series[float]", spread: float
) -> None:
    """Bailey and Lopez de Prado 2014, eq. 6 and 10, from the formulas of the paper."""
    sharpes = np.random.default_rng(3).normal(0.0, spread, 40)
    returns = walk.pct_change().dropna().to_numpy()
    ratio, n = returns.mean() / returns.std(ddof=1), len(returns)
    normal, gamma = significance.NORMAL, 0.5772156649015329
    best = np.sqrt(np.var(sharpes, ddof=1)) * (
        (1 - gamma) * normal.inv_cdf(1 - 1 / 40) + gamma * normal.inv_cdf(1 - 1 / (40 * math.e))
    )
    z = (returns - returns.mean()) / returns.std()
    error = math.sqrt(1 - np.mean(z**3) * ratio + (np.mean(z**4) - 1) / 4 * ratio**2)
    expected = normal.cdf((ratio - best) * math.sqrt(n - 1) / error)
    assert compute(walk, trials=40, trial_sharpes=sharpes)["dsr"] == pytest.approx(expected, abs=1e-9)


def test_the_bootstrap_contains_the_estimate_and_is_reproducible(walk: "pd.Series[float]") -> None:
    returns = walk.pct_change().dropna().to_numpy()
    intervals = significance.bootstrap(returns, 252, seed=7)
    assert intervals == significance.bootstrap(returns, 252, seed=7)
    ratio = returns.mean() / returns.std(ddof=1) * math.sqrt(252)
    interval = intervals["sharpe"]
    assert interval is not None
    assert interval[0] < ratio < interval[1]


def test_unsorted_times_are_rejected() -> None:
    with pytest.raises(ValueError, match="strictly increasing"):
        compute(series([1.0, 2.0, 3.0]).iloc[[1, 0, 2]])


def test_an_equity_of_nan_is_rejected() -> None:
    """It would otherwise have a total return but no drawdown."""
    index = pd.date_range("2020-01-01", periods=3, tz="UTC")
    with pytest.raises(ValueError, match="equity is NaN or infinite at 2020-01-02"):
        compute(pd.Series([1.0, np.nan, 3.0], index))
