"""Properties of the engine for all bars, target directions and rules."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.quant.backtesting import literal_engine
from workers.backtesting.engine import Result, Rules, simulate
from workers.backtesting.metrics import compute

fraction = st.one_of(st.none(), st.floats(0.005, 0.3))


@st.composite
def targets(draw: st.DrawFn, n: int) -> list[int]:
    """Target directions that change at any bar, or after stretches of bars, which the kernel passes in one go."""
    longest = draw(st.sampled_from([1, 12]))
    stretches = st.tuples(st.sampled_from([-1, 0, 1]), st.integers(1, longest))
    drawn = draw(st.lists(stretches, min_size=math.ceil(n / longest), max_size=n))
    signals = [signal for signal, length in drawn for _ in range(length)]
    return [*signals, *[0] * n][:n]


@st.composite
def cases(draw: st.DrawFn) -> tuple[pd.DataFrame, list[int], Rules]:
    n = draw(st.integers(1, 40))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    close = 100 * np.exp(np.cumsum(generator.normal(0, draw(st.sampled_from([0.0, 0.01, 0.1, 0.4])), n)))
    open_ = np.concatenate(([100.0], close[:-1])) * np.exp(generator.normal(0, 0.02, n))
    reach = draw(st.sampled_from([0.0, 0.01, 0.1]))
    data = pd.DataFrame(
        {
            "open": open_,
            "high": np.maximum(open_, close) * (1 + reach * generator.random(n)),
            "low": np.minimum(open_, close) * (1 - reach * generator.random(n)),
            "close": close,
        },
        index=pd.date_range("2020-01-01", periods=n, freq="h", tz="UTC"),
    )
    target = draw(targets(n))
    size, max_leverage = draw(st.sampled_from([(0.1, 1.0), (1.0, 1.0), (1.0, 5.0), (5.0, 5.0), (30.0, 30.0)]))
    rules = Rules(
        initial_capital=draw(st.sampled_from([100.0, 10_000.0])),
        commission=draw(st.sampled_from([0.0, 0.001, 0.05])),
        slippage=draw(st.sampled_from([0.0, 0.0005, 0.05])),
        spread=draw(st.sampled_from([0.0, 0.01])),
        fill=draw(st.sampled_from(["next_open", "next_close", "same_close"])),
        sizing=draw(st.sampled_from(["fraction", "units"])),
        size=size,
        max_leverage=max_leverage,
        allow_short=draw(st.booleans()),
        stop_loss=draw(fraction),
        take_profit=draw(fraction),
        trailing_stop=draw(fraction),
    )
    return data, target, rules


def fills(result: Result) -> Iterator[tuple[int, int, float, float]]:
    """Yield (bar, side of the order, quantity, price) of each fill."""
    for trade in result.trades.itertuples():
        yield trade.entry_index, trade.side, trade.quantity, trade.entry_price
        if trade.exit_index >= 0:
            yield trade.exit_index, -trade.side, trade.quantity, trade.exit_price


@given(cases())
@settings(max_examples=300, deadline=None)
def test_the_compiled_engine_equals_the_literal_one(case: tuple[pd.DataFrame, list[int], Rules]) -> None:
    data, target, rules = case
    result = simulate(data, target, rules)
    rows: Any = [tuple(row) for row in data[["open", "high", "low", "close"]].to_numpy().tolist()]
    expected = literal_engine.simulate(rows, target, rules)
    assert result.equity.tolist() == pytest.approx(expected["equity"], rel=1e-9, abs=1e-6)
    columns = ["entry_index", "exit_index", "side", "exit_reason"]
    assert result.trades[columns].to_dict("records") == [
        {name: trade[name] for name in columns} for trade in expected["trades"]
    ]
    for name in ("quantity", "entry_price", "exit_price", "pnl"):
        assert result.trades[name].tolist() == pytest.approx(
            [t[name] for t in expected["trades"]], rel=1e-9, abs=1e-6
        )
    assert result.refused == expected["refused"]


@given(st.floats(50, 150), fraction.filter(bool), st.sampled_from([-1, 1]))
@settings(deadline=None)
def test_a_trailing_stop_as_wide_as_the_fixed_one_leaves_the_exit_to_it_until_the_price_moves(
    price: float, width: float, direction: int
) -> None:
    """Both levels are equal to the last bit in both engines."""
    against = [price * (1 - direction * reach) for reach in (0.0, 0.001, 0.5)]
    data = pd.DataFrame(
        {
            "open": price,
            "high": np.maximum(price, against),
            "low": np.minimum(price, against),
            "close": price,
        },
        index=pd.date_range("2020-01-01", periods=3, freq="h", tz="UTC"),
    )
    rules = Rules(allow_short=True, slippage=0.0, spread=0.0, stop_loss=width, trailing_stop=width)
    expected = literal_engine.simulate(
        [tuple(row) for row in data.to_numpy().tolist()], [direction] * 3, rules
    )
    assert [trade["exit_reason"] for trade in expected["trades"]] == ["stop_loss"]
    assert simulate(data, [direction] * 3, rules).trades["exit_reason"].tolist() == ["stop_loss"]


@given(cases())
@settings(max_examples=200, deadline=None)
def test_the_trades_sum_to_the_change_of_equity_to_the_cent(
    case: tuple[pd.DataFrame, list[int], Rules],
) -> None:
    """Lesson Q31."""
    data, target, rules = case
    result = simulate(data, target, rules)
    assert result.trades["pnl"].sum() == pytest.approx(result.final_equity - rules.initial_capital, abs=0.005)
    assert result.trades["fees"].sum() == pytest.approx(result.fees, abs=0.005)


def friction_of(rules: Rules) -> float:
    return rules.slippage + (rules.spread or 0.0) / 2


@given(cases())
@settings(max_examples=150, deadline=None)
def test_the_base_price_of_every_fill_lies_inside_its_bar(
    case: tuple[pd.DataFrame, list[int], Rules],
) -> None:
    """Lesson Q18. The base price is the one before friction, which may lie outside since engine semantics 2."""
    data, target, rules = case
    for index, side, _, price in fills(simulate(data, target, rules)):
        base = price / (1 + side * friction_of(rules))
        assert data.low.iloc[index] * (1 - 1e-12) <= base <= data.high.iloc[index] * (1 + 1e-12)


@given(cases())
@settings(max_examples=300, deadline=None)
def test_friction_is_paid_in_full_on_every_fill(case: tuple[pd.DataFrame, list[int], Rules]) -> None:
    """Whatever the range of the bars: notional times slippage and half the spread, at entries and all kinds of exits."""
    data, target, rules = case
    result = simulate(data, target, rules)
    friction = friction_of(rules)
    charged = [
        quantity * (price / (1 + side * friction)) * friction for _, side, quantity, price in fills(result)
    ]
    assert result.slippage_cost == pytest.approx(math.fsum(charged), rel=1e-9, abs=1e-9)
    assert result.trades["slippage_cost"].sum() == pytest.approx(result.slippage_cost, rel=1e-9, abs=1e-9)
    paid = [
        side * quantity * (price - price / (1 + side * friction))
        for _, side, quantity, price in fills(result)
    ]
    assert math.fsum(paid) == pytest.approx(result.slippage_cost, rel=1e-9, abs=1e-9)


@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_a_spread_in_the_data_is_paid_in_full_bar_by_bar(
    case: tuple[pd.DataFrame, list[int], Rules], seed: int
) -> None:
    data, target, rules = case
    spread = np.random.default_rng(seed).uniform(0, 0.01, len(data))
    result = simulate(data, target, replace(rules, spread=None), spread=spread)
    charged = []
    for index, side, quantity, price in fills(result):
        friction = rules.slippage + spread[index] / 2
        charged.append(quantity * price / (1 + side * friction) * friction)
    assert result.slippage_cost == pytest.approx(math.fsum(charged), rel=1e-9, abs=1e-9)


@given(cases())
@settings(max_examples=300, deadline=None)
def test_equity_below_zero_is_a_debt_that_ends_trading(case: tuple[pd.DataFrame, list[int], Rules]) -> None:
    data, target, rules = case
    result = simulate(data, target, rules)
    worst = np.where(result.position > 0, data.low, data.high)
    cash = result.equity - result.position * data.close.to_numpy()
    live = result.position == np.concatenate(([0.0], result.position[:-1]))
    assert (result.equity[result.position != 0] > 0).all()
    assert ((cash + result.position * worst)[live & (result.position != 0)] > 0).all(), (
        "held beyond its margin"
    )
    below = np.flatnonzero(result.equity <= 0)
    assert result.ruined == (len(below) > 0)
    if len(below):
        assert set(result.equity[below[0] :]) == {result.final_equity}
        metrics = compute(pd.Series(result.equity, data.index), initial_capital=rules.initial_capital)
        assert metrics["debt"] == -result.final_equity


@given(cases(), st.integers(1, 39), st.sampled_from(["cut", "other future"]))
@settings(max_examples=150, deadline=None)
def test_the_future_never_changes_the_past(
    case: tuple[pd.DataFrame, list[int], Rules], cut: int, change: str
) -> None:
    """Lesson Q8."""
    data, target, rules = case
    cut = min(cut, len(data))
    complete = simulate(data, target, rules)
    if change == "cut":
        other = simulate(data.iloc[:cut], target[:cut], rules)
        # On the last bar a signal at the close is ignored.
        known = cut - 1 if rules.fill == "same_close" else cut
    else:
        changed = data.copy()
        changed.iloc[cut:] *= 1.37
        other = simulate(changed, [*target[:cut], *[-signal for signal in target[cut:]]], rules)
        known = cut
    assert other.equity[:known].tolist() == complete.equity[:known].tolist()


@given(cases())
@settings(max_examples=100, deadline=None)
def test_costs_never_help_if_they_change_no_decision(case: tuple[pd.DataFrame, list[int], Rules]) -> None:
    data, target, rules = case
    plain = replace(
        rules,
        stop_loss=None,
        take_profit=None,
        trailing_stop=None,
        sizing="units",
        size=0.001,
        allow_short=True,
    )
    free = simulate(data, target, replace(plain, commission=0.0, slippage=0.0, spread=0.0))
    assert simulate(data, target, plain).final_equity <= free.final_equity + 1e-9
