"""The report of a backtest as charts and tables, from the `report.json` that the worker wrote.

Whatever a report lacks is left out of the page; nothing is computed here but the steps of colour scales and counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from operations.presentation.charts import Chart, Table, readable, thinned
from operations.presentation.numbers import decimal, percent, signed_percent, whole
from operations.presentation.report_charts import (
    Points,
    bars,
    chart,
    clock,
    column,
    day,
    milliseconds,
    pane,
    records,
    series,
)

TIME = {"type": "time", "name": "time"}
HISTOGRAM_BINS = 24
# Trades per page of the browser: a table of more rows is slow; the CSV file has them all.
SHOWN_TRADES = 1000

DRAWDOWN_COLUMNS = {
    "start": "Began",
    "trough": "Deepest",
    "end": "Recovered",
    "depth": "Depth",
    "bars": "Bars",
    "days": "Days",
}
GROUPS = {
    "by_exit_reason": "By reason of exit",
    "by_weekday": "By weekday of entry",
    "by_hour": "By hour of entry",
    "by_side": "By side",
}
GROUP_COLUMNS = {
    "key": "",
    "trades": "Trades",
    "win_rate": "Won",
    "pnl": "P&L",
    "average_return": "Average",
}
DRAWDOWN_FORMATS = {"start": day, "trough": day, "end": day, "depth": percent, "bars": whole, "days": whole}
GROUP_FORMATS = {
    "win_rate": lambda value: percent(value, 0),
    "pnl": decimal,
    "average_return": lambda value: signed_percent(value, 2),
}


@dataclass(frozen=True, slots=True)
class Month:
    value: float | None
    step: int
    """-3 (a great loss) to 3 (a great gain), for the colour"""


@dataclass(frozen=True, slots=True)
class Year:
    year: int
    months: list[Month]
    total: Month


@dataclass(frozen=True, slots=True)
class Trade:
    number: int
    entry_time: str
    exit_time: str
    side: str
    quantity: float
    entry_price: float
    exit_price: float | None
    pnl: float
    share: float | None
    """return on the position"""
    fees: float
    reason: str
    mae: float | None
    mfe: float | None
    entry_ms: int
    exit_ms: int


@dataclass(frozen=True, slots=True)
class BacktestReport:
    linked: Chart | None
    charts: list[Chart]
    years: list[Year]
    drawdowns: Table | None
    groups: list[tuple[str, Table]]
    trades: list[Trade]
    trades_in_all: int


def read(report: dict[str, Any]) -> BacktestReport:
    data = report.get("series") or {}
    times = [milliseconds(moment) for moment in data.get("time") or []]
    trades = [_trade(number, row) for number, row in enumerate(report.get("trades") or [], 1)]
    charts = [
        chart(
            "rolling-sharpe",
            "Rolling Sharpe ratio",
            {**TIME, "values": times},
            [
                pane(
                    "Sharpe",
                    column("rolling Sharpe", data.get("rolling_sharpe")),
                    levels=[{"y": 0, "name": ""}],
                )
            ],
            zoom=True,
            table=_series_table(data, ("time", "rolling_sharpe")),
        ),
        _histogram([trade.share for trade in trades if trade.share is not None]),
    ]
    return BacktestReport(
        linked=_linked(data, times, trades),
        charts=[one for one in charts if one],
        years=_years(report.get("monthly_returns") or []),
        drawdowns=records(report.get("drawdowns"), DRAWDOWN_COLUMNS, DRAWDOWN_FORMATS),
        groups=[
            (title, table)
            for key, title in GROUPS.items()
            if (table := records(_telling(key, _listed(report.get(key))), GROUP_COLUMNS, GROUP_FORMATS))
        ],
        trades=trades[:SHOWN_TRADES],
        trades_in_all=len(trades),
    )


def _linked(data: dict[str, Any], times: list[int], trades: Sequence[Trade]) -> Chart | None:
    """Price with entries and exits, equity and benchmark, underwater, under one zoom."""
    longs: Points = [(trade.entry_ms, trade.entry_price) for trade in trades if trade.side == "long"]
    shorts: Points = [(trade.entry_ms, trade.entry_price) for trade in trades if trade.side != "long"]
    exits: Points = [(trade.exit_ms, trade.exit_price) for trade in trades if trade.exit_price is not None]
    return chart(
        "linked",
        "Price, equity, drawdown",
        {**TIME, "values": times},
        [
            pane(
                "price",
                column("price", data.get("close"), tone="muted"),
                series("long entry", longs, type="scatter", symbol="triangle", tone="good"),
                series("short entry", shorts, type="scatter", symbol="triangle", rotate=180, tone="bad"),
                series("exit", exits, type="scatter", symbol="diamond", tone=6),
                share=5,
            ),
            pane(
                "equity",
                column("equity", data.get("equity"), tone=1),
                column("buy and hold", data.get("benchmark"), tone=2, dashed=True),
                share=5,
                log=True,
                format="money",
            ),
            pane(
                "drawdown",
                column("drawdown", data.get("drawdown"), tone="bad", area=True),
                share=3,
                format="percent",
                zero=True,
            ),
        ],
        zoom=True,
        log=True,
        size="chart-tall",
        table=_series_table(data, ("time", "close", "equity", "benchmark", "drawdown")),
    )


def _series_table(data: dict[str, Any], names: Sequence[str]) -> Table | None:
    present = [name for name in names if data.get(name)]
    return records(
        [
            {name: data[name][index] for name in present}
            for index in thinned(range(len(data.get("time") or [])))
        ],
        {name: readable(name) for name in present},
    )


def _histogram(returns: Sequence[float]) -> Chart | None:
    """How often a trade returned how much, in bins of equal width."""
    if len(returns) < 2:
        return None
    low, high = min(returns), max(returns)
    width = (high - low) / HISTOGRAM_BINS or 1.0
    counts = [0.0] * HISTOGRAM_BINS
    for value in returns:
        counts[min(int((value - low) / width), HISTOGRAM_BINS - 1)] += 1
    labels = [f"{(low + (index + 0.5) * width) * 100:.1f} %" for index in range(HISTOGRAM_BINS)]
    return bars("trade-returns", "Returns of trades", labels, counts, x="return of the trade", label="around")


def _listed(groups: Any) -> list[dict[str, Any]] | None:
    """`{key: {...}}` or `[{key, ...}]` as the latter."""
    if isinstance(groups, dict):
        return [{"key": key, **value} for key, value in groups.items()]
    return groups if isinstance(groups, list) else None


def _telling(key: str, groups: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Bars of a day all begin in one hour, of which nothing can be learned."""
    return None if key == "by_hour" and groups is not None and len(groups) < 2 else groups


def _years(monthly: Sequence[dict[str, Any]]) -> list[Year]:
    """One row a year, twelve cells and the year's compound return."""
    by_year: dict[int, dict[int, float]] = {}
    for row in monthly:
        by_year.setdefault(row["year"], {})[row["month"]] = row["return"]
    return [_year(year, months) for year, months in sorted(by_year.items())]


def _year(year: int, months: dict[int, float]) -> Year:
    growth = 1.0
    for value in months.values():
        growth *= 1 + value
    return Year(
        year,
        [_month(months.get(month), small=0.02, great=0.06) for month in range(1, 13)],
        _month(growth - 1, small=0.08, great=0.25),
    )


def _month(value: float | None, small: float, great: float) -> Month:
    if not value:
        return Month(value, 0)
    step = 1 + (abs(value) > small) + (abs(value) > great)
    return Month(value, step if value > 0 else -step)


def _trade(number: int, row: dict[str, Any]) -> Trade:
    entry = milliseconds(row["entry_time"])
    leaves = row.get("exit_time")
    left = milliseconds(leaves) if leaves else entry
    return Trade(
        number=number,
        entry_time=clock(entry),
        exit_time=clock(left) if leaves else "",
        side=_side(row["side"]),
        quantity=row["quantity"],
        entry_price=row["entry_price"],
        exit_price=row.get("exit_price") if leaves else None,
        pnl=row["pnl"],
        share=row.get("return"),
        fees=row.get("fees", 0.0),
        reason=str(row.get("exit_reason") or "").replace("_", " "),
        mae=row.get("mae"),
        mfe=row.get("mfe"),
        entry_ms=entry,
        exit_ms=left,
    )


def _side(side: Any) -> str:
    if isinstance(side, str):
        return side
    return "long" if side > 0 else "short"
