"""The report of a training as charts and tables, from the `report.json` that the worker wrote and the metric points.

Whatever a report lacks is left out of the page.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from operations.presentation.charts import Chart, Curve, Table, metric_charts, readable, side_by_side
from operations.presentation.numbers import percent, whole
from operations.presentation.report_charts import bars, chart, day, pane, points, records, series

CLASS_COLUMNS = {
    "class": "Class",
    "label": "Class",
    "precision": "Precision",
    "recall": "Recall",
    "f1": "F1",
    "support": "Rows",
}
CLASS_FORMATS = {"precision": percent, "recall": percent, "f1": percent, "support": whole}
SPLIT_COLUMNS = {"part": "Part", "start": "From", "end": "To", "rows": "Rows"}
SPLIT_FORMATS = {"start": day, "end": day, "rows": whole}


@dataclass(frozen=True, slots=True)
class Cell:
    count: int
    share: float
    """of its row"""
    step: int
    """0 to 3, for the colour"""


@dataclass(frozen=True, slots=True)
class Confusion:
    labels: list[str]
    rows: list[tuple[str, list[Cell]]]
    """label of the truth, then a cell per prediction"""


@dataclass(frozen=True, slots=True)
class TrainingReport:
    curves: list[Chart]
    charts: list[Chart]
    fuzzy: list[Chart]
    confusion: Confusion | None
    classes: Table | None
    splits: Table | None
    timeline: list[tuple[float, float, str, str]]
    """start and end as shares of the whole time, part, what stands on it"""
    rules: list[str]


def read(report: dict[str, Any], result: dict[str, Any], curves: dict[str, Curve]) -> TrainingReport:
    calibration = report.get("calibration") or {}
    charts = [
        _calibration(calibration),
        _balance(report.get("label_balance") or {}),
        _importance(_sorted(report.get("importance") or {}), str(report.get("importance_of") or "")),
    ]
    return TrainingReport(
        curves=[_marked(one, result) for one in metric_charts(curves)],
        charts=[one for one in charts if one],
        fuzzy=[one for one in map(_fuzzy, report.get("fuzzy_sets") or []) if one],
        confusion=_confusion(report.get("confusion_matrix") or report.get("confusion") or {}),
        classes=records(report.get("classes") or report.get("per_class"), CLASS_COLUMNS, CLASS_FORMATS),
        splits=records(report.get("splits"), SPLIT_COLUMNS, SPLIT_FORMATS),
        timeline=_timeline(report.get("splits") or []),
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


def _importance(importance: list[tuple[str, float]], of: str) -> Chart | None:
    """Bars that lie, so that the inputs' names can be read."""
    made = bars(
        "importance",
        "Importance of inputs",
        [name for name, _ in importance],
        [value for _, value in importance],
        label="input",
        size="chart-tall" if len(importance) > 10 else "",
        wide=True,
        note=f"how much worse the {readable(of)} gets when the input is shuffled" if of else "",
    )
    if made:
        made.spec["lying"] = True
    return made


def _balance(balance: dict[str, Any]) -> Chart | None:
    """`{part: {label: share}}`: the shares of the labels in each part, side by side."""
    parts = {part: shares for part, shares in balance.items() if isinstance(shares, dict)}
    if not parts and balance:
        parts = {"all": balance}
    labels = list(dict.fromkeys(label for shares in parts.values() for label in shares))
    return chart(
        "balance",
        "Balance of labels",
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
    """The parts as blocks of the time that all of them cover; gaps between them were purged."""
    if not splits:
        return []
    spans = [(datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])) for row in splits]
    begin, end = min(start for start, _ in spans), max(end for _, end in spans)
    whole_time = (end - begin) or timedelta(seconds=1)
    return [
        ((start - begin) / whole_time, (end - begin) / whole_time, str(row["part"]),
         f"{row['part']}: {day(row['start'])} to {day(row['end'])}")
        for row, (start, end) in zip(splits, spans, strict=True)
    ]  # fmt: skip


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
    return Confusion(
        labels,
        [
            (label, [_cell(count, count / (sum(row) or 1)) for count in row])
            for label, row in zip(labels, matrix["matrix"], strict=True)
        ],
    )


def _cell(count: int, share: float) -> Cell:
    return Cell(count, share, min(3, int(4 * share)))
