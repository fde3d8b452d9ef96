"""`trades.bin`: all trades as columns that a page sorts and filters without parsing text.

uint32    length of the index
bytes     the index: JSON, padded with spaces so that the columns start at a multiple of 8
float64   the columns, one after the other, little endian; NaN for missing values
"""

import json
import struct
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from workers.backtesting.engine import average_true_range
from workers.backtesting.engine_rules import Rules
from workers.backtesting.kernel_records import EXIT_REASONS

Floats = NDArray[np.float64]
FORMAT = 1
_ALIGNMENT = 8


def trade_file(
    trades: pd.DataFrame, bars: pd.DataFrame, before: pd.DataFrame | None, rules: Rules, decimals: int
) -> bytes:
    """Return the file of the trades of a simulation of `bars`; `decimals`: of the instrument's prices.

    `before`: the bars before those, for the ATR of stops in its units.
    """
    columns = _columns(trades, bars, before, rules)
    return pack(columns, {"decimals": decimals, "reasons": list(EXIT_REASONS)})


def pack(columns: dict[str, Floats], about: dict[str, Any]) -> bytes:
    """Return the file of these columns, float64[n] each; `about`: further JSON values of its index."""
    rows = len(next(iter(columns.values())))
    index = {"format": FORMAT, "rows": rows, "columns": list(columns), **about}
    text = json.dumps(index, allow_nan=False).encode()
    text += b" " * (-(4 + len(text)) % _ALIGNMENT)
    values = [np.ascontiguousarray(column, dtype="<f8").tobytes() for column in columns.values()]
    return b"".join((struct.pack("<I", len(text)), text, *values))


def _columns(
    trades: pd.DataFrame, bars: pd.DataFrame, before: pd.DataFrame | None, rules: Rules
) -> dict[str, Floats]:
    entry_time, exit_time = _seconds(trades["entry_time"]), _seconds(trades["exit_time"])
    is_closed = trades["exit_index"].to_numpy() >= 0
    last = len(bars) - 1
    plain = {
        name: trades[name].to_numpy(np.float64)
        for name in ("side", "quantity", "entry_price", "exit_price", "pnl", "return", "fees", "mae", "mfe")
    }
    costs = plain["fees"] + trades["slippage_cost"].to_numpy(np.float64)
    stop, target = protective_levels(trades, bars, before, rules)
    risk = plain["quantity"] * np.abs(plain["entry_price"] - stop)
    with np.errstate(divide="ignore", invalid="ignore"):
        r_multiple = np.where(risk > 0.0, plain["pnl"] / risk, np.nan)
    held = np.where(is_closed, trades["exit_index"].to_numpy(), last) - trades["entry_index"].to_numpy()
    return {
        "entry_time": entry_time,
        "exit_time": np.where(is_closed, exit_time, np.nan),
        **plain,
        "costs": costs,
        "duration": np.where(is_closed, exit_time - entry_time, np.nan),
        "bars": held.astype(np.float64),
        "r": r_multiple,
        "stop": stop,
        "target": target,
        "reason": trades["exit_reason"].map(EXIT_REASONS.index).to_numpy(np.float64),
    }


def _seconds(times: "pd.Series[Any]") -> Floats:
    """Return seconds since 1970; NaN for NaT."""
    return np.asarray((times - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def protective_levels(
    trades: pd.DataFrame, bars: pd.DataFrame, before: pd.DataFrame | None, rules: Rules
) -> tuple[Floats, Floats]:
    """Return the prices of the stop and of the target at the entry of each trade; NaN for trades without one.

    Of a stop and a trailing stop, the nearer one.
    """
    entry = trades["entry_price"].to_numpy(np.float64)
    side = trades["side"].to_numpy(np.float64)
    unit = entry
    if rules.stop_unit == "atr":
        decided_at = trades["entry_index"].to_numpy() - (0 if rules.fill == "same_close" else 1)
        unit = average_true_range(bars, before, rules)[decided_at]
    distances = [distance for distance in (rules.stop_loss, rules.trailing_stop) if distance]
    none = np.full(len(trades), np.nan)
    stop = entry - side * min(distances) * unit if distances else none
    return stop, entry + side * rules.take_profit * unit if rules.take_profit else none
