"""Compose `report.json`, which contains everything that the page of a study shows."""

import json
from typing import Any

from workers.studies import out_of_sample, report_tables
from workers.studies.evidence import Statistics
from workers.studies.messages import MAX_REPORT_BYTES, ReportResult
from workers.studies.report_data import Study
from workers.studies.statistics.overfitting import HISTOGRAM_EDGES

CURVES = 20


def compose_report(
    study: Study,
    statistics: Statistics,
    outside: dict[str, Any],
    holdout: dict[str, Any] | None,
    result: ReportResult,
) -> bytes:
    """Return the report as JSON of at most 2 MB; the sample of points shrinks until it fits."""
    table, overfitting = study.table, statistics.overfitting
    maximize = study.bound.study.objective.maximize
    parameters = report_tables.searched_parameters(table)
    report: dict[str, Any] = {
        **result.model_dump(mode="json"),
        **outside,
        "study": study.parameters.study,
        "name": study.parameters.name or study.bound.study.name,
        "objective": study.bound.study.objective.model_dump(mode="json"),
        "days": table.days,
        "per_year": study.per_year,
        "holdout": holdout,
        "leaderboard": report_tables.leaderboard(table, study.ranking, parameters),
        "points": report_tables.points(table, study.ranking, parameters, study.parameters.seed),
        "importance": report_tables.importance(table, parameters),
        "progress": report_tables.progress(table, maximize=maximize),
        "failures": report_tables.failures(table),
        "plateau": {"neighbours": list(statistics.plateau.neighbours)} if statistics.plateau else None,
        "overfitting": None
        if overfitting is None
        else {
            "edges": HISTOGRAM_EDGES.tolist(),
            "counts": overfitting.histogram(),
            "slope": overfitting.slope,
            "loss_probability": overfitting.loss_probability,
        },
        "curves": _curves(study),
    }
    content = json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
    while len(content) > MAX_REPORT_BYTES:
        _shrink(report)
        content = json.dumps(report, allow_nan=False, separators=(",", ":")).encode()
    return content


def _shrink(report: dict[str, Any]) -> None:
    """Drop the later half of the points, and of the leaders once there are few points."""
    points, leaders = report["points"], report["leaderboard"]["rows"]
    half = len(points["number"]) // 2
    if half >= len(leaders):
        for columns in (points, points["parameters"]):
            columns.update(
                {name: values[:half] for name, values in columns.items() if isinstance(values, list)}
            )
    else:
        del leaders[len(leaders) // 2 :]


def _curves(study: Study) -> list[dict[str, Any]]:
    """Return the growth of the best trials whose daily returns are known."""
    market = study.evaluator.market if study.evaluator else None
    if market is None:
        return []
    numbers = study.table.numbers[study.ranking[:CURVES]]
    return [
        {"number": number, **out_of_sample.curve(returns, market.days)}
        for number, returns in study.returns.of(numbers)
    ]
