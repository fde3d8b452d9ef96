"""Figures of a report about its returns, against empyrical, scipy and numpy."""

import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.quant.backtesting.conftest import BacktestJob
from tests.quant.learning.conftest import synthetic
from tests.quant.strategy.rules import conditions, rules_text
from worker_agent.protocol import InvalidInput
from workers.backtesting.backtest_parameters import BacktestParameters
from workers.backtesting.backtest_pipeline import run_backtest
from workers.backtesting.engine import Rules, simulate
from workers.backtesting.gross import FIGURES, gross_figures
from workers.backtesting.periods import periods_of
from workers.backtesting.relation import reference_returns, relate
from workers.backtesting.return_tables import distribution, extremes, yearly_returns
from workers.backtesting.rolling import ROLLING_DAYS, rolling_figures
from workers.market_data.bars import write_bars

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import empyrical

PER_YEAR = 252.0


def random_returns(seed: int, n: int = 600) -> np.ndarray:
    return np.random.default_rng(seed).standard_t(4, n) * 0.01 + 0.0004


@pytest.fixture(scope="module")
def runs() -> tuple[np.ndarray, np.ndarray, pd.DatetimeIndex]:
    """Equity of a strategy and of its benchmark, correlated, on two and a half years of weekdays."""
    market = random_returns(1)
    own = 0.4 * market + random_returns(2) * 0.5
    index = pd.date_range("2019-06-03", periods=len(own), freq="B", tz="UTC")
    return 1e5 * np.cumprod(1 + own), 1e5 * np.cumprod(1 + market), index


@settings(deadline=None)
@given(st.integers(0, 1000), st.integers(3, 300))
def test_alpha_beta_and_information_ratio_equal_those_of_empyrical_and_scipy(seed: int, n: int) -> None:
    own, market = random_returns(seed, n), random_returns(seed + 1, n)
    figures = relate(own, market, PER_YEAR)
    assert figures["beta"] == pytest.approx(empyrical.beta(own, market), rel=1e-9)
    assert figures["beta"] == pytest.approx(stats.linregress(market, own).slope, rel=1e-9)
    assert figures["alpha"] == pytest.approx(
        PER_YEAR * stats.linregress(market, own).intercept, rel=1e-9, abs=1e-12
    )
    assert figures["correlation"] == pytest.approx(stats.pearsonr(own, market)[0], rel=1e-9)
    assert figures["information_ratio"] == pytest.approx(
        empyrical.excess_sharpe(own, market) * math.sqrt(PER_YEAR), rel=1e-9
    )
    assert figures["tracking_error"] == pytest.approx(np.std(own - market, ddof=1) * math.sqrt(PER_YEAR))
    assert figures["observations"] == n


def test_a_relation_leaves_out_unknown_returns_and_undefined_figures() -> None:
    own, market = random_returns(3, 50), random_returns(4, 50)
    holes = market.copy()
    holes[[0, 7, 20]] = np.nan
    kept = ~np.isnan(holes)
    assert relate(own, holes, PER_YEAR) == relate(own[kept], market[kept], PER_YEAR)
    flat = relate(own, np.zeros(50), PER_YEAR)
    assert flat["beta"] is flat["alpha"] is flat["correlation"] is None
    assert flat["tracking_error"] is not None
    assert relate(own[:2], market[:2], PER_YEAR)["beta"] is None
    assert relate(own, own, PER_YEAR)["information_ratio"] is None


def test_the_returns_of_a_reference_belong_to_the_periods_of_the_run() -> None:
    days = pd.date_range("2021-01-04", periods=6, freq="D", tz="UTC")
    close = pd.Series(
        [100.0, 110.0, 121.0, 242.0], index=[days[0] - pd.Timedelta(days=3), days[1], days[2], days[5]]
    )
    returns = reference_returns(close, days, periods_of(days, "24/7"))
    np.testing.assert_allclose(returns, [np.nan, 0.1, 0.1, np.nan, np.nan, 1.0])
    without_earlier = reference_returns(close.iloc[1:], days, periods_of(days, "24/7"))
    np.testing.assert_allclose(without_earlier, [np.nan, np.nan, 0.1, np.nan, np.nan, 1.0])


@pytest.mark.parametrize("at", [ROLLING_DAYS - 1, ROLLING_DAYS, 311, 599])
def test_rolling_figures_equal_empyrical_on_the_window(runs: Any, at: int) -> None:
    equity, benchmark, index = runs
    periods = periods_of(index, "24/7")
    rolled = rolling_figures(equity, benchmark, 1e5, periods)
    own, market = (
        periods.returns(marks, 1e5)[at + 1 - ROLLING_DAYS : at + 1] for marks in (equity, benchmark)
    )
    year = periods.per_year
    assert rolled["rolling_sharpe"][at] == pytest.approx(empyrical.sharpe_ratio(own, annualization=year))
    assert rolled["rolling_sortino"][at] == pytest.approx(empyrical.sortino_ratio(own, annualization=year))
    assert rolled["rolling_volatility"][at] == pytest.approx(
        empyrical.annual_volatility(own, annualization=year)
    )
    assert rolled["rolling_beta"][at] == pytest.approx(empyrical.beta(own, market))
    assert all(np.isnan(values[: ROLLING_DAYS - 1]).all() for values in rolled.values())


def test_rolling_figures_of_equity_that_does_not_move_are_unknown() -> None:
    index = pd.date_range("2021-01-04", periods=200, freq="D", tz="UTC")
    flat = np.full(200, 1e5)
    rolled = rolling_figures(flat, flat, 1e5, periods_of(index, "24/7"))
    assert np.isnan(rolled["rolling_sharpe"]).all()
    assert np.isnan(rolled["rolling_beta"]).all()
    assert rolled["rolling_volatility"][-1] == 0.0


def test_yearly_returns_equal_those_of_empyrical(runs: Any) -> None:
    equity, benchmark, index = runs
    periods = periods_of(index, "24/7")
    rows = yearly_returns(equity, benchmark, 1e5, periods, index)
    assert [row["year"] for row in rows] == [2019, 2020, 2021]
    for name, marks in (("return", equity), ("benchmark", benchmark)):
        daily = pd.Series(periods.returns(marks, 1e5), index=index)
        expected = empyrical.aggregate_returns(daily, "yearly")
        np.testing.assert_allclose([row[name] for row in rows], expected, rtol=1e-9)


@settings(deadline=None)
@given(st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=200))
@example([0.0, 5e-324])
@example([0.5, 0.5 + 2e-15])
def test_the_distribution_equals_that_of_scipy(values: list[float]) -> None:
    returns = np.array(values)
    table = distribution(returns, "daily")
    json.dumps(table, allow_nan=False)
    if not table:
        assert np.ptp(returns) <= 1e-14 * np.abs(returns).max() + 1e-300
        return
    assert sum(table["counts"]) == len(values)
    assert table["positive"] == np.mean(returns > 0)
    if table["skewness"] is not None and returns.std() > 1e-6:
        assert table["skewness"] == pytest.approx(stats.skew(returns), rel=1e-6, abs=1e-6)
        assert table["excess_kurtosis"] == pytest.approx(stats.kurtosis(returns), rel=1e-6, abs=1e-6)


def test_the_best_and_worst_days_are_those_of_a_sorted_list(runs: Any) -> None:
    equity, benchmark, index = runs
    periods = periods_of(index, "24/7")
    own, market = (periods.returns(marks, 1e5) for marks in (equity, benchmark))
    table = extremes(own, market, periods, index)
    ranked = pd.Series(own, index=index).sort_values()
    assert [row["return"] for row in table["worst"]] == ranked.iloc[:10].tolist()
    assert [row["return"] for row in table["best"]] == ranked.iloc[::-1].iloc[:10].tolist()
    row = table["worst"][0]
    assert row["time"] == ranked.index[0].isoformat()
    assert row["benchmark"] == market[index.get_loc(ranked.index[0])]
    rising = extremes(np.array([0.1, 0.2]), np.array([0.0, np.nan]), periods_of(index[:2], "24/7"), index[:2])
    assert rising["worst"] == []
    assert [row["benchmark"] for row in rising["best"]] == [None, 0.0]


def test_gross_figures_are_those_of_a_run_that_was_always_free() -> None:
    bars = synthetic(5, n=300).assign(spread=0.01)
    target = np.sign(np.sin(np.arange(300) / 9)).astype(np.int8)
    rules = Rules(commission=0.002, slippage=0.001)
    costly = simulate(bars, target, rules)
    free = simulate(bars.drop(columns="spread"), target, replace(rules, commission=0.0, slippage=0.0))
    figures = gross_figures(bars, target, costly, "24/7", None)
    assert set(figures) == set(FIGURES)
    assert figures["final_equity"] == free.final_equity > costly.final_equity


def test_a_backtest_compares_with_a_reference(tmp_path: Path) -> None:
    bars, other = synthetic(3, n=700), synthetic(9, n=700)
    paths = {name: tmp_path / f"{name}.parquet" for name in ("XY", "SPY")}
    write_bars(bars, paths["XY"])
    write_bars(other, paths["SPY"])
    files = {"bars/XY/1d.parquet": paths["XY"]}
    text = rules_text(conditions(long="close > mean(close, 20)", exit_long="close < mean(close, 20)"))
    parameters = BacktestParameters(symbol="XY", strategy_yaml=text, reference="SPY", start_date="2015-07-01")
    with pytest.raises(InvalidInput, match="No bars of SPY found"):
        run_backtest(parameters, BacktestJob(files))
    job = BacktestJob({**files, "reference/SPY.parquet": paths["SPY"]})
    result = run_backtest(parameters, job)
    report = json.loads(job.artifacts["report.json"])
    hold, reference = report["relations"]
    assert (hold["name"], reference["name"]) == ("buy and hold", "SPY")
    assert result["settings"]["reference"] == "SPY"
    equity = pd.read_parquet(pd.io.common.BytesIO(job.artifacts["equity.parquet"]))
    own = (
        np.diff(np.concatenate(([100_000.0], equity["equity"])))
        / np.concatenate(([100_000.0], equity["equity"]))[:-1]
    )
    market = other["close"].pct_change().reindex(pd.DatetimeIndex(equity["time"])).to_numpy()
    assert reference["beta"] == pytest.approx(empyrical.beta(own, market), rel=1e-6)
    assert result["gross"]["total_return"] > result["metrics"]["total_return"]
