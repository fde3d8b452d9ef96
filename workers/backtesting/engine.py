"""Simulate a strategy's target directions on bars, under explicit rules (`kernel` describes them).

result = simulate(bars, target, Rules(initial_capital=10_000, commission=0.001, slippage=0.0, spread=0.0))
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import talib
from numba import njit
from numpy.typing import ArrayLike, NDArray

from workers.backtesting import kernel, kernel_records
from workers.backtesting.engine_rules import FILLS, BadBars, BadRules, Rules
from workers.backtesting.spread import data_spread, validate_spread

__all__ = ["BadBars", "BadRules", "Result", "Rules", "simulate"]

Floats = NDArray[np.float64]
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Result:
    equity: Floats
    """float64[n], marked at each close."""
    position: Floats
    """float64[n], signed quantity held at each close."""
    trades: pd.DataFrame
    """One row per trade in the order of their exits; a position still open at the end is the last row, with `exit_index` -1."""
    index: pd.DatetimeIndex
    rules: Rules
    spread: Floats
    """float64[n], the distance between bid and ask in force at each bar, as a fraction of the price."""
    fees: float
    slippage_cost: float
    """Slippage and half the spread of every fill, in money."""
    turnover: float
    """Notional traded."""
    refused: int
    """Number of orders that were too small or lacked cash."""
    cut: int
    """Number of orders reduced to the maximum leverage."""
    ruined: bool

    @property
    def entries(self) -> int:
        return len(self.trades)

    @property
    def closed(self) -> int:
        return int((self.trades["exit_index"] >= 0).sum())

    @property
    def final_equity(self) -> float:
        return float(self.equity[-1])


@dataclass(frozen=True, slots=True)
class PreparedBars:
    """Bars as the kernel reads them: contiguous float64[n] unless stated, validated once and used for many runs."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    spread: Floats
    friction: Floats
    """Slippage and half the spread, as a fraction of the price; float64[1] if it is the same at all bars."""
    atr: Floats
    index: pd.DatetimeIndex


def prepare_bars(
    bars: pd.DataFrame, rules: Rules, spread: Floats | None = None, before: pd.DataFrame | None = None
) -> PreparedBars:
    """Validate bars and convert them. Raises BadBars.

    `spread`: float64[n], the full distance between bid and ask as a fraction of the price; overrides the rules' own,
    which overrides that of the bars.
    `before`: earlier bars, which make the ATR of the stops known from the first bar on.
    """
    missing = [name for name in PRICES if name not in bars.columns]
    if missing:
        raise BadBars(f"The bars lack the column {', '.join(missing)}.")
    if len(bars) == 0:
        raise BadBars("Nothing to simulate: the bars are empty.")
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex) or not index.is_monotonic_increasing or not index.is_unique:
        raise BadBars("The times of the bars are not strictly increasing.")
    columns = [np.ascontiguousarray(bars[name].to_numpy(dtype=np.float64)) for name in PRICES]
    open_, high, low, close = columns
    if not _are_valid(open_, high, low, close):
        _refuse(columns, index)
    in_force = _spread_in_force(bars, rules, spread)
    is_constant = in_force.strides == (0,)
    friction = (in_force[:1] if is_constant else in_force) / 2.0 + rules.slippage
    return PreparedBars(
        open_, high, low, close, in_force, friction, average_true_range(bars, before, rules), index
    )


@njit(cache=True, nogil=True)
def _are_valid(open_: np.ndarray, high: np.ndarray, low: np.ndarray, close: np.ndarray) -> bool:
    """Whether all prices are finite and above zero, and open and close between low and high."""
    valid = True
    for t in range(close.size):
        valid &= (low[t] > 0.0) & (low[t] <= open_[t]) & (open_[t] <= high[t]) & (high[t] < np.inf)
        valid &= (low[t] <= close[t]) & (close[t] <= high[t])
    return valid


def _refuse(columns: list[Floats], index: pd.DatetimeIndex) -> None:
    """Raise BadBars with the first price or bar that is not valid."""
    for name, values in zip(PRICES, columns, strict=True):
        bad = ~(np.isfinite(values) & (values > 0.0))
        if bad.any():
            first = int(bad.argmax())
            raise BadBars(f"{name} is {values[first]:g} at {index[first]}; prices must be above zero.")
    open_, high, low, close = columns
    outside = (np.maximum(open_, close) > high) | (np.minimum(open_, close) < low)
    first = int(outside.argmax())
    raise BadBars(f"The open or close of the bar at {index[first]} is outside its high and low.")


def _spread_in_force(bars: pd.DataFrame, rules: Rules, spread: Floats | None) -> Floats:
    if spread is not None:
        return validate_spread(np.asarray(spread, dtype=np.float64), bars.index)
    if rules.spread is None and (from_data := data_spread(bars, rules)) is not None:
        return from_data
    return np.broadcast_to(np.float64(rules.spread or 0.0), len(bars))


def average_true_range(bars: pd.DataFrame, before: pd.DataFrame | None, rules: Rules) -> Floats:
    """Return the average true range (Wilder 1978), NaN before the first complete window; empty if no stop needs it."""
    if rules.stop_unit != "atr":
        return np.empty(0)
    known = bars if before is None else pd.concat([before, bars])
    high, low, close = (
        np.ascontiguousarray(known[name].to_numpy(np.float64)) for name in ("high", "low", "close")
    )
    return np.ascontiguousarray(talib.ATR(high, low, close, rules.atr_period)[len(known) - len(bars) :])


def validate_target(
    target: "ArrayLike | pd.Series[Any]", n: int, index: pd.DatetimeIndex | None = None
) -> NDArray[np.int8]:
    """Return the target directions as int8[n]. Raises BadBars, also if a Series has another index than `index`."""
    if isinstance(target, pd.Series) and index is not None and not _same_index(target.index, index):
        raise BadBars(_other_index(target.index, index))
    values = np.asarray(target)
    if values.ndim != 1:
        raise BadBars(_other_shape(values, n))
    directions: NDArray[np.int8] = validate_targets(values[None, :], n)[0]
    return directions


def validate_targets(targets: NDArray[Any], n: int) -> NDArray[np.int8]:
    """Return the target directions of several runs as int8[k, n]. Raises BadBars."""
    if targets.ndim != 2 or targets.shape[1] != n:
        raise BadBars(_other_shape(targets, n))
    if not _are_directions(targets):
        raise BadBars("The target directions contain values other than -1, 0 and 1.")
    return np.ascontiguousarray(targets, dtype=np.int8)


def _other_shape(values: NDArray[Any], n: int) -> str:
    return f"Expected {n} target directions, one per bar; got an array of shape {values.shape}."


def _same_index(own: pd.Index, bars: pd.DatetimeIndex) -> bool:
    """Whether the indexes are the same instants, in any time zone and unit."""
    if isinstance(own, pd.DatetimeIndex) and own.tz is not None and bars.tz is not None:
        return own.tz_convert("UTC").as_unit("ns").equals(bars.tz_convert("UTC").as_unit("ns"))
    return own.equals(bars)


def _other_index(own: pd.Index, bars: pd.DatetimeIndex) -> str:
    """Describe the first place where the index of the target differs from that of the bars."""
    pairs = zip(own, bars, strict=False)
    first = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(own), len(bars)))
    times = [str(index[first]) if first < len(index) else "nothing" for index in (own, bars)]
    return (
        f"The index of the target differs from that of the bars: entry {first} is {times[0]} instead of {times[1]}; "
        "reindex the target to the bars, or pass an array."
    )


def _are_directions(values: NDArray[Any]) -> bool:
    if values.dtype.kind == "i" and values.size:
        # 2 us for 5,000 bars; `isin` takes nearly as long as the run itself.
        return bool(values.min() >= -1 and values.max() <= 1)
    return bool(np.isin(values, (-1, 0, 1)).all())


def kernel_rules(rules: Rules) -> NDArray[np.void]:
    """Return the rules as the kernel reads them, `kernel_records.RULES`[1]."""
    record = np.zeros(1, kernel_records.RULES)
    record["initial_capital"] = rules.initial_capital
    record["commission"] = rules.commission
    record["fill"] = FILLS.index(rules.fill)
    record["by_fraction"] = rules.sizing == "fraction"
    record["size"] = rules.size
    record["allow_long"] = rules.allow_long
    record["allow_short"] = rules.allow_short
    record["stop_loss"] = rules.stop_loss or 0.0
    record["take_profit"] = rules.take_profit or 0.0
    record["trailing_stop"] = rules.trailing_stop or 0.0
    record["stops_in_atr"] = rules.stop_unit == "atr"
    record["quantity_step"] = rules.quantity_step
    record["minimum_quantity"] = rules.minimum_quantity
    record["max_leverage"] = rules.max_leverage
    return record


@dataclass(frozen=True, slots=True)
class Buffers:
    """The arrays that the kernel writes to; a search reuses one set for all its runs."""

    equity: Floats
    position: Floats
    trades: NDArray[np.void]
    """`kernel_records.TRADE`[2 n + 1]: a bar can end two positions, one at its open by a signal, the next one by a stop."""

    @classmethod
    def of(cls, n: int) -> "Buffers":
        # Untouched pages of the trades cost nothing.
        return cls(np.empty(n), np.empty(n), np.empty(2 * n + 1, kernel_records.TRADE))


def run_kernel(
    bars: PreparedBars, target: NDArray[np.int8], rules: NDArray[np.void], buffers: Buffers
) -> np.void:
    """Run the kernel into `buffers` and return its `kernel_records.ACCOUNT`; `rules` as from `kernel_rules`."""
    account = np.zeros(1, kernel_records.ACCOUNT)
    compiled: Any = kernel.run  # its Python signature is not what mypy sees
    compiled(
        bars.open, bars.high, bars.low, bars.close, target, bars.friction, bars.atr, rules,
        account, buffers.trades, buffers.equity, buffers.position,
    )  # fmt: skip
    final: np.void = account[0]
    return final


def simulate(
    bars: pd.DataFrame,
    target: "ArrayLike | pd.Series[Any]",
    rules: Rules | None = None,
    spread: Floats | None = None,
    before: pd.DataFrame | None = None,
) -> Result:
    """Simulate `target` (int[n] in {-1, 0, 1}, known at the close of each bar) on `bars`.

    A Series must have the index of the bars. `spread` and `before` as in `prepare_bars`. Raises BadBars.
    """
    rules = rules or Rules()
    prepared = prepare_bars(bars, rules, spread, before)
    buffers = Buffers.of(prepared.close.size)
    directions = validate_target(target, prepared.close.size, prepared.index)
    account = run_kernel(prepared, directions, kernel_rules(rules), buffers)
    return Result(
        equity=buffers.equity,
        position=buffers.position,
        trades=_trade_table(buffers.trades[: account["trades"]], prepared.index),
        index=prepared.index,
        rules=rules,
        spread=prepared.spread,
        fees=float(account["fees"]),
        slippage_cost=float(account["slippage_cost"]),
        turnover=float(account["turnover"]),
        refused=int(account["refused"]),
        cut=int(account["cut"]),
        ruined=bool(account["ruined"]),
    )


def _trade_table(trades: NDArray[np.void], index: pd.DatetimeIndex) -> pd.DataFrame:
    exit_index = trades["exit_index"]
    exit_time = index.take(np.where(exit_index < 0, 0, exit_index)).where(exit_index >= 0)
    columns = {
        "entry_index": trades["entry_index"],
        "exit_index": exit_index,
        "entry_time": index.take(trades["entry_index"]),
        "exit_time": exit_time,
        "side": trades["direction"],
        "quantity": trades["quantity"],
        "entry_price": trades["entry_price"],
        "exit_price": trades["exit_price"],
        "fees": trades["fees"],
        "pnl": trades["pnl"],
        "return": trades["pnl"] / (trades["quantity"] * trades["entry_price"]),
        "exit_reason": np.array(kernel_records.EXIT_REASONS, dtype=object)[trades["exit_reason"]],
        "mae": trades["mae"],
        "mfe": trades["mfe"],
        "slippage_cost": trades["slippage_cost"],
    }
    return pd.DataFrame(columns, copy=True)
