"""Charts and tables of a backtest, from the worker's `report.json`.

Parts that a report lacks are omitted. Only colour scales and counts are computed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from operations.presentation.charts import Chart, Table, thin, with_spaces
from operations.presentation.numbers import decimal, integer, percent, signed_percent
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
# A longer table is slow in a browser; the CSV file contains all trades.
MAX_TRADES = 1000

DRAWDOWN_COLUMNS = {
    "start": "Start",
    "trough": "Trough",
    "end": "Recovered",
    "depth": "Depth",
    "bars": "Bars",
    "days": "Days",
}
GROUPS = {
    "by_exit_reason": "By exit reason",
    "by_weekday": "By entry weekday",
    "by_hour": "By entry hour",
    "by_side": "By side",
}
GROUP_COLUMNS = {
    "key": "",
    "trades": "Trades",
    "win_rate": "Win rate",
    "pnl": "P&L",
    "average_return": "Average return",
}
DRAWDOWN_FORMATS = {
    "start": day,
    "trough": day,
    "end": day,
    "depth": percent,
    "bars": integer,
    "days": integer,
}
GROUP_FORMATS = {
    "win_rate": lambda value: percent(value, 0),
    "pnl": decimal,
    "average_return": lambda value: signed_percent(value, 2),
}


@dataclass(frozen=True, slots=True)
class Month:
    value: float | None
    step: int
    """colour step, from -3 (large loss) to 3 (large gain)"""


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
    total_trades: int


def read(report: dict[str, Any]) -> BacktestReport:
    """Build the charts and tables of a `report.json`."""
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
            note=_rolling_note(report.get("rolling")),
        ),
        _histogram([trade.share for trade in trades if trade.share is not None]),
    ]
    return BacktestReport(
        linked=_linked_chart(data, times, trades),
        charts=[drawn for drawn in charts if drawn],
        years=_years(report.get("monthly_returns") or []),
        drawdowns=records(report.get("drawdowns"), DRAWDOWN_COLUMNS, DRAWDOWN_FORMATS),
        groups=[
            (title, table)
            for key, title in GROUPS.items()
            if (
                table := records(
                    _without_single_hour(key, _as_list(report.get(key))), GROUP_COLUMNS, GROUP_FORMATS
                )
            )
        ],
        trades=trades[:MAX_TRADES],
        total_trades=len(trades),
    )


def _linked_chart(data: dict[str, Any], times: list[int], trades: Sequence[Trade]) -> Chart | None:
    """Draw price with trades, equity with the benchmark, and drawdown, with a shared zoom."""
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


def _rolling_note(rolling: Any) -> str:
    """Describe the window of the rolling ratio; reports of engine semantics 1 do not contain it."""
    if not isinstance(rolling, dict):
        return ""
    return f"Last {rolling.get('observations')} {rolling.get('unit')} observations, annual"


def _series_table(data: dict[str, Any], names: Sequence[str]) -> Table | None:
    present = [name for name in names if data.get(name)]
    return records(
        [{name: data[name][index] for name in present} for index in thin(range(len(data.get("time") or [])))],
        {name: with_spaces(name) for name in present},
    )


def _histogram(returns: Sequence[float]) -> Chart | None:
    """Draw the distribution of trade returns in bins of equal width."""
    if len(returns) < 2:
        return None
    low, high = min(returns), max(returns)
    width = (high - low) / HISTOGRAM_BINS or 1.0
    counts = [0.0] * HISTOGRAM_BINS
    for value in returns:
        counts[min(int((value - low) / width), HISTOGRAM_BINS - 1)] += 1
    labels = [f"{(low + (index + 0.5) * width) * 100:.1f} %" for index in range(HISTOGRAM_BINS)]
    return bars("trade-returns", "Trade returns", labels, counts, x="return of a trade", label="around")


def _as_list(groups: Any) -> list[dict[str, Any]] | None:
    """Convert `{key: {...}}` to `[{key, ...}]`."""
    if isinstance(groups, dict):
        return [{"key": key, **value} for key, value in groups.items()]
    return groups if isinstance(groups, list) else None


def _without_single_hour(key: str, groups: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    """Omit the group by hour if all bars start in the same hour, as daily bars do."""
    return None if key == "by_hour" and groups is not None and len(groups) < 2 else groups


def _years(monthly: Sequence[dict[str, Any]]) -> list[Year]:
    """Return a row per year with twelve months and the compound return."""
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
        [_month(months.get(month), small=0.02, large=0.06) for month in range(1, 13)],
        _month(growth - 1, small=0.08, large=0.25),
    )


def _month(value: float | None, small: float, large: float) -> Month:
    if not value:
        return Month(value, 0)
    step = 1 + (abs(value) > small) + (abs(value) > large)
    return Month(value, step if value > 0 else -step)


def _trade(number: int, row: dict[str, Any]) -> Trade:
    entry = milliseconds(row["entry_time"])
    exit_time = row.get("exit_time")
    exit_ms = milliseconds(exit_time) if exit_time else entry
    return Trade(
        number=number,
        entry_time=clock(entry),
        exit_time=clock(exit_ms) if exit_time else "",
        side=_side(row["side"]),
        quantity=row["quantity"],
        entry_price=row["entry_price"],
        exit_price=row.get("exit_price") if exit_time else None,
        pnl=row["pnl"],
        share=row.get("return"),
        fees=row.get("fees", 0.0),
        reason=str(row.get("exit_reason") or "").replace("_", " "),
        mae=row.get("mae"),
        mfe=row.get("mfe"),
        entry_ms=entry,
        exit_ms=exit_ms,
    )


def _side(side: Any) -> str:
    if isinstance(side, str):
        return side
    return "long" if side > 0 else "short"
