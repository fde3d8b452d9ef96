"""Charts and tables of a training, from the worker's `report.json` and the metric points.

Parts that a report lacks are omitted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from operations.presentation.charts import Chart, Curve, Table, metric_charts, side_by_side, with_spaces
from operations.presentation.numbers import integer, percent
from operations.presentation.report_charts import bars, chart, day, pane, points, records, series

CLASS_COLUMNS = {
    "class": "Class",
    "label": "Class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "support": "Rows",
}
CLASS_FORMATS = {"precision": percent, "recall": percent, "f1": percent, "support": integer}
SPLIT_COLUMNS = {"part": "Part", "start": "From", "end": "To", "rows": "Rows"}
SPLIT_FORMATS = {"start": day, "end": day, "rows": integer}


@dataclass(frozen=True, slots=True)
class Cell:
    count: int
    share: float
    """of its row"""
    step: int
    """colour step, 0 to 3"""


@dataclass(frozen=True, slots=True)
class Confusion:
    labels: list[str]
    rows: list[tuple[str, list[Cell]]]
    """label of the actual class, and a cell per predicted class"""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    curves: list[Chart]
    charts: list[Chart]
    fuzzy: list[Chart]
    confusion: Confusion | None
    classes: Table | None
    splits: Table | None
    timeline: list[tuple[float, float, str, str]]
    """start and end as shares of the time span, part, title"""
    rules: list[str]


def read(report: dict[str, Any], result: dict[str, Any], curves: dict[str, Curve]) -> TrainingReport:
    """Build the charts and tables of a `report.json`."""
    calibration = report.get("calibration") or {}
    charts = [
        _calibration(calibration),
        _balance(report.get("label_balance") or {}),
        _importance(_sort_importance(report.get("importance") or {}), str(report.get("importance_of") or "")),
    ]
    return TrainingReport(
        curves=[_mark_epochs(drawn, result) for drawn in metric_charts(curves)],
        charts=[drawn for drawn in charts if drawn],
        fuzzy=[drawn for drawn in map(_fuzzy, report.get("fuzzy_sets") or []) if drawn],
        confusion=_confusion(report.get("confusion_matrix") or report.get("confusion") or {}),
        classes=records(report.get("classes") or report.get("per_class"), CLASS_COLUMNS, CLASS_FORMATS),
        splits=records(report.get("splits"), SPLIT_COLUMNS, SPLIT_FORMATS),
        timeline=_timeline(report.get("splits") or []),
        rules=[str(rule) for rule in report.get("rules") or []],
    )


def _mark_epochs(drawn: Chart, result: dict[str, Any]) -> Chart:
    """Mark the best epoch, and the last one if training stopped early."""
    marks = []
    if (best := result.get("best_epoch")) is not None:
        marks.append({"x": best, "name": f"best {best}"})
    if (last := result.get("epochs")) is not None and last != best:
        marks.append({"x": last, "name": "stop"})
    drawn.spec["panes"][0]["marks"] = marks
    return drawn


def _sort_importance(importance: Any) -> list[tuple[str, float]]:
    pairs = (
        importance.items()
        if isinstance(importance, dict)
        else ((row["name"], row["importance"]) for row in importance)
    )
    return sorted(pairs, key=lambda pair: -pair[1])


def _importance(importance: list[tuple[str, float]], of: str) -> Chart | None:
    """Draw horizontal bars, which leave room for the names of inputs."""
    drawn = bars(
        "importance",
        "Input importance",
        [name for name, _ in importance],
        [value for _, value in importance],
        label="input",
        size="chart-tall" if len(importance) > 10 else "",
        wide=True,
        note=f"Worsening of {with_spaces(of)} when the values of the input are shuffled" if of else "",
    )
    if drawn:
        drawn.spec["lying"] = True
    return drawn


def _balance(balance: dict[str, Any]) -> Chart | None:
    """Draw the shares of the labels in each part, from `{part: {label: share}}`."""
    parts = {part: shares for part, shares in balance.items() if isinstance(shares, dict)}
    if not parts and balance:
        parts = {"all": balance}
    labels = list(dict.fromkeys(label for shares in parts.values() for label in shares))
    return chart(
        "balance",
        "Label balance",
        {"type": "category", "name": "part", "categories": list(parts)},
        [
            pane(
                "share",
                *(
                    series(label, [(part, shares.get(label)) for part, shares in parts.items()], type="bar")
                    for label in labels
                ),
                zero=True,
                format="percent",
            )
        ],
    )


def _timeline(splits: list[dict[str, Any]]) -> list[tuple[float, float, str, str]]:
    """Locate the parts within the time span of all of them; the gaps between them are purged bars."""
    if not splits:
        return []
    spans = [(datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])) for row in splits]
    begin, end = min(start for start, _ in spans), max(end for _, end in spans)
    length = (end - begin) or timedelta(seconds=1)
    return [
        ((start - begin) / length, (end - begin) / length, str(row["part"]),
         f"{row['part']}: {day(row['start'])} to {day(row['end'])}")
        for row, (start, end) in zip(splits, spans, strict=True)
    ]  # fmt: skip


def _calibration(calibration: dict[str, Any]) -> Chart | None:
    curve = points(calibration.get("predicted"), calibration.get("observed"))
    return chart(
        "calibration",
        "Calibration",
        {"type": "value", "name": "predicted probability"},
        [
            pane(
                "observed",
                series("observed", curve),
                series("perfect", [(0, 0), (1, 1)] if curve else [], dashed=True, tone="muted"),
                format="percent",
            )
        ],
        table=side_by_side("predicted", {"observed": curve}),
    )


def _fuzzy(group: dict[str, Any]) -> Chart | None:
    """Draw the membership functions of one input over the histogram of its data."""
    sets = group.get("sets") or []
    histogram = group.get("histogram") or {}
    grid = group.get("x")
    memberships = [
        series(
            fuzzy_set["name"],
            points(fuzzy_set.get("x") or grid, fuzzy_set.get("y") or fuzzy_set.get("membership")),
        )
        for fuzzy_set in sets
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
        [pane("membership", *memberships, data, zero=True)],
        size="chart-short",
    )


def _confusion(matrix: Any) -> Confusion | None:
    if not isinstance(matrix, dict) or not matrix.get("matrix"):
        return None
    labels = [str(label) for label in matrix["labels"]]
    return Confusion(
        labels,
        [
            (label, [_cell(count, count / (sum(row) or 1)) for count in row])
            for label, row in zip(labels, matrix["matrix"], strict=True)
        ],
    )


def _cell(count: int, share: float) -> Cell:
    return Cell(count, share, min(3, int(4 * share)))
