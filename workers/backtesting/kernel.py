"""The simulation itself: one loop over arrays, compiled once and cached.

Semantics, version 1:

* `target[t]` is the direction wanted, known at the close of bar t. It is filled at the open of t+1 (`next_open`), the
  close of t+1 (`next_close`) or the close of t (`same_close`). An order exists only where the wanted direction
  differs from the one held. A signal that would fill after the last bar is ignored.
* A reversal is two legs at one base price, each with its own costs.
* A buy fills at base * (1 + slippage + spread / 2), a sell at base * (1 - slippage - spread / 2), but never outside
  its bar's [low, high]: costs that would leave the bar are cut at its edge.
* Within a bar: first the order at the open, then stop, then target, then the order at the close. A gap through the
  stop fills at the open. A trailing stop moves by the previous bar's extreme and stays a fraction of it, or a number
  of ranges, away. Stops are live from the entry bar on (from the bar after it where the entry was at a close).
* After a stop or target there is no new entry in that direction until the wanted direction has changed.
* When equity is not above zero at a close, everything is closed there and trading ends.
"""

from typing import Any

import numpy as np
from numba import njit

NEXT_OPEN, NEXT_CLOSE, SAME_CLOSE = 0, 1, 2
BY_SIGNAL, BY_STOP, BY_TARGET, BY_TRAILING, BY_RUIN, STILL_OPEN = 0, 1, 2, 3, 4, 5
EXIT_REASONS = ("signal", "stop_loss", "take_profit", "trailing_stop", "ruin", "open")

# Columns of the float part of a trade.
(QUANTITY, ENTRY_PRICE, EXIT_PRICE, FEES, PNL, MAE, MFE, SLIPPAGE_COST) = range(8)
# Columns of the integer part.
(ENTRY, EXIT, SIDE, REASON) = range(4)

# Counters.
(REFUSED, CUT, TRADES, RUINED) = range(4)


@njit(cache=True, inline="always")
def _fill_price(base: float, side: int, friction: float, low: float, high: float) -> float:
    """What a buy (side 1) or sell (side -1) pays: friction against us, inside the bar."""
    return min(max(base * (1.0 + side * friction), low), high)


@njit(cache=True, nogil=True)
def run(
    open_: np.ndarray,  # float64[n]
    high: np.ndarray,  # float64[n]
    low: np.ndarray,  # float64[n]
    close: np.ndarray,  # float64[n]
    target: np.ndarray,  # int8[n]
    friction: np.ndarray,  # float64[n] slippage + half the spread, as a fraction of the price
    atr: np.ndarray,  # float64[n] price units; empty where stops are fractions
    initial_capital: float,
    commission: float,
    fill: int,
    by_fraction: bool,
    size: float,
    allow_long: bool,
    allow_short: bool,
    stop_loss: float,  # 0: none
    take_profit: float,
    trailing_stop: float,
    step: float,
    minimum: float,
    leverage: float,
    equity: np.ndarray,  # float64[n] out
    position: np.ndarray,  # float64[n] out: signed quantity at the close
    trades_f: np.ndarray,  # float64[most, 8] out
    trades_i: np.ndarray,  # int64[most, 4] out
    counters: np.ndarray,  # int64[4] out
    totals: np.ndarray,  # float64[3] out: fees, slippage cost, turnover (notional traded)
) -> None:
    n = close.size
    cash = initial_capital
    quantity = 0.0  # signed
    entry_price = entry_fee = entry_slip = 0.0
    entry = -1
    stop_price = target_price = trail_distance = trail_price = 0.0
    worst = best = 0.0
    blocked = 0  # the direction in which a stop or target ended the last position
    count = 0
    live_from = 0
    ruined = False

    for t in range(n):
        for phase in range(3):
            # 0: order at the open; 1: stops inside the bar; 2: order at the close
            if phase == 1:
                if quantity == 0.0 or t < live_from:
                    continue
                side = 1 if quantity > 0.0 else -1
                if trailing_stop > 0.0 and t > live_from:
                    # By the extreme of the bar before: this bar's own is not known in time.
                    extreme = high[t - 1] if side > 0 else low[t - 1]
                    away = trail_distance if atr.size > 0 else extreme * trailing_stop
                    moved = extreme - side * away
                    if side * (moved - trail_price) > 0.0:
                        trail_price = moved
                hit_price = 0.0
                reason = -1
                barrier = 0.0
                if stop_loss > 0.0:
                    barrier = stop_price
                    reason = BY_STOP
                if trailing_stop > 0.0 and (reason < 0 or side * (trail_price - barrier) > 0.0):
                    barrier = trail_price
                    reason = BY_TRAILING
                if reason >= 0:
                    touched = low[t] <= barrier if side > 0 else high[t] >= barrier
                    if touched:
                        gapped = side * (open_[t] - barrier) < 0.0
                        hit_price = open_[t] if gapped else barrier
                    else:
                        reason = -1
                if reason < 0 and take_profit > 0.0:
                    reached = high[t] >= target_price if side > 0 else low[t] <= target_price
                    if reached:
                        better = side * (open_[t] - target_price) > 0.0
                        hit_price = open_[t] if better else target_price
                        reason = BY_TARGET
                if reason < 0:
                    continue
                if reason == BY_TARGET:
                    price = min(max(hit_price, low[t]), high[t])  # a limit order: no friction
                else:
                    price = _fill_price(hit_price, -side, friction[t], low[t], high[t])
                base = min(max(hit_price, low[t]), high[t])
                blocked = side
                exit_reason = reason
                wanted = 0
            else:
                if phase == 0:
                    if fill != NEXT_OPEN or t == 0:
                        continue
                    wanted = int(target[t - 1])
                    base = open_[t]
                else:
                    if fill == NEXT_OPEN:
                        continue
                    if fill == NEXT_CLOSE:
                        if t == 0:
                            continue
                        wanted = int(target[t - 1])
                    else:
                        if t == n - 1:
                            continue
                        wanted = int(target[t])
                    base = close[t]
                if ruined:
                    continue
                if wanted != blocked:
                    blocked = 0
                if (wanted > 0 and not allow_long) or (wanted < 0 and not allow_short):
                    wanted = 0
                held = 0
                if quantity > 0.0:
                    held = 1
                elif quantity < 0.0:
                    held = -1
                if wanted == held or (held == 0 and wanted == blocked):
                    continue
                side = held
                price = _fill_price(base, -side, friction[t], low[t], high[t]) if held != 0 else base
                exit_reason = BY_SIGNAL

            if quantity != 0.0:
                side = 1 if quantity > 0.0 else -1
                size_held = abs(quantity)
                fee = size_held * price * commission
                slip = size_held * abs(base - price)
                cash += quantity * price - fee
                # The exit happens at some instant of this bar: what of it was lived through is not known beyond the fill.
                if exit_reason == BY_SIGNAL and phase == 0:
                    low_seen = high_seen = price
                elif exit_reason == BY_SIGNAL:
                    low_seen, high_seen = low[t], high[t]
                else:
                    low_seen = high_seen = price
                worst, best = _excursions(side, entry_price, low_seen, high_seen, worst, best)
                _close(
                    trades_f, trades_i, count, t, price, fee, slip, exit_reason, side, size_held, entry, entry_price,
                    entry_fee, entry_slip, worst, best,
                )  # fmt: skip
                count += 1
                totals[0] += fee
                totals[1] += slip
                totals[2] += size_held * price
                quantity = 0.0
            if phase == 1 or wanted == 0:
                continue

            # Entry. Never at a price outside the bar, never with money that is not there.
            price = _fill_price(base, wanted, friction[t], low[t], high[t])
            wish = size * cash / (price * (1.0 + commission)) if by_fraction else size
            most = leverage * cash / (price * (1.0 + commission))
            if wish > most * (1.0 + 1e-12):
                wish = most
                counters[CUT] += 1
            if step > 0.0:
                wish = np.floor(wish / step + 1e-9) * step
            if not wish > 0.0 or wish < minimum or cash <= 0.0:
                counters[REFUSED] += 1
                continue
            known = t - 1 if fill != SAME_CLOSE else t
            scale = atr[known] if atr.size > 0 else price
            if not np.isfinite(scale) and (stop_loss > 0.0 or take_profit > 0.0 or trailing_stop > 0.0):
                counters[REFUSED] += 1
                continue
            quantity = wanted * wish
            entry = t
            entry_price = price
            entry_fee = wish * price * commission
            entry_slip = wish * abs(price - base)
            cash -= quantity * price + entry_fee
            totals[0] += entry_fee
            totals[1] += entry_slip
            totals[2] += wish * price
            stop_price = price - wanted * stop_loss * scale
            target_price = price + wanted * take_profit * scale
            trail_distance = trailing_stop * scale
            trail_price = price - wanted * trail_distance
            worst = best = 0.0
            live_from = t if phase == 0 else t + 1

        if quantity != 0.0:
            side = 1 if quantity > 0.0 else -1
            if t >= live_from:
                worst, best = _excursions(side, entry_price, low[t], high[t], worst, best)
            worth = cash + quantity * close[t]
            if worth <= 0.0 and not ruined:
                price = _fill_price(close[t], -side, friction[t], low[t], high[t])
                size_held = abs(quantity)
                fee = size_held * price * commission
                slip = size_held * abs(close[t] - price)
                cash += quantity * price - fee
                _close(
                    trades_f, trades_i, count, t, price, fee, slip, BY_RUIN, side, size_held, entry, entry_price,
                    entry_fee, entry_slip, worst, best,
                )  # fmt: skip
                count += 1
                totals[0] += fee
                totals[1] += slip
                totals[2] += size_held * price
                quantity = 0.0
                ruined = True
        elif cash <= 0.0:
            ruined = True
        equity[t] = cash + quantity * close[t]
        position[t] = quantity

    counters[TRADES] = count
    counters[RUINED] = 1 if ruined else 0
    if quantity != 0.0:
        # Marked, not closed: no exit fee, and its row comes last.
        side = 1 if quantity > 0.0 else -1
        _close(
            trades_f, trades_i, count, -1, close[n - 1], 0.0, 0.0, STILL_OPEN, side, abs(quantity), entry, entry_price,
            entry_fee, entry_slip, worst, best,
        )  # fmt: skip
        counters[TRADES] = count + 1


@njit(cache=True, inline="always")
def _excursions(
    side: int, entry_price: float, low: float, high: float, worst: float, best: float
) -> tuple[float, float]:
    """Largest adverse and favourable move so far, as fractions of the entry price (adverse is negative)."""
    down = side * (low if side > 0 else high) / entry_price - side
    up = side * (high if side > 0 else low) / entry_price - side
    return min(worst, down), max(best, up)


@njit(cache=True, inline="always")
def _close(
    trades_f: Any, trades_i: Any, row: int, t: int, price: float, fee: float, slip: float, reason: int, side: int,
    quantity: float, entry: int, entry_price: float, entry_fee: float, entry_slip: float, worst: float, best: float,
) -> None:  # fmt: skip
    trades_i[row, ENTRY] = entry
    trades_i[row, EXIT] = t
    trades_i[row, SIDE] = side
    trades_i[row, REASON] = reason
    trades_f[row, QUANTITY] = quantity
    trades_f[row, ENTRY_PRICE] = entry_price
    trades_f[row, EXIT_PRICE] = price
    trades_f[row, FEES] = entry_fee + fee
    trades_f[row, PNL] = side * quantity * (price - entry_price) - entry_fee - fee
    trades_f[row, MAE] = worst
    trades_f[row, MFE] = best
    trades_f[row, SLIPPAGE_COST] = entry_slip + slip
