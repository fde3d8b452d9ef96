"""A page of the table of trades, and the trades of a chart."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from operations.presentation.numbers import (
    DASH,
    decimal,
    duration,
    integer,
    percent,
    quantity,
    sign,
    signed_percent,
)
from operations.presentation.trades.query import PAGE_ROWS, RESULTS, SIDES, WEEKDAYS, Query, select
from operations.presentation.trades.stored import StoredTrades

COLUMNS = {
    "number": "No.",
    "side": "Side",
    "entry_time": "Entry time",
    "exit_time": "Exit time",
    "duration": "Duration",
    "bars": "Bars",
    "quantity": "Quantity",
    "entry_price": "Entry price",
    "exit_price": "Exit price",
    "pnl": "P&L",
    "return": "Return",
    "r": "R",
    "mae": "MAE",
    "mfe": "MFE",
    "costs": "Costs",
    "reason": "Exit reason",
}
KEPT = "cell-kept"
"""CSS class of the column that stays in view on a narrow screen."""
_TEXTS = ("side", "entry_time", "exit_time", "reason")
MOST_DRAWN = 3000
_DRAWN = (
    "entry_time",
    "exit_time",
    "side",
    "quantity",
    "entry_price",
    "exit_price",
    "pnl",
    "return",
    "stop",
    "target",
)


@dataclass(frozen=True, slots=True)
class Heading:
    title: str
    query: str
    """Parameters that sort by the column; if it is sorted already, in the other direction."""
    order: str
    """`ascending`, `descending` or empty, for `aria-sort`."""
    classes: str
    """CSS classes of the cell."""


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    cells: list[tuple[str, str]]
    """(CSS classes, text) of each column after the number"""


@dataclass(frozen=True, slots=True)
class TradePage:
    headings: list[Heading]
    rows: list[Row]
    total: int
    matching: int
    first: int
    last: int
    previous: str
    """Parameters of the page before; empty if there is none."""
    next: str
    query: Query
    reasons: list[str]
    worst: int | None
    """Number of the trade with the largest loss among all; None without trades."""
    best: int | None

    sides = tuple(SIDES)
    results = RESULTS
    weekdays = WEEKDAYS


def trade_page(trades: StoredTrades, query: Query) -> TradePage:
    """Return the page of trades of the query; the last page if its number is too high."""
    rows = select(trades, query)
    pages = max(1, math.ceil(len(rows) / PAGE_ROWS))
    query = replace(query, page=min(query.page, pages))
    first = (query.page - 1) * PAGE_ROWS
    shown = rows[first : first + PAGE_ROWS]
    has_r = "r" in trades.names and any(not math.isnan(value) for value in trades.column("r"))
    names = [name for name in COLUMNS if has_r or name != "r"]
    pnl = trades.column("pnl")
    numbered = [row for row in range(trades.rows) if not math.isnan(pnl[row])]
    return TradePage(
        headings=[_heading(name, query) for name in names],
        rows=[_row(trades, row, names) for row in shown],
        total=trades.rows,
        matching=len(rows),
        first=first + 1 if shown else 0,
        last=first + len(shown),
        previous=_parameters(query, page=query.page - 1) if query.page > 1 else "",
        next=_parameters(query, page=query.page + 1) if query.page < pages else "",
        query=query,
        reasons=trades.reasons,
        worst=min(numbered, key=pnl.__getitem__) + 1 if numbered else None,
        best=max(numbered, key=pnl.__getitem__) + 1 if numbered else None,
    )


def trades_between(trades: StoredTrades, start: float, end: float) -> dict[str, Any]:
    """Return the trades that are open at some time from `start` to `end` (seconds), or only how many if they are many."""
    entry, leave = trades.column("entry_time"), trades.column("exit_time")
    # A trade that is still open has no exit time, and NaN is not below anything.
    rows = [row for row in range(trades.rows) if entry[row] <= end and not leave[row] < start]
    if len(rows) > MOST_DRAWN:
        return {"count": len(rows), "numbers": []}
    return {"count": len(rows), "numbers": [row + 1 for row in rows], **_values(trades, rows)}


def one(trades: StoredTrades, number: int) -> dict[str, Any] | None:
    """Return one trade as the chart shows it; None if the number is unknown."""
    if not 1 <= number <= trades.rows:
        return None
    values = {name: column[0] for name, column in _values(trades, [number - 1]).items()}
    reason = trades.reason(number - 1)
    side = "long" if trades.column("side")[number - 1] > 0 else "short"
    text = (
        f"Trade {number} of {trades.rows}: {side}, entry {decimal(values['entry_price'], trades.decimals)}, "
        f"exit {decimal(values['exit_price'], trades.decimals)} ({reason}), P&L {decimal(values['pnl'])}, "
        f"{signed_percent(values['return'], 2)}"
    )
    return {"number": number, "of": trades.rows, "text": text, **values}


def _values(trades: StoredTrades, rows: list[int]) -> dict[str, list[float | None]]:
    return {
        name: [value if math.isfinite(value := column[row]) else None for row in rows]
        for name in _DRAWN
        for column in (trades.column(name),)
    }


def _heading(name: str, query: Query) -> Heading:
    is_sorted = query.sort == name
    # Numbers are most interesting from the top, and a loss is at the other end.
    descends = (
        not query.descending if is_sorted else name not in (*_TEXTS, "number", "pnl", "return", "r", "mae")
    )
    order = ("descending" if query.descending else "ascending") if is_sorted else ""
    sort = f"-{name}" if descends else name
    classes = ["num"] if name not in _TEXTS else []
    if name == "pnl":
        classes.append(KEPT)
    return Heading(COLUMNS[name], _parameters(query, sort=sort, page=1), order, " ".join(classes))


def _parameters(query: Query, **changed: Any) -> str:
    sort = f"-{query.sort}" if query.descending else query.sort
    values = {"sort": sort, "page": query.page, **changed}
    values |= {name: getattr(query, name) for name in ("side", "reason", "result", "weekday", "hour")}
    defaults = {"sort": "number", "page": 1}
    return urlencode({name: value for name, value in values.items() if value and value != defaults.get(name)})


def _row(trades: StoredTrades, row: int, names: list[str]) -> Row:
    value = {name: trades.column(name)[row] for name in names if name != "number"}
    price = trades.decimals
    notional = abs(value["quantity"] * value["entry_price"])
    pnl_class = sign(value["pnl"])
    cells = {
        "side": ("", "long" if value["side"] > 0 else "short"),
        "entry_time": ("nowrap", moment(value["entry_time"])),
        "exit_time": ("nowrap", moment(value["exit_time"]) or "open"),
        "duration": ("num", _text_or_dash(value["duration"], duration)),
        "bars": ("num", _text_or_dash(value["bars"], integer)),
        "quantity": ("num", quantity(value["quantity"])),
        "entry_price": ("num", decimal(value["entry_price"], price)),
        "exit_price": ("num", _text_or_dash(value["exit_price"], lambda known: decimal(known, price))),
        "pnl": (f"num {KEPT} {pnl_class}", decimal(value["pnl"])),
        "return": ("num", _text_or_dash(value["return"], lambda known: signed_percent(known, 2))),
        "mae": ("num", _text_or_dash(value["mae"], lambda known: percent(known, 2))),
        "mfe": ("num", _text_or_dash(value["mfe"], lambda known: percent(known, 2))),
        "costs": (
            "num",
            f"{decimal(value['costs'])} ({value['costs'] / notional * 1e4:.1f} bp)" if notional > 0 else DASH,
        ),
        "reason": ("nowrap", trades.reason(row)),
    }
    if "r" in names:
        cells["r"] = ("num", _text_or_dash(value["r"], decimal))
    return Row(row + 1, [cells[name] for name in names if name != "number"])


def _text_or_dash(value: float, formatter: Callable[[float], str]) -> str:
    return formatter(value) if math.isfinite(value) else DASH


def moment(seconds: float) -> str:
    """Format to the minute in UTC; midnight as the date only; empty for NaN and times outside of the calendar."""
    try:
        time = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # OSError: beyond the C library
        return ""
    return f"{time:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
