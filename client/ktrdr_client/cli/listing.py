"""`ktrdr list`, `runs`, `workers`, `cancel` and `export`."""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ktrdr_client.cli.output import COMPLETED, show, show_json, show_table
from ktrdr_client.sync.client import Client

if TYPE_CHECKING:
    import pandas as pd

FILTERS = ("status", "operation_type", "tag", "search", "created_by")
FIELDS = "operation_id,operation_type,status,created_at,progress,subject,headline,title"
RANKED = ("total_return", "sharpe", "dsr", "max_drawdown", "trades", "validation_score")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def add_list(parser: ArgumentParser) -> None:
    parser.add_argument("--status", help="one or more, separated by commas")
    parser.add_argument("--type", dest="operation_type", metavar="TYPE")
    parser.add_argument("--tag", metavar="TAG[,TAG]")
    parser.add_argument("--search", metavar="TEXT")
    parser.add_argument("--user", dest="created_by", metavar="NAME")
    parser.add_argument("--limit", type=int, default=20, help="at most so many (%(default)s)")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=list_operations)


def list_operations(client: Client, options: Namespace) -> int:
    filters = {name: getattr(options, name) for name in FILTERS}
    rows = [row.data for row in client.operations.find(options.limit, fields=FIELDS, **filters)]
    if options.json:
        show_json(rows)
        return COMPLETED
    names = ("ID", "TYPE", "STATUS", "AGE", "RESULT", "NAME")
    show_table(names, [_cells(row) for row in rows])
    return COMPLETED


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    headline = row["headline"]
    result = f"{headline['name']} {headline['text']}" if headline else ""
    if row["status"] == "RUNNING":
        result = f"{row['progress']['percentage']:.0f} %"
    name = row["title"] or row["subject"]
    return row["operation_id"], row["operation_type"], row["status"], age(row["created_at"]), result, name


def age(text: str) -> str:
    """Return the time since then in its largest unit: `3 h`."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    return next(
        (f"{seconds // size:.0f} {unit}" for size, unit in UNITS if seconds >= size), f"{seconds:.0f} s"
    )


def add_runs(parser: ArgumentParser) -> None:
    parser.add_argument("where", nargs="?", default="", help="such as 'sharpe > 0.5 and trades > 30'")
    parser.add_argument(
        "--order", metavar="NAME", default="sharpe", help="a metric or field, the highest first (%(default)s)"
    )
    parser.add_argument("--ascending", action="store_true", help="the lowest first")
    parser.add_argument("--limit", type=int, help="at most so many; default: 20, or all in a file")
    parser.add_argument("--archived", choices=("false", "true", "any"))
    parser.add_argument("--json", action="store_true")
    _add_output(parser, ".parquet or .csv, with all metrics and settings")
    parser.set_defaults(run=list_runs)


def list_runs(client: Client, options: Namespace) -> int:
    order = options.order if options.ascending else f"-{options.order}"
    choice = {"where": options.where, "order": order, "archived": options.archived}
    if options.output is not None:
        write = _writer(options.output)
        write(client.runs.find(limit=options.limit, all_settings=True, **choice))
        return COMPLETED
    rows = client.runs.rows(limit=20 if options.limit is None else options.limit, **choice)
    if options.json:
        show_json(rows)
        return COMPLETED
    metrics = [name for name in dict.fromkeys((options.order, *RANKED)) if _has(rows, name)]
    cells = [
        (
            row["operation_id"],
            row["operation_type"],
            *(_short(row["metrics"][name]) for name in metrics),
            row["title"] or row["subject"],
        )
        for row in rows
    ]
    show_table(("ID", "TYPE", *(name.upper() for name in metrics), "NAME"), cells)
    return COMPLETED


def _has(rows: Sequence[dict[str, Any]], metric: str) -> bool:
    return any(row["metrics"].get(metric) is not None for row in rows)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _writer(path: Path) -> Callable[["pd.DataFrame"], None]:
    """Return the function that writes a table to this file. Raises ValueError for another ending."""
    match path.suffix:
        case ".parquet":
            return lambda table: table.to_parquet(path)
        case ".csv":
            return lambda table: table.to_csv(path)
    raise ValueError(f"{path} must end in .parquet or .csv.")


def add_workers(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=list_workers)


def list_workers(client: Client, options: Namespace) -> int:
    rows = client.workers()
    if options.json:
        show_json(rows)
        return COMPLETED
    cells = [
        (
            row["worker_id"],
            row["worker_type"],
            f"{row['status']}{' cordoned' if row['cordoned'] else ''}",
            row["current_operation_id"],
            row["health_problem"],
        )
        for row in rows
    ]
    show_table(("WORKER", "TYPE", "STATUS", "OPERATION", "PROBLEM"), cells)
    return COMPLETED


def add_cancel(parser: ArgumentParser) -> None:
    parser.add_argument("ids", nargs="+", metavar="ID")
    parser.add_argument("--reason", default="")
    parser.set_defaults(run=cancel)


def cancel(client: Client, options: Namespace) -> int:
    for operation_id in options.ids:
        operation = client.operations.get(operation_id).cancel(options.reason)
        show(f"{operation.id} {operation.status}")
    return COMPLETED


def add_export(parser: ArgumentParser) -> None:
    parser.add_argument("symbol")
    parser.add_argument("timeframe")
    _add_output(parser, ".parquet or .csv; default: CSV to standard output")
    parser.set_defaults(run=export_bars)


def export_bars(client: Client, options: Namespace) -> int:
    if options.output is not None and options.output.suffix == ".parquet":
        options.output.write_bytes(client.market_data.parquet(options.symbol, options.timeframe))
    else:
        bars = client.market_data.get(options.symbol, options.timeframe)
        bars.to_csv(options.output if options.output is not None else sys.stdout)
    return COMPLETED


def _add_output(parser: ArgumentParser, text: str) -> None:
    parser.add_argument("-o", dest="output", type=Path, metavar="FILE", help=text)
