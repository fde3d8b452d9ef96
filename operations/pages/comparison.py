"""Two to ten operations side by side: what differs first, then metrics with the best marked, then curves."""

from dataclasses import dataclass
from typing import Any

from operations.models import MetricPoint, Operation
from operations.pages.charts import Chart, side_by_side
from operations.pages.headline import described

MOST = 10

# Metrics of which more is better, and of which less is; of others (counts, settings) neither.
MORE_IS_BETTER = {
    "total_return", "cagr", "sharpe", "sortino", "calmar", "max_drawdown", "win_rate", "profit_factor", "expectancy",
    "average_trade", "best_trade", "worst_trade", "sqn", "var_95", "cvar_95", "final_equity", "psr", "dsr", "accuracy",
    "f1", "precision", "recall", "r2", "balanced_accuracy", "mcc",
}  # fmt: skip
LESS_IS_BETTER = {"volatility", "fees", "slippage_cost", "loss", "rmse", "mae", "mse", "log_loss", "brier"}


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    values: list[Any]
    best: int | None = None
    """index of the best value"""


@dataclass(frozen=True, slots=True)
class Comparison:
    operations: list[Operation]
    different: list[Row]
    same: list[Row]
    metrics: list[Row]
    charts: list[Chart]


def load(ids: list[str]) -> list[Operation]:
    """Those that exist, in the order asked for."""
    wanted = list(dict.fromkeys(ids))[:MOST]
    found = Operation.objects.in_bulk(wanted)
    return described(found[pk] for pk in wanted if pk in found)


def compare(operations: list[Operation]) -> Comparison:
    parameters = _rows([operation.parameters for operation in operations])
    different = [row for row in parameters if len({repr(value) for value in row.values}) > 1]
    return Comparison(
        operations=operations,
        different=different,
        same=[row for row in parameters if row not in different],
        metrics=[_judged(row) for row in _rows([_metrics(operation) for operation in operations])],
        charts=[chart for chart in [_loss_chart(operations)] if chart],
    )


def _rows(mappings: list[dict[str, Any]]) -> list[Row]:
    names = dict.fromkeys(name for mapping in mappings for name in mapping)
    return [Row(name, [mapping.get(name) for mapping in mappings]) for name in names]


def _metrics(operation: Operation) -> dict[str, Any]:
    """Figures of the result by dotted name: `sharpe` of a backtest, `test.accuracy` of a training."""
    metrics = (operation.result or {}).get("metrics") or {}
    flat: dict[str, Any] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items() if isinstance(inner, int | float)}
        elif isinstance(value, int | float):
            flat[name] = value
    return flat


def _judged(row: Row) -> Row:
    name = row.name.rsplit(".", 1)[-1]
    known = [(value, index) for index, value in enumerate(row.values) if value is not None]
    if len({value for value, _ in known}) < 2 or name not in MORE_IS_BETTER | LESS_IS_BETTER:
        return row
    best = max(known)[1] if name in MORE_IS_BETTER else min(known)[1]
    return Row(row.name, row.values, best)


def _loss_chart(operations: list[Operation]) -> Chart | None:
    """Validation loss of the trainings among them, overlaid."""
    names = {operation.pk: f"{index}. {operation.about}" for index, operation in enumerate(operations, 1)}  # type: ignore[attr-defined]  # of `described`
    points = (
        MetricPoint.objects.filter(operation__in=operations, name="validation_loss")
        .order_by("step")
        .values_list("operation_id", "step", "value")
    )
    curves: dict[str, list[tuple[int, float | None]]] = {}
    for operation_id, step, value in points:
        curves.setdefault(names[operation_id], []).append((step, value))
    if not curves:
        return None
    pane = {
        "name": "validation loss",
        "log": True,
        "smooth": True,
        "series": [{"name": name, "data": data} for name, data in curves.items()],
    }
    spec = {"x": {"type": "value", "name": "epoch"}, "panes": [pane]}
    return Chart(
        "compare-loss", "Validation loss", spec, side_by_side("epoch", curves), log=True, smooth=True
    )
