"""Simulates a strategy's wanted directions on bars, under written rules (`kernel` has them in words).

result = simulate(bars, target, Rules(initial_capital=10_000, commission=0.001, slippage=0.0, spread=0.0))
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import talib
from numpy.typing import ArrayLike, NDArray

from worker_agent.protocol import InvalidInput
from workers.backtesting import kernel
from workers.backtesting.rules import FILLS, BadRules, Rules

__all__ = ["BadBars", "BadRules", "Result", "Rules", "simulate"]

Floats = NDArray[np.float64]
TRADE_COLUMNS = [
    "entry_index", "exit_index", "entry_time", "exit_time", "side", "quantity", "entry_price", "exit_price", "fees",
    "pnl", "return", "exit_reason", "mae", "mfe",
]  # fmt: skip


class BadBars(InvalidInput):
    """The bars, or the wanted directions beside them, cannot be simulated."""


@dataclass(frozen=True, slots=True)
class Result:
    equity: Floats
    """float64[n], marked at each close."""
    position: Floats
    """float64[n], signed quantity held at each close."""
    trades: pd.DataFrame
    """One row per trade in the order of their ends; a position open at the end is the last row, exit_index -1."""
    index: pd.DatetimeIndex
    rules: Rules
    fees: float
    slippage_cost: float
    turnover: float
    """Notional traded."""
    refused: int
    """Orders smaller than allowed, or without money."""
    cut: int
    """Orders cut down to the leverage allowed."""
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
class Prepared:
    """Bars as the kernel wants them: contiguous float64[n], checked once, used for many runs."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    friction: Floats
    atr: Floats
    index: pd.DatetimeIndex


def prepare(
    bars: pd.DataFrame, rules: Rules, spread: Floats | None = None, before: pd.DataFrame | None = None
) -> Prepared:
    """`spread`: float64[n], the whole distance between bid and ask as a fraction of the price, instead of the rules'.
    `before`: the bars that precede the first, by which the range that stops are measured in is known from the start.

    Raises BadBars.
    """
    missing = [name for name in ("open", "high", "low", "close") if name not in bars.columns]
    if missing:
        raise BadBars(f"The bars have no column {', '.join(missing)}.")
    if len(bars) == 0:
        raise BadBars("There are no bars to simulate.")
    index = bars.index
    if not isinstance(index, pd.DatetimeIndex) or not index.is_monotonic_increasing or not index.is_unique:
        raise BadBars("The bars' index has to be times in strictly increasing order.")
    columns = [
        np.ascontiguousarray(bars[name].to_numpy(dtype=np.float64))
        for name in ("open", "high", "low", "close")
    ]
    open_, high, low, close = columns
    for name, values in zip(("open", "high", "low", "close"), columns, strict=True):
        bad = ~(np.isfinite(values) & (values > 0.0))
        if bad.any():
            first = int(bad.argmax())
            raise BadBars(f"{name} is {values[first]:g} at {index[first]}; prices are above zero.")
    outside = (np.maximum(open_, close) > high) | (np.minimum(open_, close) < low)
    if outside.any():
        first = int(outside.argmax())
        raise BadBars(f"The bar of {index[first]} opens or closes outside its high and low.")
    half = (
        np.full(close.size, rules.spread / 2.0)
        if spread is None
        else np.asarray(spread, dtype=np.float64) / 2.0
    )
    if half.shape != close.shape or not np.isfinite(half).all() or (half < 0.0).any():
        raise BadBars("The spread has to be one finite fraction of at least zero per bar.")
    return Prepared(
        open_,
        high,
        low,
        close,
        np.ascontiguousarray(half + rules.slippage),
        _atr(bars, before, rules),
        index,
    )


def _atr(bars: pd.DataFrame, before: pd.DataFrame | None, rules: Rules) -> Floats:
    """Average true range (Wilder 1978), NaN before the first whole window; empty where no stop needs it."""
    if rules.stop_unit != "atr":
        return np.empty(0)
    known = bars if before is None else pd.concat([before, bars])
    high, low, close = (
        np.ascontiguousarray(known[name].to_numpy(np.float64)) for name in ("high", "low", "close")
    )
    return np.ascontiguousarray(talib.ATR(high, low, close, rules.atr_period)[len(known) - len(bars) :])


def directions(target: ArrayLike, n: int) -> NDArray[np.int8]:
    values = np.asarray(target)
    if values.shape != (n,):
        raise BadBars(f"There are {n} bars and wanted directions of shape {values.shape}.")
    if not _are_directions(values):
        raise BadBars("A wanted direction is -1, 0 or 1.")
    return np.ascontiguousarray(values.astype(np.int8))


def _are_directions(values: NDArray[Any]) -> bool:
    if values.dtype.kind == "i" and values.size:
        # 2 us for 5,000 bars, where `isin` takes nearly as long as the run itself.
        return bool(values.min() >= -1 and values.max() <= 1)
    return bool(np.isin(values, (-1, 0, 1)).all())


def kernel_arguments(p: Prepared, rules: Rules) -> tuple[Any, ...]:
    return (
        p.friction,
        p.atr,
        float(rules.initial_capital),
        float(rules.commission),
        FILLS.index(rules.fill),
        rules.sizing == "fraction",
        float(rules.size),
        rules.allow_long,
        rules.allow_short,
        float(rules.stop_loss or 0.0),
        float(rules.take_profit or 0.0),
        float(rules.trailing_stop or 0.0),
        float(rules.quantity_step),
        float(rules.minimum_quantity),
        float(rules.max_leverage),
    )


@dataclass(slots=True)
class Buffers:
    """What the kernel writes; a search uses one set for all its runs."""

    equity: Floats
    position: Floats
    trades_f: Floats
    trades_i: NDArray[np.int64]
    counters: NDArray[np.int64]
    totals: Floats

    @classmethod
    def of(cls, n: int) -> "Buffers":
        # A bar can end two positions: one at its open by a signal, the next one by a stop. Untouched pages cost nothing.
        most = 2 * n + 1
        return cls(
            np.empty(n),
            np.empty(n),
            np.empty((most, 8)),
            np.empty((most, 4), np.int64),
            np.zeros(4, np.int64),
            np.zeros(3),
        )


def run(p: Prepared, target: NDArray[np.int8], arguments: tuple[Any, ...], into: Buffers) -> int:
    """Runs the kernel; returns the number of trades."""
    into.counters[:] = 0
    into.totals[:] = 0.0
    simulate_bars: Any = kernel.run  # compiled: its Python signature is not what mypy sees
    simulate_bars(
        p.open, p.high, p.low, p.close, target, *arguments,
        into.equity, into.position, into.trades_f, into.trades_i, into.counters, into.totals,
    )  # fmt: skip
    return int(into.counters[kernel.TRADES])


def simulate(
    bars: pd.DataFrame,
    target: ArrayLike,
    rules: Rules | None = None,
    spread: Floats | None = None,
    before: pd.DataFrame | None = None,
) -> Result:
    """Runs `target` (int[n] in {-1, 0, 1}, known at the close of each bar) on `bars`; `spread` and `before` as in
    `prepare`. Raises BadBars, BadRules."""
    rules = rules or Rules()
    prepared = prepare(bars, rules, spread, before)
    buffers = Buffers.of(prepared.close.size)
    count = run(prepared, directions(target, prepared.close.size), kernel_arguments(prepared, rules), buffers)
    return Result(
        equity=buffers.equity,
        position=buffers.position,
        trades=_trades(buffers.trades_f[:count], buffers.trades_i[:count], prepared.index),
        index=prepared.index,
        rules=rules,
        fees=float(buffers.totals[0]),
        slippage_cost=float(buffers.totals[1]),
        turnover=float(buffers.totals[2]),
        refused=int(buffers.counters[kernel.REFUSED]),
        cut=int(buffers.counters[kernel.CUT]),
        ruined=bool(buffers.counters[kernel.RUINED]),
    )


def _trades(floats: Floats, integers: NDArray[np.int64], index: pd.DatetimeIndex) -> pd.DataFrame:
    entry, exit_ = integers[:, kernel.ENTRY].copy(), integers[:, kernel.EXIT].copy()
    notional = floats[:, kernel.QUANTITY] * floats[:, kernel.ENTRY_PRICE]
    exit_time = index.take(np.where(exit_ < 0, 0, exit_)).where(exit_ >= 0)
    return pd.DataFrame(
        {
            "entry_index": entry,
            "exit_index": exit_,
            "entry_time": index.take(entry),
            "exit_time": exit_time,
            "side": integers[:, kernel.SIDE].copy(),
            "quantity": floats[:, kernel.QUANTITY].copy(),
            "entry_price": floats[:, kernel.ENTRY_PRICE].copy(),
            "exit_price": floats[:, kernel.EXIT_PRICE].copy(),
            "fees": floats[:, kernel.FEES].copy(),
            "pnl": floats[:, kernel.PNL].copy(),
            "return": floats[:, kernel.PNL] / notional,
            "exit_reason": np.array(kernel.EXIT_REASONS, dtype=object)[integers[:, kernel.REASON]],
            "mae": floats[:, kernel.MAE].copy(),
            "mfe": floats[:, kernel.MFE].copy(),
        },
        columns=TRADE_COLUMNS,
    )
