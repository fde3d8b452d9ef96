"""What a page draws: bounded, true to the series, and the tables of the trades."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from workers.backtesting import report, trust
from workers.backtesting.downsample import MOST_POINTS, keep
from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import Metrics, compute

FREE = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0)


def hourly(n: int, seed: int = 5) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.003, n)))
    opens = np.append(100.0, close[:-1])
    index = pd.date_range("2021-03-01", periods=n, freq="1h", tz="UTC", name="time")
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999
    return pd.DataFrame({"open": opens, "high": high, "low": low, "close": close, "volume": 1.0}, index)


def traded(n: int = 3000, rules: Rules = FREE) -> tuple[pd.DataFrame, Result]:
    bars = hourly(n)
    target = np.sign(np.sin(np.arange(n) / 17)).astype(np.int8)
    return bars, simulate(bars, target, rules)


def drawn(bars: pd.DataFrame, result: Result) -> dict:
    close = bars["close"].to_numpy()
    built = report.build(result, result, close, result.rules.initial_capital)
    return json.loads(json.dumps(built, allow_nan=False))


def test_a_long_series_is_thinned_to_its_bound_and_keeps_its_ends() -> None:
    bars, result = traded(20_000)
    series = drawn(bars, result)["series"]
    assert {len(values) for values in series.values()} == {MOST_POINTS}
    assert series["time"][0] == bars.index[0].isoformat()
    assert series["time"][-1] == bars.index[-1].isoformat()
    assert series["equity"][-1] == result.final_equity
    assert series["time"] == sorted(series["time"])


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(3, 50))
def test_thinning_keeps_order_ends_and_number(values: list[float], most: int) -> None:
    picked = keep(np.array(values), most)
    assert len(picked) == min(most, len(values))
    assert (np.diff(picked) > 0).all()
    assert (picked[0], picked[-1]) == (0, len(values) - 1)


def test_a_spike_survives_the_thinning() -> None:
    values = np.zeros(50_000)
    values[31_234] = 9.0
    assert 31_234 in keep(values, 100)


def test_months_compound_to_the_whole() -> None:
    bars, result = traded()
    months = drawn(bars, result)["monthly_returns"]
    assert [(row["year"], row["month"]) for row in months] == [
        (2021, 3),
        (2021, 4),
        (2021, 5),
        (2021, 6),
        (2021, 7),
    ]
    total = np.prod([1 + row["return"] for row in months])
    np.testing.assert_allclose(total, result.final_equity / 1000.0, rtol=1e-12)


def test_the_drawdowns_are_the_deepest_spells_below_the_peak() -> None:
    equity = np.array([100.0, 110, 99, 105, 111, 100, 90, 95, 112, 111])
    index = pd.date_range("2024-01-01", periods=10, freq="1D", tz="UTC")
    under = equity / np.maximum.accumulate(equity) - 1
    rows = report.drawdowns(under, index)
    assert [round(row["depth"], 4) for row in rows] == [-0.1892, -0.1, -0.0089]
    assert (rows[0]["start"][:10], rows[0]["trough"][:10], rows[0]["end"][:10]) == (
        "2024-01-05", "2024-01-07", "2024-01-09",
    )  # fmt: skip
    assert rows[2]["end"] is None


def test_every_closed_trade_is_in_each_table_once() -> None:
    bars, result = traded(rules=Rules(initial_capital=1000.0, stop_loss=0.01))
    tables = drawn(bars, result)
    closed = result.trades[result.trades["exit_index"] >= 0]
    for name in ("by_exit_reason", "by_side", "by_weekday", "by_hour"):
        assert sum(row["trades"] for row in tables[name]) == len(closed), name
        np.testing.assert_allclose(sum(row["pnl"] for row in tables[name]), closed["pnl"].sum(), rtol=1e-9)
    assert {row["key"] for row in tables["by_side"]} == {"long", "short"}
    assert {"stop_loss", "signal"} <= {row["key"] for row in tables["by_exit_reason"]}


def test_the_rolling_ratio_is_known_only_from_its_past() -> None:
    _, result = traded()
    index = pd.DatetimeIndex(result.index)
    whole = report.rolling_sharpe(result.equity, 1000.0, index)
    cut = report.rolling_sharpe(result.equity[:2000], 1000.0, index[:2000])
    days = int(np.isfinite(whole).argmax()) // 24 + 1
    assert days >= report.ROLLING_DAYS
    np.testing.assert_array_equal(whole[: 2000 - 24], cut[: 2000 - 24])


def test_the_excursions_hold_the_result_of_each_trade() -> None:
    _, result = traded()
    closed = result.trades[result.trades["exit_index"] >= 0]
    assert (closed["mae"] <= closed["return"] + 1e-9).all()
    assert (closed["mfe"] >= closed["return"] - 1e-9).all()


def test_nothing_traded_makes_a_report_too() -> None:
    bars = hourly(50)
    result = simulate(bars, np.zeros(50, np.int8), FREE)
    tables = drawn(bars, result)
    assert tables["trades"] == tables["by_hour"] == tables["drawdowns"] == []


def test_warnings_say_what_a_sceptic_would_ask() -> None:
    """lessons Q2 and Q20"""
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
    found = trust.warnings(result, metrics, trust.stress(bars, np.ones(400, np.int8), FREE), None)
    assert {"few_trades", "implausible"} <= {warning["code"] for warning in found}
    tiny = simulate(bars, np.ones(400, np.int8), Rules(initial_capital=1000.0, minimum_quantity=1e6))
    codes = {warning["code"]: warning["message"] for warning in trust.warnings(tiny, metrics, {}, None)}
    assert "orders were refused" in codes["refused"]


def warned(bars: pd.DataFrame, target: np.ndarray, rules: Rules) -> dict[str, str]:
    """Messages by code of a simulation beside holding."""

    def figures(result: Result) -> Metrics:
        return compute(
            pd.Series(result.equity, result.index),
            result.trades,
            initial_capital=rules.initial_capital,
            fees=result.fees,
            slippage_cost=result.slippage_cost,
        )

    result, hold = simulate(bars, target, rules), simulate(bars, np.ones(len(bars), np.int8), rules)
    found = trust.warnings(result, figures(result), {}, None, benchmark=figures(hold), bars=bars)
    return {warning["code"]: warning["message"] for warning in found}


def test_a_loss_that_costs_made_and_holding_would_have_spared_is_said() -> None:
    bars = hourly(2000)
    for name in ("open", "high", "low", "close"):
        bars[name] *= np.exp(np.linspace(0, 1, 2000))
    target = (np.arange(2000) % 3 > 0).astype(np.int8)
    found = warned(bars, target, Rules(initial_capital=1000.0, commission=0.001, slippage=0.0))
    assert found["costs"].startswith("The costs (")
    assert found["worse_than_holding"].startswith("Buying and holding made +")
    assert not {"no_costs", "same_close", "luck", "splits"} & set(found)


def test_a_gain_that_luck_explains_is_said() -> None:
    """A seventh in two months, by steps of one percent that cancel out but for a hundredth of one."""
    bars = hourly(1500)
    steps = np.random.default_rng(8).normal(0.0, 0.01, 1500)
    close = 100.0 * np.exp(np.cumsum(steps - steps.mean() + 0.0001))
    for name, factor in (("open", 1.0), ("high", 1.02), ("low", 0.98), ("close", 1.0)):
        bars[name] = close * factor
    found = warned(bars, np.ones(1500, np.int8), Rules(initial_capital=1000.0))
    assert "this can be luck" in found["luck"]
    assert "worse_than_holding" not in found


def test_what_nobody_could_trade_is_said() -> None:
    bars = hourly(400)
    bars.iloc[200:, :4] /= 4.0
    found = warned(bars, np.ones(400, np.int8), replace(FREE, fill="same_close"))
    assert {"no_costs", "same_close"} <= set(found)
    assert f"before 1 of the bars, first on {bars.index[200]:%Y-%m-%d}" in found["splits"]


def test_costs_twice_as_high_and_a_bar_of_delay_are_tried() -> None:
    bars, _ = traded()
    target = np.sign(np.sin(np.arange(3000) / 17)).astype(np.int8)
    rules = Rules(initial_capital=1000.0, commission=0.001)
    plain = simulate(bars, target, rules)
    tried = trust.stress(bars, target, rules)
    assert tried["doubled_costs"]["total_return"] < plain.final_equity / 1000.0 - 1
    late = simulate(bars, np.append(np.int8(0), target[:-1]), rules)
    assert tried["one_bar_later"]["total_return"] == late.final_equity / 1000.0 - 1
