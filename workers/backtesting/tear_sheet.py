"""Render `report.html`: one file that shows a backtest anywhere, without a network, a server or a script."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from workers.backtesting.downsample import pick_points
from workers.verdicts.backtest import verdict

Floats = NDArray[np.float64]
WIDTH, HEIGHT = 1000.0, 260.0
CHART_POINTS = 1500
"""More than the pixels of a chart across a screen."""
MAX_TRADES = 200
HEADLINE = (
    ("total_return", "Total return", "percent"),
    ("cagr", "Annual return", "percent"),
    ("volatility", "Annual volatility", "percent"),
    ("sharpe", "Sharpe ratio", "number"),
    ("sortino", "Sortino ratio", "number"),
    ("max_drawdown", "Maximum drawdown", "percent"),
    ("exposure", "Time in the market", "percent"),
    ("trades", "Trades", "count"),
    ("win_rate", "Win rate", "percent"),
    ("profit_factor", "Profit factor", "number"),
    ("fees", "Fees", "money"),
    ("slippage_cost", "Slippage and spread", "money"),
    ("turnover", "Turnover, times the mean equity", "number"),
    ("final_equity", "Final equity", "money"),
)

TILES = ("total_return", "cagr", "sharpe", "max_drawdown", "trades", "final_equity")
"""Those of HEADLINE in large, in the order of the page of a result."""


def render(result: dict[str, Any], report: dict[str, Any]) -> str:
    """Return HTML of the operation's result and its report (`build_report`). Everything in them is escaped."""
    series = report["series"]
    equity, benchmark = _floats(series["equity"]), _floats(series["benchmark"])
    figures = {
        key: (
            label,
            format_figure(result["metrics"].get(key), kind),
            format_figure(result["benchmark"].get(key), kind),
        )
        for key, label, kind in HEADLINE
    }
    return (
        _environment()
        .get_template("tear_sheet.html")
        .render(
            result=result,
            report=report,
            verdict=verdict(result),
            tiles=[figures[key] for key in TILES],
            headline=figures.values(),
            equity=chart([equity, benchmark]),
            underwater=chart([_floats(series["drawdown"])]),
            first=series["time"][0][:10],
            last=series["time"][-1][:10],
            years=_returns_by_year(report["monthly_returns"]),
            trades=report["trades"][:MAX_TRADES],
            width=WIDTH,
            height=HEIGHT,
        )
    )


@cache
def _environment() -> Environment:
    """Return the one environment, which keeps the compiled template: to compile it costs 45 ms."""
    environment = Environment(
        loader=PackageLoader("workers.backtesting", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["figure"] = format_figure
    return environment


def format_figure(value: Any, kind: str = "number") -> str:
    """Format a `percent` (of a fraction), `money`, `price`, `count` or `number`; None becomes a dash."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if kind == "percent":
        # A hundredth of a percent matters for a trade; -0.0 must not appear.
        digits = 1 if abs(value) >= 0.01 or value == 0 else 3
        return f"{100 * value:,.{digits}f} %"
    if kind == "price":
        return f"{value:,.6g}"
    if kind == "money":
        return f"{value:,.2f}"
    return f"{value:,.0f}" if kind == "count" else f"{value:,.2f}"


def chart(curves: Sequence[Floats]) -> dict[str, Any]:
    """Return `{paths, low, high}`: SVG paths of curves over the same bars on one scale, at most 1,500 points each."""
    low = float(min(np.nanmin(curve) for curve in curves))
    high = float(max(np.nanmax(curve) for curve in curves))
    span = high - low or 1.0
    paths = []
    for curve in curves:
        picked = pick_points(np.nan_to_num(curve, nan=low), CHART_POINTS)
        x_values = picked * (WIDTH / max(1, len(curve) - 1))
        y_values = HEIGHT - (curve[picked] - low) * (HEIGHT / span)
        points = [f"{x:.1f},{y:.1f}" for x, y in zip(x_values, y_values, strict=True) if np.isfinite(y)]
        paths.append("M" + "L".join(points))
    return {"paths": paths, "low": low, "high": high}


def _floats(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _returns_by_year(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per year: twelve monthly returns (None without data) and the compounded total."""
    years: dict[int, list[float | None]] = {}
    for month in months:
        years.setdefault(month["year"], [None] * 12)[month["month"] - 1] = month["return"]
    return [
        {
            "year": year,
            "months": returns,
            "total": float(np.prod([1.0 + value for value in returns if value is not None]) - 1.0),
        }
        for year, returns in sorted(years.items())
    ]
