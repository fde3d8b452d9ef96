"""Charts and tables of a backtest's returns, from the worker's `report.json`. Nothing is computed here.

Parts that a report lacks, as those of older workers, are omitted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from operations.presentation.charts import Chart, Table, thin
from operations.presentation.numbers import DASH, decimal, dig, integer, percent, signed_percent
from operations.presentation.report_charts import chart, column, day, pane, records, series

ROLLING = {
    "rolling_sharpe": ("Sharpe", "number"),
    "rolling_sortino": ("Sortino", "number"),
    "rolling_volatility": ("Volatility", "percent"),
    "rolling_beta": ("Beta", "number"),
}
"""Title and format of each pane, by the name in the report."""
RELATION_COLUMNS = {
    "name": "Against",
    "alpha": "Alpha, annual",
    "beta": "Beta",
    "correlation": "Correlation",
    "information_ratio": "Information ratio",
    "tracking_error": "Tracking error",
    "observations": "Observations",
}
RELATION_FORMATS = {
    "alpha": signed_percent,
    "beta": decimal,
    "correlation": decimal,
    "information_ratio": decimal,
    "tracking_error": percent,
    "observations": integer,
}
EXTREME_COLUMNS = {"time": "Day", "return": "Return", "benchmark": "Buy and hold"}
EXTREME_FORMATS = {
    "time": day,
    "return": lambda value: signed_percent(value, 2),
    "benchmark": lambda value: signed_percent(value, 2),
}
GROSS = {
    "total_return": ("Total return", signed_percent),
    "cagr": ("CAGR", signed_percent),
    "sharpe": ("Sharpe", decimal),
    "sortino": ("Sortino", decimal),
    "max_drawdown": ("Max drawdown", percent),
    "profit_factor": ("Profit factor", decimal),
    "final_equity": ("Final equity", integer),
}


@dataclass(frozen=True, slots=True)
class ReturnFigures:
    yearly: Chart | None
    rolling: Chart | None
    distribution: Chart | None
    relations: Table | None
    gross: Table | None
    best: Table | None
    worst: Table | None


def read_returns(report: dict[str, Any], result: dict[str, Any], times: Sequence[int]) -> ReturnFigures:
    """Build the figures; `times`: of the report's series, in milliseconds."""
    return ReturnFigures(
        yearly=_yearly(report.get("yearly_returns") or []),
        rolling=_rolling(report.get("series") or {}, times, report.get("rolling")),
        distribution=_distribution(report.get("distribution") or {}),
        relations=records(report.get("relations"), RELATION_COLUMNS, RELATION_FORMATS),
        gross=_gross(result.get("gross"), result.get("metrics") or {}),
        best=records(dig(report, "extremes", "best"), EXTREME_COLUMNS, EXTREME_FORMATS),
        worst=records(dig(report, "extremes", "worst"), EXTREME_COLUMNS, EXTREME_FORMATS),
    )


def _yearly(rows: Sequence[dict[str, Any]]) -> Chart | None:
    years = [str(row["year"]) for row in rows]
    lines = [
        series(
            name, [(year, row.get(key)) for year, row in zip(years, rows, strict=True)], type="bar", tone=tone
        )
        for name, key, tone in (("strategy", "return", 1), ("buy and hold", "benchmark", 2))
    ]
    return chart(
        "yearly-returns",
        "Yearly returns",
        {"type": "category", "name": "year", "categories": years},
        [pane("return", *lines, zero=True, format="percent")],
        table=records(
            rows,
            {"year": "Year", "return": "Strategy", "benchmark": "Buy and hold"},
            {"return": signed_percent, "benchmark": signed_percent},
        ),
    )


def _rolling(data: dict[str, Any], times: Sequence[int], window: Any) -> Chart | None:
    """Draw the figures of the last quarter of a year, with one zoom; those of engine semantics 1 lack the window."""
    panes = [
        pane(title, column(title, data.get(name), tone=1), levels=[{"y": 0, "name": ""}], format=form)
        for name, (title, form) in ROLLING.items()
    ]
    present = {"time": "time"} | {name: title for name, (title, _) in ROLLING.items() if data.get(name)}
    note = (
        f"Last {window.get('observations')} {window.get('unit')} observations, annual"
        if isinstance(window, dict)
        else ""
    )
    return chart(
        "rolling",
        "Rolling figures",
        {"type": "time", "name": "time", "values": list(times)},
        panes,
        zoom=True,
        size="chart-tall" if len(present) > 2 else "",
        wide=True,
        note=note,
        table=records(
            [{name: data[name][index] for name in present} for index in thin(range(len(times)))], present
        ),
    )


def _distribution(table: dict[str, Any]) -> Chart | None:
    edges, counts = table.get("edges") or [], table.get("counts") or []
    labels = _distinct_labels([(low + high) / 2 for low, high in pairwise(edges)])
    drawn = chart(
        "distribution",
        f"Distribution of {table.get('unit', 'daily')} returns",
        {"type": "category", "name": "return, middle of the bin", "categories": labels},
        [
            pane(
                "count", series("observations", list(zip(labels, counts, strict=True)), type="bar"), zero=True
            )
        ],
        note=(
            f"Mean {signed_percent(table.get('mean'), 3)}, deviation {percent(table.get('deviation'), 2)}, "
            f"skewness {decimal(table.get('skewness'))}, excess kurtosis {decimal(table.get('excess_kurtosis'))}, "
            f"{percent(table.get('positive'), 0)} above zero"
        ),
    )
    return drawn if counts else None


def _distinct_labels(middles: Sequence[float]) -> list[str]:
    """Format with as few digits as keep the bins apart."""
    labels: list[str] = []
    for digits in range(1, 7):
        labels = [percent(middle, digits) for middle in middles]
        if len(set(labels)) == len(labels):
            break
    return labels


def _gross(gross: Any, metrics: dict[str, Any]) -> Table | None:
    """Tabulate the metrics before and after costs."""
    if not isinstance(gross, dict):
        return None
    rows = [[title, form(gross.get(name)), form(metrics.get(name))] for name, (title, form) in GROSS.items()]
    costs = [metrics.get("fees"), metrics.get("slippage_cost")]
    names = ("Commission", "Slippage and spread")
    rows += [[name, DASH, decimal(value)] for name, value in zip(names, costs, strict=True)]
    return Table(["Metric", "Before costs", "After costs"], rows)
