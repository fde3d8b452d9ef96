"""The report of a training as charts and tables, from the `report.json` that the worker wrote and the metric points.

Whatever a report lacks is left out of the page.
"""

from dataclasses import dataclass
from typing import Any

from operations.pages.charts import Chart, Table, metric_charts, side_by_side
from operations.pages.operation_detail import Curve
from operations.pages.report_charts import bars, chart, day, pane, points, records, series
from operations.templatetags.figures import whole

CLASS_COLUMNS = {
    "class": "Class",
    "label": "Class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "support": "Rows",
}
SPLIT_COLUMNS = {"part": "Part", "start": "From", "end": "To", "rows": "Rows"}
SPLIT_FORMATS = {"start": day, "end": day, "rows": whole}


@dataclass(frozen=True, slots=True)
class Confusion:
    labels: list[str]
    rows: list[tuple[str, list[tuple[int, int]]]]
    """label of the truth, then (count, colour step 0 to 3) per prediction"""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    curves: list[Chart]
    charts: list[Chart]
    fuzzy: list[Chart]
    confusion: Confusion | None
    classes: Table | None
    splits: Table | None
    rules: list[str]


def read(report: dict[str, Any], result: dict[str, Any], curves: dict[str, Curve]) -> TrainingReport:
    calibration = report.get("calibration") or {}
    importance = _sorted(report.get("importance") or {})
    balance = _balance(report.get("label_balance") or {})
    charts = [
        bars(
            "importance",
            "Importance of inputs",
            [name for name, _ in importance],
            [value for _, value in importance],
            label="input",
        ),
        _calibration(calibration),
        bars(
            "balance",
            "Balance of labels",
            [name for name, _ in balance],
            [value for _, value in balance],
            label="label",
        ),
    ]
    return TrainingReport(
        curves=[_marked(one, result) for one in metric_charts(curves)],
        charts=[one for one in charts if one],
        fuzzy=[one for one in map(_fuzzy, report.get("fuzzy_sets") or []) if one],
        confusion=_confusion(report.get("confusion_matrix") or report.get("confusion") or {}),
        classes=records(report.get("classes") or report.get("per_class"), CLASS_COLUMNS),
        splits=records(report.get("splits"), SPLIT_COLUMNS, SPLIT_FORMATS),
        rules=[str(rule) for rule in report.get("rules") or []],
    )


def _marked(drawn: Chart, result: dict[str, Any]) -> Chart:
    """With the best epoch, and the last one where training stopped early."""
    marks = []
    if (best := result.get("best_epoch")) is not None:
        marks.append({"x": best, "name": f"best {best}"})
    if (last := result.get("epochs")) is not None and last != best:
        marks.append({"x": last, "name": "stop"})
    drawn.spec["panes"][0]["marks"] = marks
    return drawn


def _sorted(importance: Any) -> list[tuple[str, float]]:
    pairs = (
        importance.items()
        if isinstance(importance, dict)
        else ((row["name"], row["importance"]) for row in importance)
    )
    return sorted(pairs, key=lambda pair: -pair[1])


def _balance(balance: dict[str, Any]) -> list[tuple[str, float]]:
    """`{label: share}`, or `{part: {label: share}}` as one list."""
    found = []
    for name, value in balance.items():
        if isinstance(value, dict):
            found += [(f"{name} {label}", share) for label, share in value.items()]
        else:
            found.append((name, value))
    return found


def _calibration(calibration: dict[str, Any]) -> Chart | None:
    curve = points(calibration.get("predicted"), calibration.get("observed"))
    return chart(
        "calibration",
        "Calibration",
        {"type": "value", "name": "probability said"},
        [
            pane(
                "observed",
                series("observed", curve),
                series("perfect", [(0, 0), (1, 1)] if curve else [], dashed=True, tone="muted"),
                format="percent",
            )
        ],
        table=side_by_side("said", {"observed": curve}),
    )


def _fuzzy(group: dict[str, Any]) -> Chart | None:
    """Membership functions of one input over the histogram of its data."""
    sets = group.get("sets") or []
    histogram = group.get("histogram") or {}
    grid = group.get("x")
    drawn = [
        series(one["name"], points(one.get("x") or grid, one.get("y") or one.get("membership")))
        for one in sets
    ]
    heights = histogram.get("density") or histogram.get("counts") or []
    top = max(heights, default=0) or 1
    data = series(
        "data",
        points(histogram.get("x") or histogram.get("centres"), [height / top for height in heights]),
        tone="muted",
        area=True,
        step="middle",
    )
    name = str(group.get("name") or group.get("input"))
    return chart(
        f"fuzzy-{name}",
        name,
        {"type": "value", "name": name},
        [pane("membership", *drawn, data, zero=True)],
        size="chart-short",
    )


def _confusion(matrix: Any) -> Confusion | None:
    if not isinstance(matrix, dict) or not matrix.get("matrix"):
        return None
    labels = [str(label) for label in matrix["labels"]]
    most = max(max(row) for row in matrix["matrix"]) or 1
    return Confusion(
        labels,
        [
            (label, [(count, min(3, int(4 * count / most))) for count in row])
            for label, row in zip(labels, matrix["matrix"], strict=True)
        ],
    )
