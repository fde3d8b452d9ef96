"""The report of a backtest: series with a bounded number of points, tables of the trades, and warnings."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.backtesting import backtest_report, rolling
from workers.backtesting.backtest_warnings import collect_warnings
from workers.backtesting.downsample import MAX_POINTS, pick_points
from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import Metrics, compute
from workers.backtesting.periods import periods_of
from workers.backtesting.sensitivity import simulate_worse_conditions

FREE = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0)


def hourly(n: int, seed: int = 5) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.003, n)))
    opens = np.append(100.0, close[:-1])
    index = pd.date_range("2021-03-01", periods=n, freq="1h", tz="UTC", name="time")
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index)


def simulate_waves(n: int = 3000, rules: Rules = FREE) -> tuple[pd.DataFrame, Result]:
    bars = hourly(n)
    target = np.sign(np.sin(np.arange(n) / 17)).astype(np.int8)
    return bars, simulate(bars, target, rules)


def build_report(bars: pd.DataFrame, result: Result) -> dict:
    close = bars["close"].to_numpy()
    report, errors = backtest_report.build_report(result, result, close, periods_of(result.index), {})
    assert errors == {}
    return json.loads(json.dumps(report, allow_nan=False))


def test_a_long_series_is_limited_to_the_maximum_and_keeps_its_ends() -> None:
    bars, result = simulate_waves(20_000)
    series = build_report(bars, result)["series"]
    assert {len(values) for values in series.values()} == {MAX_POINTS}
    assert series["time"][0] == bars.index[0].isoformat()
    assert series["time"][-1] == bars.index[-1].isoformat()
    assert series["equity"][-1] == result.final_equity
    assert series["time"] == sorted(series["time"])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(3, 50))
def test_downsampling_keeps_order_ends_and_number(values: list[float], limit: int) -> None:
    picked = pick_points(np.array(values), limit)
    assert len(picked) == min(limit, len(values))
    assert (np.diff(picked) > 0).all()
    assert (picked[0], picked[-1]) == (0, len(values) - 1)


def test_downsampling_keeps_a_spike() -> None:
    values = np.zeros(50_000)
    values[31_234] = 9.0
    assert 31_234 in pick_points(values, 100)


def test_monthly_returns_compound_to_the_total() -> None:
    bars, result = simulate_waves()
    months = build_report(bars, result)["monthly_returns"]
    assert [(row["year"], row["month"]) for row in months] == [
        (2021, 3),
        (2021, 4),
        (2021, 5),
        (2021, 6),
        (2021, 7),
    ]
    total = np.prod([1 + row["return"] for row in months])
    np.testing.assert_allclose(total, result.final_equity / 1000.0, rtol=1e-12)


def test_the_drawdowns_are_the_deepest_periods_below_the_peak() -> None:
    equity = np.array([100.0, 110, 99, 105, 111, 100, 90, 95, 112, 111])
    index = pd.date_range("2024-01-01", periods=10, freq="1D", tz="UTC")
    drawdown = equity / np.maximum.accumulate(equity) - 1
    rows = backtest_report.drawdowns(drawdown, index)
    assert [round(row["depth"], 4) for row in rows] == [-0.1892, -0.1, -0.0089]
    assert (rows[0]["start"][:10], rows[0]["trough"][:10], rows[0]["end"][:10]) == (
        "2024-01-05", "2024-01-07", "2024-01-09",
    )  # fmt: skip
    assert rows[2]["end"] is None


def test_every_closed_trade_is_in_each_table_once() -> None:
    bars, result = simulate_waves(rules=Rules(initial_capital=1000.0, stop_loss=0.01))
    tables = build_report(bars, result)
    closed = result.trades[result.trades["exit_index"] >= 0]
    for name in ("by_exit_reason", "by_side", "by_weekday", "by_hour"):
        assert sum(row["trades"] for row in tables[name]) == len(closed), name
        np.testing.assert_allclose(sum(row["pnl"] for row in tables[name]), closed["pnl"].sum(), rtol=1e-9)
    assert {row["key"] for row in tables["by_side"]} == {"long", "short"}
    assert {"stop_loss", "signal"} <= {row["key"] for row in tables["by_exit_reason"]}


def test_the_rolling_figures_depend_only_on_the_past() -> None:
    bars, result = simulate_waves()
    index, held = pd.DatetimeIndex(result.index), bars["close"].to_numpy()
    complete = rolling.rolling_figures(result.equity, held, 1000.0, periods_of(index))
    cut = rolling.rolling_figures(result.equity[:2000], held[:2000], 1000.0, periods_of(index[:2000]))
    for name, values in complete.items():
        days = int(np.isfinite(values).argmax()) // 24 + 1
        assert days >= rolling.ROLLING_DAYS, name
        np.testing.assert_array_equal(values[: 2000 - 24], cut[name][: 2000 - 24], name)


def test_the_excursions_enclose_the_result_of_each_trade() -> None:
    _, result = simulate_waves()
    closed = result.trades[result.trades["exit_index"] >= 0]
    assert (closed["mae"] <= closed["return"] + 1e-9).all()
    assert (closed["mfe"] >= closed["return"] - 1e-9).all()


def test_a_report_without_trades_can_be_built() -> None:
    bars = hourly(50)
    result = simulate(bars, np.zeros(50, np.int8), FREE)
    tables = build_report(bars, result)
    assert tables["trades"] == tables["by_hour"] == tables["drawdowns"] == []


def test_few_trades_and_an_implausible_ratio_give_warnings() -> None:
    """Lessons Q2 and Q20."""
    bars = hourly(400)
    for name in ("open", "high", "low", "close"):
        bars[name] = np.exp(np.linspace(4, 6, 400))
    result = simulate(bars, np.ones(400, np.int8), FREE)
    metrics = compute(
        pd.Series(result.equity, result.index),
        result.trades,
        initial_capital=1000.0,
        position=result.position,
    )
    sensitivity = simulate_worse_conditions(bars, np.ones(400, np.int8), result)
    warnings = collect_warnings(result, metrics, sensitivity, None)
    assert {"few_trades", "implausible"} <= {warning["code"] for warning in warnings}
    tiny = simulate(bars, np.ones(400, np.int8), Rules(initial_capital=1000.0, minimum_quantity=1e6))
    messages = {warning["code"]: warning["message"] for warning in collect_warnings(tiny, metrics, {}, None)}
    assert "orders were refused" in messages["refused"]


def warning_messages(bars: pd.DataFrame, target: np.ndarray, rules: Rules) -> dict[str, str]:
    """Return the warnings of a simulation, with buy and hold as its benchmark: code -> message."""

    def metrics(result: Result) -> Metrics:
        return compute(
            pd.Series(result.equity, result.index),
            result.trades,
            initial_capital=rules.initial_capital,
            fees=result.fees,
            slippage_cost=result.slippage_cost,
        )

    result, hold = simulate(bars, target, rules), simulate(bars, np.ones(len(bars), np.int8), rules)
    warnings = collect_warnings(result, metrics(result), {}, None, benchmark=metrics(hold), bars=bars)
    return {warning["code"]: warning["message"] for warning in warnings}


def test_a_loss_due_to_costs_gives_warnings() -> None:
    bars = hourly(2000)
    for name in ("open", "high", "low", "close"):
        bars[name] *= np.exp(np.linspace(0, 1, 2000))
    target = (np.arange(2000) % 3 > 0).astype(np.int8)
    messages = warning_messages(bars, target, Rules(initial_capital=1000.0, commission=0.001, slippage=0.0))
    assert messages["costs"].startswith("The costs (")
    assert messages["worse_than_holding"].startswith("Buy and hold returned +")
    assert not {"no_costs", "same_close", "luck", "splits"} & set(messages)


def test_a_gain_that_could_be_luck_gives_a_warning() -> None:
    """Steps of one percent that almost cancel out: the mean is a hundredth of a percent, a gain of a seventh in two months."""
    bars = hourly(1500)
    steps = np.random.default_rng(8).normal(0.0, 0.01, 1500)
    close = 100.0 * np.exp(np.cumsum(steps - steps.mean() + 0.0001))
    for name, factor in (("open", 1.0), ("high", 1.02), ("low", 0.98), ("close", 1.0)):
        bars[name] = close * factor
    messages = warning_messages(bars, np.ones(1500, np.int8), Rules(initial_capital=1000.0))
    assert "this could be luck" in messages["luck"]
    assert "worse_than_holding" not in messages


def test_results_that_cannot_be_traded_give_warnings() -> None:
    bars = hourly(400)
    bars.iloc[200:, :4] /= 4.0
    messages = warning_messages(bars, np.ones(400, np.int8), replace(FREE, fill="same_close"))
    assert {"no_costs", "same_close"} <= set(messages)
    assert f"at 1 bar, first on {bars.index[200]:%Y-%m-%d}" in messages["splits"]


@pytest.mark.parametrize(
    ("rules", "spread", "message"),
    [
        ({"commission": 0.1}, None, "The commission of 10 % of the traded value is implausible, above 5 %"),
        ({"slippage": 0.06}, None, "The slippage of 6 % of the price is implausible, above 5 %"),
        ({"spread": 0.2}, None, "above 5 % of the price at 400 of 400 bars, at most 20 % on 2021-03-01"),
        ({}, 0.3, "above 5 % of the price at 1 of 400 bars, at most 30 % on 2021-03-08"),
    ],
)
def test_implausible_costs_give_a_warning(
    rules: dict[str, float], spread: float | None, message: str
) -> None:
    bars = hourly(400)
    if spread is not None:
        bars["spread"] = 0.0001
        bars.iloc[180, bars.columns.get_loc("spread")] = spread * bars["open"].iloc[180]
    plain = Rules(initial_capital=1000.0, commission=0.05, slippage=0.05)
    target = np.ones(400, np.int8)
    assert "implausible_costs" not in warning_messages(
        bars.drop(columns="spread", errors="ignore"), target, plain
    )
    messages = warning_messages(bars, target, Rules(initial_capital=1000.0, **rules))  # type: ignore[arg-type]  # parameters
    assert message in messages["implausible_costs"]


def test_liquidation_and_debt_give_warnings() -> None:
    bars = hourly(400)
    bars.iloc[200, bars.columns.get_loc("low")] /= 2.0
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, size=3.0, max_leverage=3.0)
    messages = warning_messages(bars, np.ones(400, np.int8), rules)
    assert f"in the bar of {bars.index[200]:%Y-%m-%d %H:%M}: the position was liquidated" in messages["ruin"]
    owed = -simulate(bars, np.ones(400, np.int8), rules).final_equity
    assert owed > 0
    assert f"the account owes {owed:,.2f}" in messages["debt"]
    assert not {"ruin", "debt"} & set(warning_messages(hourly(400), np.ones(400, np.int8), rules))


def test_doubled_costs_double_friction_on_bars_without_a_range() -> None:
    """The stress showed nothing on them while friction was cut at the range of the bar."""
    bars = hourly(400)
    bars[["open", "high", "low", "close"]] = 50.0
    rules = Rules(
        initial_capital=1e6, commission=0.0, slippage=0.0005, spread=0.0002, sizing="units", size=10
    )
    target = (np.arange(400) % 2).astype(np.int8)
    plain = simulate(bars, target, rules)
    sensitivity = simulate_worse_conditions(bars, target, plain)
    fills = 2 * plain.closed + (plain.entries - plain.closed)
    assert plain.slippage_cost == pytest.approx(fills * 10 * 50.0 * 0.0006)
    assert sensitivity["doubled_costs"]["slippage_cost"] == pytest.approx(2 * plain.slippage_cost)


def test_doubled_costs_and_one_bar_of_delay_are_simulated() -> None:
    bars, _ = simulate_waves()
    target = np.sign(np.sin(np.arange(3000) / 17)).astype(np.int8)
    rules = Rules(initial_capital=1000.0, commission=0.001)
    plain = simulate(bars, target, rules)
    sensitivity = simulate_worse_conditions(bars, target, plain)
    assert sensitivity["doubled_costs"]["total_return"] < plain.final_equity / 1000.0 - 1
    late = simulate(bars, np.append(np.int8(0), target[:-1]), rules)
    assert sensitivity["one_bar_later"]["total_return"] == late.final_equity / 1000.0 - 1
