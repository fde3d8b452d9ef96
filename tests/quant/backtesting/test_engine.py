"""The engine compared with trades computed by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from workers.backtesting.engine import BadBars, BadRules, Result, Rules, simulate
from workers.backtesting.search import search

FREE = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, spread=0.0)


def bars(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    index = pd.date_range("2020-01-01", periods=len(rows), freq="D", tz="UTC", name="time")
    return pd.DataFrame(rows, columns=["open", "high", "low", "close"], index=index, dtype=float)


def only_trade(result: Result) -> pd.Series:
    assert len(result.trades) == 1
    return result.trades.iloc[0]


STEADY = bars((10, 11, 9, 10), (10, 12, 10, 12), (12, 13, 11, 12), (12, 15, 12, 14), (14, 16, 13, 15))


def test_a_signal_at_the_close_is_filled_at_the_next_open() -> None:
    """Lesson Q4."""
    result = simulate(STEADY, [1, 1, 0, 0, 0], FREE)
    trade = only_trade(result)
    assert (trade.entry_index, trade.entry_price) == (1, 10.0)
    assert (trade.exit_index, trade.exit_price) == (3, 12.0)
    assert result.equity.tolist() == [1000.0, 1200.0, 1200.0, 1200.0, 1200.0]


@pytest.mark.parametrize(
    ("fill", "entry", "price"), [("next_open", 1, 10.0), ("next_close", 1, 12.0), ("same_close", 0, 10.0)]
)
def test_the_fill_rule_decides_bar_and_price(fill: str, entry: int, price: float) -> None:
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, fill=fill)  # type: ignore[arg-type]  # a parameter
    trade = only_trade(simulate(STEADY, [1, 1, 1, 1, 1], rules))
    assert (trade.entry_index, trade.entry_price) == (entry, price)


def test_a_signal_on_the_last_bar_is_ignored() -> None:
    for fill in ("next_open", "next_close", "same_close"):
        rules = Rules(fill=fill)  # type: ignore[arg-type]  # a parameter
        assert simulate(STEADY, [0, 0, 0, 0, 1], rules).entries == 0


def test_commission_is_in_the_trade_in_cash_and_in_equity() -> None:
    """Lesson Q31: including the entry commission. 1000 = q * 10 * 1.01, so q = 99.0099."""
    rules = Rules(initial_capital=1000.0, commission=0.01, slippage=0.0)
    result = simulate(STEADY, [1, 1, 0, 0, 0], rules)
    trade = only_trade(result)
    quantity = 1000 / 10.1
    assert trade.quantity == pytest.approx(quantity)
    assert trade.fees == pytest.approx(quantity * (10 + 12) * 0.01)
    assert trade.pnl == pytest.approx(quantity * 2 - trade.fees)
    assert result.final_equity == pytest.approx(1000 + trade.pnl)
    assert result.fees == pytest.approx(trade.fees)


def test_slippage_and_half_the_spread_are_paid_both_ways() -> None:
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.01, spread=0.02)
    trade = only_trade(simulate(STEADY, [1, 1, 0, 0, 0], rules))
    assert trade.entry_price == pytest.approx(10.2)
    # Below the bar's low of 12; engine semantics 1 cut it there.
    assert trade.exit_price == pytest.approx(12 * 0.98)
    assert trade.slippage_cost == pytest.approx(trade.quantity * (10 + 12) * 0.02)


def test_friction_is_paid_in_full_on_bars_without_a_range() -> None:
    """Bars of one price, as in quiet minutes: engine semantics 1 charged nothing."""
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.001, spread=0.002)
    result = simulate(bars(*[(10, 10, 10, 10)] * 4), [1, -1, 0, 0], rules)
    assert result.trades.entry_price.tolist() == pytest.approx([10.02, 9.98])
    assert result.trades.exit_price.tolist() == pytest.approx([9.98, 10.02])
    traded_units = 2 * result.trades.quantity.sum()
    assert result.slippage_cost == pytest.approx(traded_units * 10 * 0.002)
    assert result.final_equity == pytest.approx(1000 - result.slippage_cost)


def test_a_reversal_is_two_legs_at_one_price() -> None:
    result = simulate(STEADY, [1, -1, -1, -1, -1], FREE)
    first, second = result.trades.iloc[0], result.trades.iloc[1]
    assert (first.exit_index, first.exit_price) == (2, 12.0)
    assert (second.entry_index, second.entry_price, second.side) == (2, 12.0, -1)
    assert second.quantity == pytest.approx(1200 / 12)


def test_an_open_position_at_the_end_is_marked_not_closed() -> None:
    """Lesson Q21."""
    result = simulate(STEADY, [1, 1, 1, 1, 1], Rules(initial_capital=1000.0, commission=0.01, slippage=0.0))
    trade = only_trade(result)
    assert (trade.exit_index, trade.exit_reason) == (-1, "open")
    assert pd.isna(trade.exit_time)
    assert result.closed == 0
    assert result.final_equity == pytest.approx(1000 + trade.pnl)
    assert trade.fees == pytest.approx(trade.quantity * 10 * 0.01)


def test_a_stop_is_live_on_the_entry_bar_and_comes_before_the_target() -> None:
    """Lesson Q18."""
    data = bars((10, 10, 10, 10), (10, 12, 8, 10), (10, 10, 10, 10))
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, stop_loss=0.1, take_profit=0.1)
    trade = only_trade(simulate(data, [1, 1, 1], rules))
    assert (trade.exit_index, trade.exit_price, trade.exit_reason) == (1, 9.0, "stop_loss")


def test_a_gap_through_the_stop_fills_at_the_open() -> None:
    """Lesson Q19: the worse of stop and open."""
    data = bars((10, 10, 10, 10), (10, 10, 10, 10), (7, 8, 6, 7), (7, 7, 7, 7))
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, stop_loss=0.05)
    trade = only_trade(simulate(data, [1, 1, 1, 1], rules))
    assert (trade.exit_index, trade.exit_price) == (2, 7.0)


def test_a_target_fills_at_its_limit_and_a_gap_beyond_it_at_the_open() -> None:
    """Less friction, which engine semantics 1 did not charge: that the mid price reached the limit does not mean that
    the bid did."""
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.01, take_profit=0.1)
    inside = bars((10, 10, 10, 10), (10, 11, 10, 10), (10, 13, 10, 12), (12, 12, 12, 12))
    trade = only_trade(simulate(inside, [1, 1, 1, 1], rules))
    assert (trade.exit_price, trade.exit_reason) == (pytest.approx(10.1 * 1.1 * 0.99), "take_profit")
    gap = bars((10, 10, 10, 10), (10, 11, 10, 10), (13, 14, 12, 13), (12, 12, 12, 12))
    assert only_trade(simulate(gap, [1, 1, 1, 1], rules)).exit_price == pytest.approx(13.0 * 0.99)


def test_after_a_stop_no_position_is_opened_until_the_target_direction_changes() -> None:
    data = bars(
        (10, 10, 10, 10),
        (10, 10, 8, 10),
        (10, 10, 10, 10),
        (10, 10, 10, 10),
        (10, 10, 10, 10),
        (10, 10, 10, 10),
    )
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, stop_loss=0.1)
    assert simulate(data, [1, 1, 1, 1, 1, 1], rules).entries == 1
    again = simulate(data, [1, 1, 0, 1, 1, 1], rules)
    assert again.trades.entry_index.tolist() == [1, 4]


def test_a_trailing_stop_moves_by_the_previous_bar() -> None:
    data = bars((10, 10, 10, 10), (10, 20, 10, 20), (20, 20, 18.5, 19), (19, 19, 17, 18), (18, 18, 18, 18))
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, trailing_stop=0.1)
    trade = only_trade(simulate(data, [1, 1, 1, 1, 1], rules))
    # The stop is 9 on the entry bar; its high of 20 counts from bar 2 on: a tenth below it is 18.
    assert (trade.exit_index, trade.exit_price, trade.exit_reason) == (3, 18.0, "trailing_stop")


def test_a_trailing_stop_of_a_short_follows_the_low() -> None:
    data = bars((10, 10, 10, 10), (10, 10, 5, 5), (5, 5.4, 5, 5), (5, 6, 5, 6), (6, 6, 6, 6))
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, trailing_stop=0.1)
    trade = only_trade(simulate(data, [-1, -1, -1, -1, -1], rules))
    assert (trade.exit_index, trade.exit_price, trade.exit_reason) == (3, 5.5, "trailing_stop")


def test_a_trailing_stop_in_atr_keeps_the_distance_of_the_decision() -> None:
    flat = [(10.0, 11.0, 9.0, 10.0)] * 5
    data = bars(*flat, (10, 20, 10, 20), (20, 20, 17.5, 18), (18, 18, 18, 18))
    rules = Rules(
        initial_capital=1000.0, commission=0.0, slippage=0.0, trailing_stop=1.0, stop_unit="atr", atr_period=3
    )
    trade = only_trade(simulate(data, [0, 0, 0, 0, 1, 1, 1, 1], rules))
    assert (trade.entry_index, trade.exit_index, trade.exit_price) == (5, 6, 18.0)


def test_stops_in_atr_use_the_value_known_at_the_decision() -> None:
    flat = [(10.0, 11.0, 9.0, 10.0)] * 6
    data = bars(*flat, (10, 10, 7.9, 8), (8, 8, 8, 8))
    rules = Rules(
        initial_capital=1000.0, commission=0.0, slippage=0.0, stop_loss=1.0, stop_unit="atr", atr_period=3
    )
    trade = only_trade(simulate(data, [0, 0, 0, 1, 1, 1, 1, 1], rules))
    assert (trade.entry_index, trade.exit_index, trade.exit_price) == (4, 6, 8.0)


def test_earlier_bars_give_the_atr_of_the_stops() -> None:
    earlier = bars(*[(10.0, 11.0, 9.0, 10.0)] * 4)
    data = bars((10, 11, 9, 10), (10, 11, 9, 10), (10, 10, 7.9, 8))
    data.index = earlier.index[-1] + pd.to_timedelta([1, 2, 3], unit="D")
    rules = Rules(
        initial_capital=1000.0, commission=0.0, slippage=0.0, stop_loss=1.0, stop_unit="atr", atr_period=3
    )
    without = simulate(data, [1, 1, 1], rules)
    assert (without.entries, without.refused) == (0, 2)
    trade = only_trade(simulate(data, [1, 1, 1], rules, before=earlier))
    assert (trade.entry_index, trade.exit_index, trade.exit_price) == (1, 2, 8.0)
    many = search(data, np.ones((1, 3), np.int8), rules, before=earlier)
    assert (many.trades[0], many.final_equity[0]) == (1, 800.0)


def test_when_equity_reaches_zero_the_position_is_closed_and_trading_ends() -> None:
    data = bars((10, 10, 10, 10), (10, 10, 10, 10), (10, 40, 10, 40), (10, 10, 10, 10), (10, 10, 10, 10))
    result = simulate(data, [-1, -1, -1, 1, 1], FREE)
    trade = only_trade(result)
    assert (trade.exit_reason, result.ruined) == ("ruin", True)
    assert result.equity.tolist()[2:] == [-2000.0, -2000.0, -2000.0]


LEVERED = Rules(
    initial_capital=1000.0, commission=0.0, slippage=0.0, spread=0.0, size=10.0, max_leverage=10.0
)


@pytest.mark.parametrize(
    ("direction", "spike", "worst", "final"),
    [(1, (10, 10, 8.5, 10), 8.5, 1000 - 1000 * 1.5), (-1, (10, 11.5, 10, 10), 11.5, 1000 - 1000 * 1.5)],
)
def test_a_position_is_liquidated_at_the_worst_price_of_the_bar_that_exhausts_the_equity(
    direction: int, spike: tuple[float, float, float, float], worst: float, final: float
) -> None:
    """Ten times the equity is 1,000 units at 10; the close of the bar is harmless, which semantics 1 read only."""
    data = bars((10, 10, 10, 10), (10, 10, 10, 10), spike, (10, 10, 10, 10))
    result = simulate(data, [direction] * 4, LEVERED)
    trade = only_trade(result)
    assert (trade.exit_index, trade.exit_price, trade.exit_reason) == (2, worst, "ruin")
    assert result.ruined
    assert result.equity.tolist() == [1000.0, 1000.0, final, final]


def test_a_position_that_keeps_some_equity_at_the_worst_price_is_held() -> None:
    data = bars((10, 10, 10, 10), (10, 10, 10, 10), (10, 10, 9.01, 10), (10, 10, 10, 10))
    result = simulate(data, [1] * 4, LEVERED)
    assert (only_trade(result).exit_reason, result.ruined) == ("open", False)


@pytest.mark.parametrize(("stop", "reason", "price"), [(0.05, "stop_loss", 9.5), (0.12, "ruin", 8.5)])
def test_a_stop_prevents_liquidation_only_while_equity_is_left(
    stop: float, reason: str, price: float
) -> None:
    data = bars((10, 10, 10, 10), (10, 10, 10, 10), (10, 10, 8.5, 10), (10, 10, 10, 10))
    trade = only_trade(simulate(data, [1] * 4, replace(LEVERED, stop_loss=stop)))
    assert (trade.exit_price, trade.exit_reason) == (pytest.approx(price), reason)


def test_liquidation_pays_friction_and_commission() -> None:
    data = bars((10, 10, 10, 10), (10, 10, 8.5, 10), (10, 10, 10, 10))
    result = simulate(data, [1, 1, 1], replace(LEVERED, slippage=0.01, commission=0.001))
    trade = only_trade(result)
    assert trade.exit_price == pytest.approx(8.5 * 0.99)
    assert result.final_equity == pytest.approx(1000 + trade.pnl)


def test_refused_and_cut_orders_are_counted() -> None:
    """Lesson Q20."""
    small = Rules(initial_capital=1000.0, minimum_quantity=1e6)
    assert simulate(STEADY, [1, 1, 1, 1, 1], small).refused == 4
    large = Rules(initial_capital=1000.0, sizing="units", size=1e6)
    result = simulate(STEADY, [1, 1, 1, 1, 1], large)
    assert result.cut == 1
    assert result.trades.quantity.iloc[0] * 10 <= 1000


def test_quantities_are_cut_to_the_step() -> None:
    result = simulate(
        STEADY, [1, 1, 1, 1, 1], Rules(initial_capital=1055.0, commission=0, slippage=0, quantity_step=10)
    )
    assert only_trade(result).quantity == 100.0


def test_without_short_permission_a_short_signal_is_flat() -> None:
    result = simulate(STEADY, [1, -1, -1, -1, -1], Rules(initial_capital=1000.0, allow_short=False))
    assert only_trade(result).side == 1


def test_a_spread_column_is_used_bar_by_bar() -> None:
    spread = np.array([0.0, 0.2, 0.0, 0.0, 0.0])
    result = simulate(STEADY, [1, 1, 0, 0, 0], FREE, spread=spread)
    assert only_trade(result).entry_price == pytest.approx(11.0)
    assert result.spread.tolist() == spread.tolist()


@pytest.mark.parametrize(
    ("fill", "entry", "exit_price"), [("next_open", 10.25, 11.75), ("next_close", 12.25, 13.75)]
)
@pytest.mark.parametrize("columns", [{"spread": 0.5}, {"bid": 9.75, "ask": 10.25}])
def test_half_of_the_spread_in_the_data_is_paid_at_the_order_s_own_price(
    fill: str, entry: float, exit_price: float, columns: dict[str, float]
) -> None:
    """The columns are in price units; `Rules.spread` overrides them, also with 0."""
    rules = Rules(initial_capital=1000.0, commission=0.0, slippage=0.0, fill=fill)  # type: ignore[arg-type]  # a parameter
    data = STEADY.assign(**columns)
    trade = only_trade(simulate(data, [1, 1, 0, 0, 0], rules))
    assert (trade.entry_price, trade.exit_price) == (pytest.approx(entry), pytest.approx(exit_price))
    assert simulate(data, [1, 1, 0, 0, 0], replace(rules, spread=0.0)).slippage_cost == 0.0


@pytest.mark.parametrize(
    ("spread", "message"),
    [
        (14.9, r"at 2020-01-02 .* is 149 % of its price: it is probably in points"),
        (-0.1, r"is -0\.01 of its price; it must be zero or more"),
        (np.nan, "is nan of its price"),
    ],
)
def test_an_impossible_spread_in_the_data_is_rejected(spread: float, message: str) -> None:
    data = STEADY.assign(spread=[0.1, spread, 0.1, 0.1, 0.1])
    with pytest.raises(BadBars, match=message):
        simulate(data, [0] * 5)


def test_a_search_and_a_single_run_agree() -> None:
    """Lesson Q12."""
    generator = np.random.default_rng(5)
    close = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, 300)))
    data = pd.DataFrame(
        {"open": close, "high": close * 1.01, "low": close * 0.99, "close": close},
        index=pd.date_range("2020-01-01", periods=300, freq="h", tz="UTC"),
    )
    targets = generator.integers(-1, 2, (20, 300)).astype(np.int8)
    many = search(data, targets)
    for row, target in enumerate(targets):
        single = simulate(data, target)
        assert many.final_equity[row] == single.final_equity
        assert many.trades[row] == single.entries
        assert many.fees[row] == single.fees


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"open": np.nan}, "open is nan"),
        ({"low": -1.0}, "low is"),
        ({"high": 9.0}, "is outside its high and low"),
    ],
)
def test_impossible_bars_are_rejected_with_their_time(change: dict[str, float], message: str) -> None:
    broken = STEADY.copy()
    for name, value in change.items():
        broken.loc[broken.index[2], name] = value
    with pytest.raises(BadBars, match=message):
        simulate(broken, [0] * 5)


def test_unsorted_and_duplicate_times_are_rejected() -> None:
    """Lesson Q24."""
    for order in ([1, 0, 2, 3, 4], [0, 0, 2, 3, 4]):
        with pytest.raises(BadBars, match="strictly increasing"):
            simulate(STEADY.iloc[order], [0] * 5)


@pytest.mark.parametrize(
    ("index", "place"),
    [
        (STEADY.index + pd.Timedelta(days=1), "entry 0 is"),
        (STEADY.index[[0, 1, 2, 4, 3]], "entry 3 is"),
        (STEADY.index[:4], "entry 4 is nothing instead of"),
        (pd.RangeIndex(5), "entry 0 is 0 instead of"),
        (STEADY.index.tz_convert("America/New_York"), None),
    ],
)
def test_a_series_of_targets_must_have_the_index_of_the_bars(index: pd.Index, place: str | None) -> None:
    target = pd.Series([0, 1, 1, 0, 0, 0][: len(index)], index=index)
    if place is None:
        assert simulate(STEADY, target).entries == simulate(STEADY, target.to_numpy()).entries
        return
    with pytest.raises(BadBars, match=f"index of the target differs from that of the bars: {place}"):
        simulate(STEADY, target)


@pytest.mark.parametrize("target", [[0, 1], [0, 2, 0, 0, 0], [0, 0.5, 0, 0, 0]])
def test_a_target_of_the_wrong_shape_or_value_is_rejected(target: list[float]) -> None:
    with pytest.raises(BadBars):
        simulate(STEADY, target)


@pytest.mark.parametrize(
    "wrong",
    [
        {"commission": -0.1},
        {"size": 0},
        {"fill": "now"},
        {"stop_loss": 1.5},
        {"sizing": "fraction", "size": 2.0},
    ],
)
def test_rules_out_of_bounds_are_rejected(wrong: dict[str, float]) -> None:
    with pytest.raises(BadRules):
        Rules(**wrong)  # type: ignore[arg-type]  # wrong on purpose


def test_one_bar_is_enough() -> None:
    result = simulate(STEADY.iloc[:1], [1])
    assert result.equity.tolist() == [100_000.0]
    assert result.entries == 0
