"""Charts and tables of a backtest, from the worker's `report.json`.

Parts that a report lacks are omitted. Only colour scales and counts are computed here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from operations.kinds.backtesting.return_figures import ReturnFigures, read_returns
from operations.presentation.charts import Chart, Table, thin, with_spaces
from operations.presentation.numbers import decimal, integer, percent, sign, signed_percent
from operations.presentation.report_charts import (
    Points,
    bars,
    chart,
    column,
    day,
    milliseconds,
    pane,
    records,
    series,
)

TIME = {"type": "time", "name": "time"}
HISTOGRAM_BINS = 24

DRAWDOWN_COLUMNS = {
    "start": "Start",
    "trough": "Trough",
    "end": "Recovered",
    "depth": "Depth",
    "bars": "Bars",
    "days": "Days",
}
GROUPS = {
    "by_exit_reason": ("By exit reason", "reason"),
    "by_weekday": ("By entry weekday", "weekday"),
    "by_hour": ("By entry hour", "hour"),
    "by_side": ("By side", "side"),
}
"""Title and filter of the table of trades, by the name in the report."""
DRAWDOWN_FORMATS = {
    "start": day,
    "trough": day,
    "end": day,
    "depth": percent,
    "bars": integer,
    "days": integer,
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
    """A trade as the chart of an older report marks it."""

    side: str
    entry_price: float
    exit_price: float | None
    entry_ms: int
    exit_ms: int


@dataclass(frozen=True, slots=True)
class GroupRow:
    key: str
    query: str
    """parameters of the table of trades that select this group"""
    cells: list[tuple[str, str]]
    """(CSS class, text)"""


@dataclass(frozen=True, slots=True)
class BacktestReport:
    linked: Chart | None
    figures: ReturnFigures
    trade_returns: Chart | None
    years: list[Year]
    drawdowns: Table | None
    groups: list[tuple[str, list[GroupRow]]]


def read(
    report: dict[str, Any],
    result: dict[str, Any],
    returns: Sequence[float] | None = None,
    *,
    has_bars: bool = False,
) -> BacktestReport:
    """Build the charts and tables of a `report.json` and the operation's result.

    `returns`: of all trades; the report has at most 5,000. With `has_bars`, prices and trades are in a chart of
    their own.
    """
    data = report.get("series") or {}
    times = [milliseconds(moment) for moment in data.get("time") or []]
    rows = report.get("trades") or []
    if returns is None:
        returns = [row["return"] for row in rows if row.get("return") is not None]
    price = [] if has_bars else [_price_pane(data, [_trade(row) for row in rows])]
    return BacktestReport(
        linked=_linked_chart(data, times, price),
        figures=read_returns(report, result, times),
        trade_returns=_histogram(returns),
        years=_years(report.get("monthly_returns") or []),
        drawdowns=records(report.get("drawdowns"), DRAWDOWN_COLUMNS, DRAWDOWN_FORMATS),
        groups=[
            (title, [_group(row, parameter) for row in groups])
            for key, (title, parameter) in GROUPS.items()
            if (groups := _without_single_hour(key, _as_list(report.get(key))))
        ],
    )


def _price_pane(data: dict[str, Any], trades: Sequence[Trade]) -> dict[str, Any]:
    """Draw the price with entries and exits, of reports from before charts of bars existed."""
    longs: Points = [(trade.entry_ms, trade.entry_price) for trade in trades if trade.side == "long"]
    shorts: Points = [(trade.entry_ms, trade.entry_price) for trade in trades if trade.side != "long"]
    exits: Points = [(trade.exit_ms, trade.exit_price) for trade in trades if trade.exit_price is not None]
    return pane(
        "price",
        column("price", data.get("close"), tone="muted"),
        series("long entry", longs, type="scatter", symbol="triangle", tone="good"),
        series("short entry", shorts, type="scatter", symbol="triangle", rotate=180, tone="bad"),
        series("exit", exits, type="scatter", symbol="diamond", tone=6),
        share=5,
    )


def _linked_chart(data: dict[str, Any], times: list[int], price: list[dict[str, Any]]) -> Chart | None:
    """Draw equity with the benchmark, and drawdown, with a shared zoom; above them `price`, if there is such a pane."""
    return chart(
        "linked",
        "Price, equity, drawdown" if price else "Equity and drawdown",
        {**TIME, "values": times},
        [
            *price,
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
        size="chart-tall" if price else "",
        table=_series_table(data, ("time", "close", "equity", "benchmark", "drawdown")),
    )


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
    labels = [percent(low + (index + 0.5) * width) for index in range(HISTOGRAM_BINS)]
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


def _trade(row: dict[str, Any]) -> Trade:
    entry = milliseconds(row["entry_time"])
    exit_time = row.get("exit_time")
    return Trade(
        side=_side(row["side"]),
        entry_price=row["entry_price"],
        exit_price=row.get("exit_price") if exit_time else None,
        entry_ms=entry,
        exit_ms=milliseconds(exit_time) if exit_time else entry,
    )


def _group(row: dict[str, Any], parameter: str) -> GroupRow:
    key = str(row.get("key"))
    pnl = row.get("pnl")
    return GroupRow(
        key=key.replace("_", " "),
        query=urlencode({parameter: key, "result": "closed"}),
        cells=[
            ("num", integer(row.get("trades"))),
            ("num", percent(row.get("win_rate"), 0)),
            (f"num {sign(pnl)}", decimal(pnl)),
            ("num", signed_percent(row.get("average_return"), 2)),
        ],
    )


def _side(side: Any) -> str:
    if isinstance(side, str):
        return side
    return "long" if side > 0 else "short"
