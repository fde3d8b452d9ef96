"""`report.html`: one file that shows a backtest anywhere, without a network, a server or a script."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from workers.backtesting.downsample import keep

Floats = NDArray[np.float64]
WIDTH, HEIGHT = 1000.0, 260.0
POINTS = 1500
"""More than a screen has pixels across a chart."""
TRADES = 200
HEADLINE = (
    ("total_return", "Total return", "percent"),
    ("cagr", "Return a year", "percent"),
    ("volatility", "Volatility a year", "percent"),
    ("sharpe", "Sharpe ratio", "number"),
    ("sortino", "Sortino ratio", "number"),
    ("max_drawdown", "Worst drawdown", "percent"),
    ("exposure", "Time in the market", "percent"),
    ("trades", "Trades", "count"),
    ("win_rate", "Win rate", "percent"),
    ("profit_factor", "Profit factor", "number"),
    ("fees", "Fees", "money"),
    ("final_equity", "Final equity", "money"),
)


def render(answer: dict[str, Any], drawn: dict[str, Any]) -> str:
    """HTML of the operation's result and its report (`report.build`). Everything in them is escaped."""
    series = drawn["series"]
    equity, benchmark = _floats(series["equity"]), _floats(series["benchmark"])
    return (
        _environment()
        .get_template("tear_sheet.html")
        .render(
            answer=answer,
            drawn=drawn,
            headline=[
                (label, shown(answer["metrics"].get(key), kind), shown(answer["benchmark"].get(key), kind))
                for key, label, kind in HEADLINE
            ],
            equity=chart([equity, benchmark]),
            underwater=chart([_floats(series["drawdown"])]),
            first=series["time"][0][:10],
            last=series["time"][-1][:10],
            months=_by_year(drawn["monthly_returns"]),
            trades=drawn["trades"][:TRADES],
            width=WIDTH,
            height=HEIGHT,
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("workers.backtesting", "."), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["shown"] = shown
    return environment


def shown(value: Any, kind: str = "number") -> str:
    """A figure for people: `percent` of a fraction, `money`, `price`, `count`, `number`; a dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if kind == "percent":
        # Of a trade a hundredth of a percent matters, and -0.0 says nothing.
        digits = 1 if abs(value) >= 0.01 or value == 0 else 3
        return f"{100 * value:,.{digits}f} %"
    if kind == "price":
        return f"{value:,.6g}"
    if kind == "money":
        return f"{value:,.2f}"
    return f"{value:,.0f}" if kind == "count" else f"{value:,.2f}"


def chart(curves: Sequence[Floats]) -> dict[str, Any]:
    """`{paths, low, high}`: SVG paths of curves over the same bars on one scale, each of at most 1,500 points."""
    low = float(min(np.nanmin(curve) for curve in curves))
    high = float(max(np.nanmax(curve) for curve in curves))
    span = high - low or 1.0
    paths = []
    for curve in curves:
        picked = keep(np.nan_to_num(curve, nan=low), POINTS)
        across = picked * (WIDTH / max(1, len(curve) - 1))
        down = HEIGHT - (curve[picked] - low) * (HEIGHT / span)
        points = [f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True) if np.isfinite(y)]
        paths.append("M" + "L".join(points))
    return {"paths": paths, "low": low, "high": high}


def _floats(values: list[float | None]) -> Floats:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _by_year(months: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a year: twelve returns (None where there is none) and the year's, compounded."""
    years: dict[int, list[float | None]] = {}
    for month in months:
        years.setdefault(month["year"], [None] * 12)[month["month"] - 1] = month["return"]
    return [
        {
            "year": year,
            "months": returns,
            "whole": float(np.prod([1.0 + one for one in returns if one is not None]) - 1.0),
        }
        for year, returns in sorted(years.items())
    ]
