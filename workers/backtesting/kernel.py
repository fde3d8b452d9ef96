"""The simulation: one loop over the bars, compiled once and cached. All its functions are inlined into `run`.

Semantics, version 2 (version 1 cut the price of a fill at its bar's range, and a target paid no friction):

* `target[t]` is the target direction, known at the close of bar t. It is filled at the open of t+1 (`next_open`), the
  close of t+1 (`next_close`) or the close of t (`same_close`). An order exists only where the target direction
  differs from the direction held. A signal that would fill after the last bar is ignored.
* A reversal is two legs at one base price, each with its own costs.
* Every fill has a base price inside its bar: the open, the close, or the level of a stop or target. A buy pays
  base * (1 + slippage + spread / 2), a sell gets base * (1 - slippage - spread / 2), also where that is outside the
  bar: bars of mid or bid prices do not contain the other side of the market.
* Within a bar: first the order at the open, then stop, then margin, then target, then the order at the close. A gap
  through the stop fills at the open. A trailing stop moves by the previous bar's extreme and stays a fraction of it,
  or a number of ranges, away. Stops are live from the entry bar on (from the bar after it where the entry was at a
  close).
* Margin: when equity is not above zero at the bar's worst price, the position is liquidated there and trading ends. A
  stop comes first if equity is still above zero at its base price.
* After a stop or target, no position is opened in that direction until the target direction has changed.
* When equity is not above zero at a close, everything is closed there and trading ends.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from workers.backtesting.kernel_records import (
    BY_RUIN,
    BY_SIGNAL,
    BY_STOP,
    BY_TARGET,
    BY_TRAILING,
    NEXT_OPEN,
    NO_EXIT,
    SAME_CLOSE,
    STILL_OPEN,
)

Record = Any
"""A record of one of these types, as compiled code sees it: its fields are attributes."""


class Bar(NamedTuple):
    open: float
    high: float
    low: float
    close: float
    friction: float


# The functions below take records, not arrays: an array passed costs two atomic operations on its reference count,
# which take as long as all the rest of a bar.
@njit(cache=True, nogil=True)
def run(
    open_: np.ndarray,  # float64[n]
    high: np.ndarray,  # float64[n]
    low: np.ndarray,  # float64[n]
    close: np.ndarray,  # float64[n]
    target: np.ndarray,  # int8[n]
    friction: np.ndarray,  # float64[n], or [1] if constant: slippage + half the spread, as a fraction of the price
    atr: np.ndarray,  # float64[n] price units; empty where stops are fractions
    rules_record: np.ndarray,  # RULES[1]
    account_record: np.ndarray,  # ACCOUNT[1] out: all zero before
    trades: np.ndarray,  # TRADE[2 n + 1] out: account.trades rows
    equity: np.ndarray,  # float64[n] out
    position: np.ndarray,  # float64[n] out: signed quantity at the close
) -> None:
    """Simulate the target directions bar by bar."""
    rules, account = rules_record[0], account_record[0]
    account.cash = rules.initial_capital
    n = close.size
    at_open = rules.fill == NEXT_OPEN
    lag = 0 if rules.fill == SAME_CLOSE else 1  # bars from the signal to its fill
    varies, constant = friction.size > 1, friction[0]
    first_signal, last_signal = lag, n - 2 + lag
    may_pass = rules.trailing_stop == 0.0
    t = 0
    while t < n:
        s = t - lag
        if (
            may_pass
            and t >= first_signal
            and s + 3 < n - 1
            and target[s] == target[s + 1] == target[s + 2] == target[s + 3]
            and _target_direction(rules, account, int(target[s])) == _held_direction(account)
        ):
            quiet = _pass_quiet_bars(
                rules, account, t, lag, last_signal, high, low, close, target, equity, position
            )
            if quiet > 0:
                t += quiet
                continue
        bar = Bar(open_[t], high[t], low[t], close[t], friction[t] if varies else constant)
        has_signal = first_signal <= t <= last_signal
        signal_atr = atr[t - lag] if has_signal and rules.stops_in_atr else 0.0
        if has_signal and at_open:
            direction = _target_direction(rules, account, int(target[t - lag]))
            if direction != _held_direction(account):
                trade, next_trade = trades[account.trades], trades[account.trades + 1]
                _change_position(rules, account, trade, next_trade, t, bar, direction, signal_atr)
        if account.quantity != 0.0 and t >= account.live_from:
            if rules.trailing_stop > 0.0 and t > account.live_from:
                # By the previous bar: this bar's own extreme is not known in time.
                _move_trailing_stop(rules, account, high[t - 1], low[t - 1])
            exit_reason, base = _exit_inside_bar(rules, account, bar)
            if exit_reason != NO_EXIT:
                _close_inside_bar(rules, account, trades[account.trades], t, bar, base, exit_reason)
        if has_signal and not at_open:
            direction = _target_direction(rules, account, int(target[t - lag]))
            if direction != _held_direction(account):
                trade, next_trade = trades[account.trades], trades[account.trades + 1]
                _change_position(rules, account, trade, next_trade, t, bar, direction, signal_atr)
        if account.quantity != 0.0 and t >= account.live_from:
            _update_excursions(account, bar.low, bar.high)
        value = account.cash + account.quantity * bar.close
        if value <= 0.0:
            _end_trading(rules, account, trades[account.trades], t, bar)
            value = account.cash + account.quantity * bar.close
        equity[t] = value
        position[t] = account.quantity
        t += 1
    if account.quantity != 0.0:
        _record_exit(account, trades[account.trades], -1, close[n - 1], 0.0, 0.0, STILL_OPEN)


@njit(cache=True, inline="always")
def _pass_quiet_bars(
    rules: Record,
    account: Record,
    first: int,
    lag: int,
    last_signal: int,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    target: np.ndarray,
    equity: np.ndarray,
    position: np.ndarray,
) -> int:
    """Write the bars from `first` on that change nothing but the equity; return how many.

    They have the signal of bar `first`, for which no order exists, and reach no stop, margin or target. Their values stay in
    registers: of the bars that `run` handles one by one, reading and writing the account takes most of the time. Trailing
    stops move at each bar, so the caller leaves these out.
    """
    signal, cash, quantity = target[first - lag], account.cash, account.quantity
    if quantity == 0.0:
        if cash <= 0.0:
            return 0
        end = first + 1
        while end <= last_signal and target[end - lag] == signal:
            end += 1
        equity[first:end] = cash
        position[first:end] = 0.0
        return end - first
    # Both sides in one form: of a short position the negative prices rise from the target and fall to the stop.
    held = 1.0 if quantity > 0.0 else -1.0
    nearest = held * account.liquidation_price
    if rules.stop_loss > 0.0:
        nearest = max(nearest, held * account.stop_price)
    farthest = held * account.target_price if rules.take_profit > 0.0 else np.inf
    lowest, highest = account.lowest_price, account.highest_price
    lows, highs, closes, signals = low[first:], high[first:], close[first:], target[first - lag :]
    equities, positions = equity[first:], position[first:]
    passed = 0
    for i in range(last_signal - first + 1):
        bottom, top = lows[i], highs[i]
        value = cash + quantity * closes[i]
        worst, best = (bottom, top) if held > 0.0 else (-top, -bottom)
        if signals[i] != signal or worst <= nearest or best >= farthest or value <= 0.0:
            break
        lowest, highest = min(lowest, bottom), max(highest, top)
        equities[i] = value
        positions[i] = quantity
        passed += 1
    account.lowest_price, account.highest_price = lowest, highest
    return passed


@njit(cache=True, inline="always")
def _held_direction(account: Record) -> int:
    if account.quantity > 0.0:
        return 1
    return -1 if account.quantity < 0.0 else 0


@njit(cache=True, inline="always")
def _target_direction(rules: Record, account: Record, signal: int) -> int:
    """Return the direction to hold from here on: the signal's, unless a rule or an earlier stop forbids it."""
    held = _held_direction(account)
    if account.ruined:
        return held
    if account.blocked_direction != 0 and signal != account.blocked_direction:
        account.blocked_direction = 0
    if (signal > 0 and not rules.allow_long) or (signal < 0 and not rules.allow_short):
        return 0
    if held == 0 and signal == account.blocked_direction:
        return 0
    return signal


@njit(cache=True, inline="always")
def _fill_price(base: float, order_side: int, friction: float) -> float:
    """Return the price of a buy (side 1) or sell (side -1): friction is always against the trader."""
    return base * (1.0 + order_side * friction)


@njit(cache=True, inline="always")
def _change_position(
    rules: Record,
    account: Record,
    trade: Record,
    next_trade: Record,
    t: int,
    bar: Bar,
    direction: int,
    atr: float,
) -> None:
    """Close the position, if there is one, and open one in `direction`, unless that is 0.

    `trade` is the position's row, or that of the next position; `next_trade` is the row after it.
    """
    at_open = rules.fill == NEXT_OPEN
    base = bar.open if at_open else bar.close
    held = _held_direction(account)
    if held != 0:
        price = _fill_price(base, -held, bar.friction)
        if at_open:
            _update_excursions(account, price, price)
        else:
            _update_excursions(account, bar.low, bar.high)
        _close_position(rules, account, trade, t, base, price, bar.friction, BY_SIGNAL)
        trade = next_trade
    if direction != 0:
        _open_position(rules, account, trade, t, bar, base, direction, atr)


@njit(cache=True, inline="always")
def _open_position(
    rules: Record,
    account: Record,
    trade: Record,
    t: int,
    bar: Bar,
    base: float,
    direction: int,
    atr: float,
) -> None:
    """Open a position, or count the order as refused: never without money."""
    price = _fill_price(base, direction, bar.friction)
    quantity = _order_quantity(rules, account, price)
    stop_unit = atr if rules.stops_in_atr else price
    has_stops = rules.stop_loss > 0.0 or rules.take_profit > 0.0 or rules.trailing_stop > 0.0
    if quantity == 0.0 or (has_stops and not np.isfinite(stop_unit)):
        account.refused += 1
        return
    account.quantity = direction * quantity
    account.entry_price = price
    account.live_from = t if rules.fill == NEXT_OPEN else t + 1
    account.stop_price = price - direction * rules.stop_loss * stop_unit
    account.target_price = price + direction * rules.take_profit * stop_unit
    account.trail_distance = rules.trailing_stop * stop_unit
    account.trail_price = price - direction * account.trail_distance
    account.lowest_price = account.highest_price = price
    fee, slippage_cost = _settle(rules, account, account.quantity, base, price, bar.friction)
    account.liquidation_price = -account.cash / account.quantity
    trade.entry_index = t
    trade.direction = direction
    trade.quantity = quantity
    trade.entry_price = price
    trade.fees = fee
    trade.slippage_cost = slippage_cost


@njit(cache=True, inline="always")
def _order_quantity(rules: Record, account: Record, price: float) -> float:
    """Return the units to trade, cut to the leverage and the step allowed; 0 where the order is refused."""
    unit_cost = price * (1.0 + rules.commission)
    quantity: float = rules.size * account.cash / unit_cost if rules.by_fraction else rules.size
    affordable = rules.max_leverage * account.cash / unit_cost
    if quantity > affordable * (1.0 + 1e-12):
        quantity = affordable
        account.cut += 1
    if rules.quantity_step > 0.0:
        quantity = np.floor(quantity / rules.quantity_step + 1e-9) * rules.quantity_step
    if not quantity > 0.0 or quantity < rules.minimum_quantity or account.cash <= 0.0:
        return 0.0
    return quantity


@njit(cache=True, inline="always")
def _move_trailing_stop(rules: Record, account: Record, previous_high: float, previous_low: float) -> None:
    held = _held_direction(account)
    extreme = previous_high if held > 0 else previous_low
    distance = account.trail_distance if rules.stops_in_atr else extreme * rules.trailing_stop
    trail_price = extreme - held * distance
    if held * (trail_price - account.trail_price) > 0.0:
        account.trail_price = trail_price


@njit(cache=True, inline="always")
def _exit_inside_bar(rules: Record, account: Record, bar: Bar) -> tuple[int, float]:
    """Return (exit reason, base price) of the stop, margin call or target that this bar reaches; NO_EXIT if none."""
    held = _held_direction(account)
    exit_reason, level = NO_EXIT, 0.0
    if rules.stop_loss > 0.0:
        exit_reason, level = BY_STOP, account.stop_price
    if rules.trailing_stop > 0.0 and (exit_reason == NO_EXIT or held * (account.trail_price - level) > 0.0):
        exit_reason, level = BY_TRAILING, account.trail_price
    if exit_reason != NO_EXIT and (bar.low <= level if held > 0 else bar.high >= level):
        base = bar.open if held * (bar.open - level) < 0.0 else level
        if account.cash + account.quantity * base > 0.0:
            return exit_reason, base
    level = account.liquidation_price
    if bar.low <= level if held > 0 else bar.high >= level:
        return BY_RUIN, bar.low if held > 0 else bar.high
    level = account.target_price
    if rules.take_profit > 0.0 and (bar.high >= level if held > 0 else bar.low <= level):
        gapped = held * (bar.open - level) > 0.0
        return BY_TARGET, bar.open if gapped else level
    return NO_EXIT, 0.0


@njit(cache=True, inline="always")
def _close_inside_bar(
    rules: Record,
    account: Record,
    trade: Record,
    t: int,
    bar: Bar,
    base: float,
    exit_reason: int,
) -> None:
    held = _held_direction(account)
    price = _fill_price(base, -held, bar.friction)
    # The exit happens at some instant of the bar: of its extremes only the fill was certainly seen before.
    _update_excursions(account, price, price)
    _close_position(rules, account, trade, t, base, price, bar.friction, exit_reason)
    account.blocked_direction = held
    account.ruined = exit_reason == BY_RUIN


@njit(cache=True, inline="always")
def _end_trading(rules: Record, account: Record, trade: Record, t: int, bar: Bar) -> None:
    """Close the position, if there is one, at the close, because nothing is left."""
    account.ruined = True
    if account.quantity != 0.0:
        price = _fill_price(bar.close, -_held_direction(account), bar.friction)
        _close_position(rules, account, trade, t, bar.close, price, bar.friction, BY_RUIN)


@njit(cache=True, inline="always")
def _update_excursions(account: Record, low: float, high: float) -> None:
    """Update the extremes since the entry."""
    account.lowest_price = min(account.lowest_price, low)
    account.highest_price = max(account.highest_price, high)


@njit(cache=True, inline="always")
def _close_position(
    rules: Record,
    account: Record,
    trade: Record,
    t: int,
    base: float,
    price: float,
    friction: float,
    exit_reason: int,
) -> None:
    fee, slippage_cost = _settle(rules, account, -account.quantity, base, price, friction)
    _record_exit(account, trade, t, price, fee, slippage_cost, exit_reason)
    account.quantity = 0.0


@njit(cache=True, inline="always")
def _settle(
    rules: Record, account: Record, signed_quantity: float, base: float, price: float, friction: float
) -> tuple[float, float]:
    """Pay for a fill (positive: bought); return (fee, slippage cost)."""
    quantity = abs(signed_quantity)
    fee = quantity * price * rules.commission
    slippage_cost = quantity * base * friction
    account.cash -= signed_quantity * price + fee
    account.fees += fee
    account.slippage_cost += slippage_cost
    account.turnover += quantity * price
    return fee, slippage_cost


@njit(cache=True, inline="always")
def _record_exit(
    account: Record,
    trade: Record,
    exit_index: int,
    price: float,
    fee: float,
    slippage_cost: float,
    exit_reason: int,
) -> None:
    """Complete the position's row in `trades`, which its entry has started.

    The largest adverse (negative) and favourable move are fractions of the entry price.
    """
    trade.exit_index = exit_index
    trade.exit_price = price
    trade.exit_reason = exit_reason
    trade.pnl = account.quantity * (price - account.entry_price) - trade.fees - fee
    trade.fees += fee
    trade.slippage_cost += slippage_cost
    held = _held_direction(account)
    lowest, highest = account.lowest_price, account.highest_price
    trade.mae = min(0.0, held * (lowest if held > 0 else highest) / account.entry_price - held)
    trade.mfe = max(0.0, held * (highest if held > 0 else lowest) / account.entry_price - held)
    account.trades += 1
