"""The charts of a study's page, from the report of the study."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from dashboard.pages.studies import short_name
from operations.presentation import stored_reports
from operations.presentation.charts import Chart, Table, thin
from operations.presentation.numbers import decimal
from operations.presentation.report_charts import bars, chart, milliseconds, pane, points, series
from studies.models import Study

log = structlog.get_logger(__name__)
Json = dict[str, Any]
COORDINATES = 80
"""Trials in the parallel coordinates: the best half, and a sample of the others."""
BEST_SHARE = 0.1
FIFTHS = ("worst fifth", "second fifth", "middle fifth", "fourth fifth", "best fifth")
TONES = ("muted", 6, 3, 2, "good")


@dataclass(frozen=True, slots=True)
class StudyCharts:
    charts: list[Chart] = field(default_factory=list)
    missing: str = ""
    """Why `charts` is empty."""
    axes: list[tuple[str, str]] = field(default_factory=list)
    """Pointer and short name of the parameters that the heat map can show."""
    chosen: tuple[str, str] = ("", "")
    """Pointers of its two axes."""


def charts_of(study: Study, horizontal: str = "", vertical: str = "") -> StudyCharts:
    """Return the charts of the newest report; `horizontal` and `vertical` are the parameters of the heat map."""
    if study.reporter is None or study.report is None:
        return StudyCharts()
    try:
        report = stored_reports.read(study.reporter)
    except stored_reports.ReportUnavailableError as error:
        return StudyCharts(missing=str(error))
    try:
        return _read(report, horizontal, vertical)
    except stored_reports.UNKNOWN_FORMAT as error:
        log.exception("report of a study could not be drawn", study_id=study.study_id)
        return StudyCharts(missing=f"The report has an unknown format ({type(error).__name__}).")


def _read(report: Json, horizontal: str, vertical: str) -> StudyCharts:
    parameters = (report.get("points") or {}).get("parameters") or {}
    numeric = [name for name, values in parameters.items() if all(map(is_number, values))]
    axes = [(name, short_name(name, numeric)) for name in numeric]
    chosen = choose_axes(report, numeric, horizontal, vertical)
    charts = [
        _progress(report),
        _windows(report),
        _paths(report),
        _coordinates(report, numeric),
        _heat_map(report, *chosen),
        _importance(report),
        _overfitting(report),
    ]
    return StudyCharts([drawn for drawn in charts if drawn is not None], "", axes, chosen)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def choose_axes(report: Json, numeric: Sequence[str], horizontal: str, vertical: str) -> tuple[str, str]:
    """Return the chosen parameters, by default the two that explain most; empty names if there are fewer than two."""
    ranked = [row["parameter"] for row in report.get("importance") or [] if row["parameter"] in numeric]
    if len(ranked) < 2:
        return "", ""
    first = horizontal if horizontal in numeric else ranked[0]
    others = [name for name in ranked if name != first]
    return first, vertical if vertical in others else others[0]


def _progress(report: Json) -> Chart | None:
    progress = report.get("progress") or {}
    line = series("best value so far", points(progress.get("number"), progress.get("best")), step="end")
    return chart(
        "study-progress", "Best value so far", {"type": "value", "name": "trial"}, [pane("value", line)]
    )


def _windows(report: Json) -> Chart | None:
    """Draw the joined test windows of the walk-forward; the table has the winner of each window."""
    walk_forward = report.get("walk_forward") or {}
    curve, windows = walk_forward.get("curve") or {}, walk_forward.get("windows") or []
    times = [milliseconds(time) for time in curve.get("time") or []]
    bands = [
        {"from": milliseconds(window["test"][0]), "to": milliseconds(window["test"][1]), "tone": 1 + at % 2,
         "name": f"trial {window['number']}" if len(windows) <= 8 else ""}
        for at, window in enumerate(windows)
    ]  # fmt: skip
    names = list(windows[0]["point"]) if windows else []
    columns = ["train", "test", "trial", "train Sharpe", "test Sharpe", "test return"]
    rows = [
        [" to ".join(window["train"]), " to ".join(window["test"]), window["number"], window["train_sharpe"],
         window["test_sharpe"], window["test_return"], *(str(window["point"][name]) for name in names)]
        for window in windows
    ]  # fmt: skip
    return chart(
        "study-windows",
        "Walk-forward: test windows joined",
        {"type": "time", "name": ""},
        [pane("growth of 1", series("out of sample", points(times, curve.get("growth"))), bands=bands)],
        table=Table([*columns, *(short_name(name, names) for name in names)], rows),
        wide=True,
    )


def _paths(report: Json) -> Chart | None:
    paths = report.get("paths") or {}
    fan = paths.get("fan") or {}
    times = [milliseconds(time) for time in fan.get("time") or []]
    lines = [
        series("95 % of the paths are below", points(times, fan.get("high")), tone="good", dashed=True),
        series("median", points(times, fan.get("median"))),
        series("5 % of the paths are below", points(times, fan.get("low")), tone="bad", dashed=True),
    ]
    return chart(
        "study-paths",
        f"Paths through {paths.get('folds')} folds",
        {"type": "time", "name": ""},
        [pane("growth of 1", *lines)],
    )


def _coordinates(report: Json, numeric: Sequence[str]) -> Chart | None:
    """Draw trials as lines over their parameters, each from its lowest to its highest value, and the value itself."""
    trials = report.get("points") or {}
    values = trials.get("value") or []
    valued = [at for at, value in enumerate(values) if value is not None]
    if not numeric or len(valued) < 2:
        return None
    half = COORDINATES // 2
    chosen = valued[:half] + valued[half :: max(1, (len(valued) - half) // half)][:half]
    columns = {short_name(name, list(numeric)): trials["parameters"][name] for name in numeric}
    columns["value"] = values
    scaled = {name: _scale(column, valued) for name, column in columns.items()}
    best = set(chosen[: max(1, round(BEST_SHARE * len(chosen)))])
    lines = [
        series(
            "best tenth" if at in best else "others",
            [(name, scaled[name][at]) for name in columns],
            tone="good" if at in best else "muted",
            dashed=at not in best,
        )
        for at in reversed(chosen)
    ]
    rows = [[trials["number"][at], *(column[at] for column in columns.values())] for at in chosen]
    return chart(
        "study-coordinates",
        "Parameters and value of trials",
        {"type": "category", "name": "", "categories": list(columns)},
        [pane("from lowest to highest", *lines, format="percent")],
        table=Table(["trial", *columns], thin(rows)),
        wide=True,
    )


def _scale(column: Sequence[Any], rows: Sequence[int]) -> list[float | None]:
    """Return the column from 0 (lowest of the rows) to 1 (highest)."""
    known = [column[at] for at in rows]
    low, high = min(known), max(known)
    width = high - low or 1.0
    return [None if value is None else round((value - low) / width, 4) for value in column]


def _heat_map(report: Json, horizontal: str, vertical: str) -> Chart | None:
    """Place the trials by two parameters, in the colour of the fifth to which their value belongs."""
    trials = report.get("points") or {}
    values = trials.get("value") or []
    valued = [at for at, value in enumerate(values) if value is not None]
    if not horizontal or len(valued) < len(FIFTHS):
        return None
    xs, ys = (trials["parameters"][name] for name in (horizontal, vertical))
    ranked = sorted(valued, key=lambda at: values[at])
    parts = [
        ranked[len(ranked) * fifth // len(FIFTHS) : len(ranked) * (fifth + 1) // len(FIFTHS)]
        for fifth in range(len(FIFTHS))
    ]
    groups = [
        series(name, [(xs[at], ys[at]) for at in part], type="scatter", tone=tone)
        for name, part, tone in zip(FIFTHS, parts, TONES, strict=True)
    ]
    names = [short_name(name, [horizontal, vertical]) for name in (horizontal, vertical)]
    rows = [[trials["number"][at], xs[at], ys[at], values[at]] for at in valued]
    return chart(
        "study-heat",
        f"Value by {names[0]} and {names[1]}",
        {"type": "value", "name": names[0]},
        [pane(names[1], *groups)],
        table=Table(["trial", *names, "value"], thin(rows)),
    )


def _importance(report: Json) -> Chart | None:
    rows = report.get("importance") or []
    names = [str(row["parameter"]) for row in rows]
    labels = [short_name(name, names) for name in names]
    shares = [float(row["share"]) for row in rows]
    return bars(
        "study-importance",
        "Share of the variance explained",
        labels,
        shares,
        format="percent",
        label="parameter",
    )


def _overfitting(report: Json) -> Chart | None:
    overfitting = report.get("overfitting")
    if not overfitting:
        return None
    labels = [decimal(edge) for edge in overfitting["edges"][: len(overfitting["counts"])]]
    title = "Rank of the in-sample winner out of sample (logit)"
    return bars(
        "study-overfitting",
        title,
        labels,
        [float(count) for count in overfitting["counts"]],
        label="logit from",
    )
